import { readFileSync } from 'node:fs';
import { parse } from 'smol-toml';
import * as v from 'valibot';
import { ConfigError } from '../daemon/config.ts';
import { Limpet, type LimpetOptions } from '../limpet/limpet.ts';

/** A table `[[limpet]]` of the daemon's configuration file: a Limpet that the daemon runs. */
export interface LimpetTable extends Omit<LimpetOptions, 'bus' | 'directory' | 'onEvent'> {
  readonly bus: number;
}

const texts = v.optional(v.array(v.string()));
const text = v.optional(v.string());
const flag = v.optional(v.boolean());

const LINK = v.strictObject({
  server: text,
  client: text,
  nats: v.optional(v.union([v.string(), v.array(v.string())])),
  federation: text,
  mode: v.optional(v.picklist(['core', 'stream'])),
  large: v.optional(v.picklist(['pieces', 'refuse'])),
  state: text,
  'max-bytes': v.optional(v.number()),
  'max-age': v.optional(v.number()),
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
  id: v.pipe(v.number(), v.integer()),
  bus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)), 0),
  message: texts,
  termination: text,
  buffer: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0))),
  link: v.pipe(v.array(LINK), v.minLength(1)),
});

/** Reads the Limpets of a configuration file. Throws a ConfigError that names the Limpet and what is wrong with it. */
export function readLimpets(path: string): LimpetTable[] {
  // readConfig has told what is wrong with the file as a whole.
  const { limpet = [] } = parse(readFileSync(path, 'utf8'));
  if (!Array.isArray(limpet)) throw new ConfigError(`${path}: write [[limpet]], with two brackets`);
  return limpet.map((table, at) => {
    const result = v.safeParse(LIMPET, table);
    const which = `${path}, limpet ${at + 1}`;
    if (!result.success) {
      const [issue] = result.issues;
      throw new ConfigError(`${which}, ${v.getDotPath(issue) ?? 'table'}: ${issue.message}`);
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
      throw new ConfigError(`${which}: ${(error as Error).message}`, { cause: error });
    }
    return made;
  });
}
