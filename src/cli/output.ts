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
// A lost remark does not stop the command, and stderr can't report it: only the exit code can.
process.on('exit', () => {
  if (isRemarkLost && !process.exitCode) process.exitCode = Exit.OUTPUT;
});

/** Ends the command: stdout can't be written. */
function lost({ code, errno = 0, message }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') {
    end(code);
    return;
  }
  const why = getSystemErrorMap().get(errno)?.[1] ?? message;
  end(
    new Failure(Exit.OUTPUT, `can't write to stdout: ${code}, ${why}. The output is incomplete.`),
  );
}

/**
 * Writes text to stdout, and waits until it is written. Escapes control characters but newlines and tabs. Throws the
 * reason of {@link end} if the command ends meanwhile, also because the text can't be written.
 */
export function print(text: string): Promise<void> {
  return write(escapedLines(text));
}

/** The same for bytes, unchanged. */
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

/** Prints a line on stderr for the user; it is not part of the command's result. */
export function remark(text: string): void {
  process.stderr.write(`kbus: ${escaped(text)}\n`);
}
