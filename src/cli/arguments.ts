import { fstatSync } from 'node:fs';
import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { escaped } from '../base/escape.ts';
import { bytesIn, msIn } from '../base/units.ts';
import { untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';

/** Parses an option's whole number. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Parses a time such as `10s` or `500ms`, or a number of seconds; returns milliseconds. */
export function timeSpan(text: string): number {
  const value = msIn(text) ?? 0;
  if (value > 0 && value < 2_000_000_000) return value;
  throw new InvalidArgumentError(
    'It must be a time greater than 0, such as 10s, 500ms, 2min or 1h; a number alone is seconds.',
  );
}

/** Parses how long something is kept, in whole seconds: `90s`, `12h` or `7d`, or a number of seconds. */
export function wholeSeconds(text: string): number {
  const value = (msIn(text) ?? 0) / 1000;
  if (value >= 1 && Number.isInteger(value) && value < 2 ** 31) return value;
  throw new InvalidArgumentError(
    'It must be a time of whole seconds, such as 90s, 12h or 7d; a number alone is seconds.',
  );
}

/** Parses a number of bytes such as `4096`, `64KiB` or `100MiB`. */
export function byteSize(text: string): number {
  const value = bytesIn(text);
  if (value !== null) return value;
  throw new InvalidArgumentError('It must be a number of bytes, such as 4096, 64KiB or 100MiB.');
}

/** Checks the path of a file to write: `-` would be a file of this name, and neither stdin nor stdout. */
export function outputFile(path: string): string {
  if (path !== '-' && path !== '') return path;
  throw new InvalidArgumentError(
    "It must be the path of a file: a recording can't go to stdout. See also: kbus recording show --json.",
  );
}

/**
 * Checks that a typed message name begins with `$.`. If not, it was mistyped, or a shell has changed it: the Failure
 * explains that, which KBUS's own error could not.
 */
export function typedName(name: string): string {
  if (name.startsWith('$.')) return name;
  // A shell replaces "$$" by its process id.
  const words = escaped(name.replace(/^(?:\d+\.|[$.]+)/, ''));
  const meant = `'$.${words === '' ? 'Some.Name' : words}'`;
  throw new Failure(
    Exit.USAGE,
    `${name === '' ? 'an empty name' : `'${escaped(name)}'`} is not the name of a message. Names begin with '$.', as in ${meant}.
If you typed the $, it was expanded as a variable: a shell does that within double quotes,
make does it everywhere. Put the name in single quotes, ${meant}; in a Makefile, write $$.`,
  );
}

export interface DataOptions {
  hex?: true;
}

/** Node puts this in the place of each byte of an argument that is not UTF-8. */
const REPLACEMENT = '\ufffd';

const NOT_UTF8 =
  'the data has bytes that are not UTF-8, and such an argument can not be read; give the data on stdin, with - in its place, or with --hex';

/** The data of a message: the argument, or for `-` all of stdin; with `--hex`, decoded. */
export async function typedData(
  data: string | undefined,
  options: DataOptions,
): Promise<Uint8Array> {
  if (data?.includes(REPLACEMENT)) throw new Failure(Exit.USAGE, NOT_UTF8);
  let bytes: Uint8Array;
  if (data === '-') bytes = await untilEnded(dataOfStdin()).catch(stdinFailed);
  else bytes = Buffer.from(data ?? '');
  return options.hex ? fromHex(Buffer.from(bytes).toString('latin1')) : bytes;
}

async function dataOfStdin(): Promise<Uint8Array> {
  // Node would read a folder as an empty file.
  if (fstatSync(process.stdin.fd).isDirectory()) {
    throw new Failure(Exit.USAGE, "can't read the data from stdin: it is a folder");
  }
  return buffer(process.stdin);
}

function stdinFailed(error: unknown): never {
  if (!(error instanceof Error && 'syscall' in error)) throw error;
  throw new Failure(Exit.USAGE, `can't read the data from stdin: ${error.message}`, error);
}

function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '');
  if (/^(?:[0-9a-f]{2})*$/i.test(digits)) return Buffer.from(digits, 'hex');
  const wrong = digits.match(/[^0-9a-f]/i)?.[0];
  throw new Failure(
    Exit.USAGE,
    wrong === undefined
      ? `the hex data has ${digits.length} digits; it needs two per byte, as in 00ff41`
      : `'${wrong}' is not a hex digit; each byte needs two, as in 00ff41`,
  );
}
