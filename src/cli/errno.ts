import { getSystemErrorMap } from 'node:util';
import type { Command } from 'commander';
import { MEANING, UNIX_TEXT } from '../message/all-meanings.ts';
import { type Call, codeOf, Errno, type ErrorCode } from '../message/errno.ts';
import { Exit, Failure } from './failure.ts';
import { print, printJson } from './output.ts';

export function configure(command: Command): void {
  command
    .argument('[error]', 'number or name of an error, such as 32 or EPIPE (default: all of KBUS)')
    .option('--json', 'print JSON: one object per line')
    .addHelpText(
      'after',
      `
Explains an error number: its meaning in Unix, and in KBUS for each call that fails with it.

Examples:
  kbus errno 32
  kbus errno EPIPE
  kbus errno`,
    )
    .action(errno);
}

async function errno(error: string | undefined, { json }: { json?: true }): Promise<void> {
  const numbers = error === undefined ? Object.values(Errno) : [numberOf(error)];
  numbers.sort((a, b) => a - b);
  const texts: string[] = [];
  for (const number of numbers) {
    if (json) await printJson({ errno: number, ...entryOf(number) });
    else texts.push(textOf(number));
  }
  if (!json) await print(texts.join('\n'));
}

/** 32 for `32`, `-32`, `0x20`, `EPIPE` or `epipe`. */
function numberOf(error: string): number {
  const code = error.toUpperCase();
  if (code in Errno) return Errno[code as ErrorCode];
  for (const [number, [name]] of getSystemErrorMap()) if (name === code) return -number;
  const number = Math.abs(Number(error));
  if (error.trim() !== '' && (codeOf(number) ?? getSystemErrorMap().has(-number))) return number;
  throw new Failure(
    Exit.USAGE,
    `'${error}' is not an error of this system; the errors of KBUS are ${Object.keys(Errno).join(', ')}`,
  );
}

interface Entry {
  readonly code: string;
  readonly unix: string;
  /** The meaning in KBUS, by call. */
  readonly kbus: Readonly<Record<string, string>>;
}

function entryOf(number: number): Entry {
  const code = codeOf(number);
  if (code === undefined) {
    const [name = '', unix = ''] = getSystemErrorMap().get(-number) ?? [];
    return { code: name, unix, kbus: {} };
  }
  const meanings = (Object.keys(MEANING) as Call[]).flatMap((call) => {
    const meaning = MEANING[call][code];
    return meaning === undefined ? [] : [[call === 'any' ? 'any call' : call, meaning]];
  });
  return { code, unix: UNIX_TEXT[code], kbus: Object.fromEntries(meanings) };
}

function textOf(number: number): string {
  const { code, unix, kbus } = entryOf(number);
  const calls = Object.entries(kbus);
  const head = `Error ${number} (0x${number.toString(16)}) is ${code}: ${unix}\n`;
  if (calls.length === 0) return `${head}No call of KBUS fails with it.\n`;
  return `${head}${calls.map(([call, meaning]) => `  ${call}: ${meaning}\n`).join('')}`;
}
