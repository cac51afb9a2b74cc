import process from 'node:process';
import { end, ended, ending } from './ending.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // EIO: the terminal has gone.
  if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  end('EPIPE');
});

/** Writes to stdout, and waits while its reader is slow. Throws the Ending when there is none any more. */
export async function print(text: string | Uint8Array): Promise<void> {
  ending.throwIfAborted();
  if (process.stdout.write(text)) return;
  await Promise.race([new Promise((resolve) => process.stdout.once('drain', resolve)), ended()]);
  ending.throwIfAborted();
}

/** Prints a value as one line of JSON. */
export function printJson(value: object): Promise<void> {
  return print(`${JSON.stringify(value)}\n`);
}

/** Tells the person at the terminal something that is not the command's result. */
export function remark(text: string): void {
  process.stderr.write(`kbus: ${text}\n`);
}
