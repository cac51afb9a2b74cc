import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { escaped } from '../base/escape.ts';
import { bytesIn } from '../base/units.ts';
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

/** Parses seconds; returns milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 2_000_000) return value * 1000;
  throw new InvalidArgumentError(
    'It must be a number of seconds greater than 0, such as 5 or 0.5.',
  );
}

const MS_IN = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 } as const;

/** Parses a time such as `10s` or `500ms`, or a number of seconds; returns milliseconds. */
export function timeSpan(text: string): number {
  const [, number = '', unit = 's'] = text.match(/^(\d+(?:\.\d+)?) ?(ms|s|m|min|h)?$/) ?? [];
  const value = Number(number) * MS_IN[unit as keyof typeof MS_IN];
  if (value > 0 && value < 2_000_000_000) return value;
  throw new InvalidArgumentError(
    'It must be a time greater than 0, such as 10s, 500ms, 2min or 1h; a number alone is seconds.',
  );
}

/** Parses a number of bytes such as `4096`, `64KiB` or `100MiB`. */
export function byteSize(text: string): number {
  const value = bytesIn(text);
  if (value !== null) return value;
  throw new InvalidArgumentError('It must be a number of bytes, such as 4096, 64KiB or 100MiB.');
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

/** The data of a message: the argument, or for `-` all of stdin; with `--hex`, decoded. */
export async function typedData(
  data: string | undefined,
  options: DataOptions,
): Promise<Uint8Array> {
  let bytes: Uint8Array;
  if (data === '-') bytes = await untilEnded(buffer(process.stdin)).catch(stdinFailed);
  else bytes = Buffer.from(data ?? '');
  return options.hex ? fromHex(Buffer.from(bytes).toString('latin1')) : bytes;
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
