import { InvalidArgumentError } from 'commander';
import type { LinkOptions } from '../limpet/limpet.ts';
import { byteSize, wholeSeconds } from './arguments.ts';

type Read = (text: string) => unknown;
type Option = readonly [key: keyof LinkOptions, read: Read, meaning: string];

const text: Read = (value) => value;

const oneOf =
  (...words: string[]): Read =>
  (value) => {
    if (words.includes(value)) return value;
    throw new InvalidArgumentError(`It must be ${words.join(' or ')}.`);
  };

const count: Read = (value) => {
  if (/^[1-9]\d{0,14}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('It must be a whole number from 1.');
};

/** What may follow the address as `WORD=VALUE`, by its words, which are those of the configuration file. */
const SOCKET: Readonly<Record<string, Option>> = {
  'key-file': ['keyFile', text, 'FILE'],
  cert: ['cert', text, 'FILE'],
  key: ['key', text, 'FILE'],
  ca: ['ca', text, 'FILE'],
};
const NATS: Readonly<Record<string, Option>> = {
  mode: ['mode', oneOf('core', 'stream'), 'core|stream'],
  large: ['large', oneOf('pieces', 'refuse'), 'pieces|refuse'],
  creds: ['credentials', text, 'FILE'],
  credentials: ['credentials', text, 'FILE'],
  nkey: ['nkey', text, 'FILE'],
  cert: ['cert', text, 'FILE'],
  key: ['key', text, 'FILE'],
  ca: ['ca', text, 'FILE'],
  state: ['state', text, 'FILE'],
  'max-bytes': ['maxBytes', byteSize, 'BYTES'],
  'max-age': ['maxAge', wholeSeconds, 'TIME'],
  discard: ['discard', oneOf('old', 'new'), 'old|new'],
  replicas: ['replicas', count, 'NUMBER'],
};

const FLAGS = ['classic', 'insecure'] as const;

/** Reads a `--link`: `client:ADDRESS,out=NAME,classic`, or `nats:NAME@URL,mode=stream`. */
export function readLink(value: string): LinkOptions {
  const [where = '', ...words] = value.split(',');
  const [, role, address] = /^(server|client):(.+)$/.exec(where) ?? [];
  const [, federation, url] = /^nats:([^@]+)@(.+)$/.exec(where) ?? [];
  if (role !== undefined && address !== undefined) {
    return { [role]: address, ...readWords(words, SOCKET, FLAGS) };
  }
  if (federation === undefined || url === undefined) {
    throw new InvalidArgumentError(
      'It must begin with server:ADDRESS, client:ADDRESS or nats:NAME@URL.',
    );
  }
  // More servers of the cluster.
  const isUrl = (word: string): boolean => /^[a-z]+:\/\//.test(word);
  const nats = [url, ...words.filter(isUrl)].join(',');
  const rest = words.filter((word) => !isUrl(word));
  return { nats, federation, ...readWords(rest, NATS, []) };
}

function readWords(
  words: readonly string[],
  options: Readonly<Record<string, Option>>,
  flags: readonly string[],
): Partial<LinkOptions> {
  const link: Record<string, unknown> = {};
  for (const word of words) {
    const [, name = word, value] = /^([^=]*)=(.+)$/.exec(word) ?? [];
    const option = Object.hasOwn(options, name) ? options[name] : undefined;
    if (value === undefined && flags.includes(word)) {
      link[word] = true;
    } else if (value !== undefined && (name === 'out' || name === 'in')) {
      link[name] = [...((link[name] as string[] | undefined) ?? []), value];
    } else if (value !== undefined && option !== undefined) {
      const [key, read] = option;
      try {
        link[key] = read(value);
      } catch (error) {
        throw new InvalidArgumentError(`'${word}': ${(error as Error).message}`);
      }
    } else throw unknown(word, options, flags);
  }
  return link as Partial<LinkOptions>;
}

function unknown(
  word: string,
  options: Readonly<Record<string, Option>>,
  flags: readonly string[],
): InvalidArgumentError {
  const seen = new Set<string>();
  const forms = ['out=NAME', 'in=NAME'];
  for (const [name, [key, , meaning]] of Object.entries(options)) {
    if (!seen.has(key)) forms.push(`${name}=${meaning}`);
    seen.add(key);
  }
  const all = [...forms, ...flags].join(', ');
  return new InvalidArgumentError(`'${word}' can't follow this address; what can: ${all}.`);
}
