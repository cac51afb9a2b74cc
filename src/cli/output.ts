import process from 'node:process';
import { getSystemErrorMap } from 'node:util';
import { escaped, escapedJson, escapedLines } from '../base/escape.ts';
import { end, ending, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';

let isRemarkLost = false;

process.stdout.on('error', lost);
process.stderr.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') isRemarkLost = true;
});
// Nobody could be told; and a remark is no reason to stop.
process.on('exit', () => {
  if (isRemarkLost && !process.exitCode) process.exitCode = Exit.OUTPUT;
});

/** What is printed gets nowhere: that ends the command. */
function lost({ code, errno = 0, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') {
    end(code);
    return;
  }
  const why = getSystemErrorMap().get(errno)?.[1] ?? message;
  end(
    new Failure(
      Exit.OUTPUT,
      `stdout took no more: ${code}, ${why}. What was printed is not complete.`,
    ),
  );
}

/**
 * Writes text to stdout, and waits while its reader is slow. What upsets a terminal is escaped, except newlines and tabs.
 * Throws what {@link end} was called with when it can't be written, or the command is to end.
 */
export function print(text: string): Promise<void> {
  return write(escapedLines(text));
}

/** Writes bytes as they are; likewise. */
export async function write(bytes: Uint8Array | string): Promise<void> {
  ending.throwIfAborted();
  const written = new Promise<void>((resolve) => {
    process.stdout.write(bytes, (error) => {
      if (error) lost(error);
      resolve();
    });
  });
  await untilEnded(written);
}

/** Prints a value as one line of JSON. */
export function printJson(value: object): Promise<void> {
  return write(`${escapedJson(value)}\n`);
}

/** Tells the person at the terminal something, in one line, that is not the command's result. */
export function remark(text: string): void {
  process.stderr.write(`kbus: ${escaped(text)}\n`);
}
