import process from 'node:process';
import { buffer } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { escaped } from '../base/escape.ts';
import { untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';

/** Reads a whole number of an option. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`);
  };
}

/** Reads seconds, and gives milliseconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value < 2_000_000) return value * 1000;
  throw new InvalidArgumentError('It must be a number of seconds over 0, such as 5 or 0.5.');
}

/**
 * The name of a message, as typed. One that doesn't begin with `$.` was mistyped, or changed on its way
 * here, and KBUS's own answer would not help to see how.
 */
export function typedName(name: string): string {
  if (name.startsWith('$.')) return name;
  // A shell makes its process id of "$$".
  const words = escaped(name.replace(/^(?:\d+\.|[$.]+)/, ''));
  const meant = `'$.${words === '' ? 'Some.Name' : words}'`;
  throw new Failure(
    Exit.USAGE,
    `${name === '' ? 'an empty name' : `'${escaped(name)}'`} is not the name of a message: those begin with '$.', as ${meant}.
If you typed the $, something took it for a variable: a shell does so within double quotes,
and make everywhere. Put the name in single quotes, ${meant}, and in a Makefile write $$.`,
  );
}

export interface DataOptions {
  hex?: true;
}

/** The data of a message: what was typed; what stdin has, for `-`; with `--hex`, the bytes it spells. */
export async function typedData(
  data: string | undefined,
  options: DataOptions,
): Promise<Uint8Array> {
  let bytes: Uint8Array;
  if (data === '-') bytes = await untilEnded(buffer(process.stdin)).catch(notRead);
  else bytes = Buffer.from(data ?? '');
  return options.hex ? fromHex(Buffer.from(bytes).toString('latin1')) : bytes;
}

function notRead(error: unknown): never {
  if (!(error instanceof Error && 'syscall' in error)) throw error;
  throw new Failure(Exit.USAGE, `the data can't be read from stdin: ${error.message}`, error);
}

function fromHex(text: string): Uint8Array {
  const digits = text.replace(/\s+/g, '');
  if (/^(?:[0-9a-f]{2})*$/i.test(digits)) return Buffer.from(digits, 'hex');
  const wrong = digits.match(/[^0-9a-f]/i)?.[0];
  throw new Failure(
    Exit.USAGE,
    wrong === undefined
      ? `the hex data has ${digits.length} digits; each byte takes two, as in 00ff41`
      : `'${wrong}' is not a hex digit; each byte takes two digits, as in 00ff41`,
  );
}
