import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import * as v from 'valibot';
import { nearest } from '../base/nearest.ts';
import { bytesIn, msIn } from '../base/units.ts';
import { pathOf } from '../daemon/check-access.ts';
import { ConfigError, lineOf } from '../daemon/config.ts';
import { Limpet, type LimpetOptions } from '../limpet/limpet.ts';

/** A table `[[limpet]]` of the daemon's configuration file: a Limpet that the daemon runs. */
export interface LimpetTable extends Omit<LimpetOptions, 'bus' | 'directory' | 'onEvent'> {
  readonly bus: number;
}

type Keys = readonly (string | number)[];

const texts = v.optional(v.array(v.string()));
const text = v.optional(v.string());
const flag = v.optional(v.boolean());
const WHOLE = 'must be a whole number from 0';
const whole = v.pipe(v.number(), v.integer(WHOLE), v.minValue(0, WHOLE));
const BYTES = 'must be a number of bytes, or such as 64MiB';
const written = v.pipe(v.string(), v.transform(bytesIn), v.number(BYTES));
const bytes = v.optional(v.union([whole, written], BYTES));

const AGE = 'must be a time of whole seconds, such as 90 or "7d"';
const age = v.pipe(
  v.string(),
  v.transform((text) => (msIn(text) ?? Number.NaN) / 1000),
  v.number(AGE),
);

const LINK = v.strictObject({
  server: text,
  client: text,
  nats: v.optional(
    v.union(
      [v.string(), v.array(v.string())],
      'must be the address of a server, or a list of them',
    ),
  ),
  federation: text,
  mode: v.optional(v.picklist(['core', 'stream'])),
  large: v.optional(v.picklist(['pieces', 'refuse'])),
  state: text,
  'max-bytes': bytes,
  'max-age': v.optional(v.union([v.number(), age], AGE)),
  discard: v.optional(v.picklist(['old', 'new'])),
  replicas: v.optional(v.number()),
  credentials: text,
  nkey: text,
  classic: flag,
  out: texts,
  in: texts,
  'key-file': text,
  cert: text,
  key: text,
  ca: text,
  insecure: flag,
});

const LIMPET = v.strictObject({
  id: whole,
  bus: v.optional(whole, 0),
  message: texts,
  termination: text,
  buffer: bytes,
  link: v.pipe(v.array(LINK), v.minLength(1, 'must have at least one link')),
});

/** Reads the Limpets of a configuration file. Throws a ConfigError that names the Limpet and what is wrong with it. */
export function readLimpets(path: string): LimpetTable[] {
  const text = readFileSync(path, 'utf8');
  // readConfig has told what is wrong with the file as a whole.
  const { limpet = [] } = parse(text);
  if (!Array.isArray(limpet)) throw new ConfigError(`${path}: write [[limpet]], with two brackets`);
  return limpet.map((table, at) => {
    const result = v.safeParse(LIMPET, table);
    const line = (keys: Keys = []): string =>
      `${path}, line ${lineOf(text, ['limpet', at, ...keys])}, limpet ${at + 1}`;
    if (!result.success) {
      const lines = result.issues.map((issue) => {
        const keys = (issue.path ?? []).map(({ key }) => key as Keys[number]);
        return `${line(keys)}${pathOf(keys).replace(/^\./, ', ')}: ${wrongWith(issue, keys)}`;
      });
      throw new ConfigError(lines.join('\n'));
    }
    const { message: names, link, ...rest } = result.output;
    const links = link.map(
      ({ 'key-file': keyFile, 'max-bytes': maxBytes, 'max-age': maxAge, ...each }) => {
        return { ...each, keyFile, maxBytes, maxAge };
      },
    );
    const made = { ...rest, names, links };
    try {
      // Its constructor checks all the rest.
      new Limpet({ ...made });
    } catch (error) {
      throw new ConfigError(`${line()}: ${(error as Error).message}`, { cause: error });
    }
    return made;
  });
}

/** A predicate to the keys: `must be …`. */
function wrongWith(
  { expected, kind, message, received, type }: v.BaseIssue<unknown>,
  keys: Keys,
): string {
  if (kind === 'validation' || type === 'union') return message;
  if (expected === 'never') {
    const known = Object.keys(keys.length > 1 ? LINK.entries : LIMPET.entries);
    const meant = nearest(String(keys.at(-1)), known);
    const advice = meant === undefined ? `it has ${known.join(', ')}` : `did you mean '${meant}'?`;
    return `is not a setting of a ${keys.length > 1 ? 'link' : 'Limpet'}; ${advice}`;
  }
  if (received === 'undefined') return 'is missing';
  const what = (expected ?? '').replace(/^\((.*)\)$/, '$1').replaceAll(' | ', ' or ');
  return `must be ${KINDS[what] ?? what}, not ${received}`;
}

const KINDS: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  boolean: 'true or false',
  Array: 'a list',
  Object: 'a table such as { client = "/tmp/link.sock" }',
};
