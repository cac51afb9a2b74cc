import process from 'node:process';
import { escaped, escapedLines } from '../base/escape.ts';
import { Ending, ended, ending } from './ending.ts';

/** Exit codes of `kbus`. */
export const Exit = {
  /** KBUS refused a call: stderr says which, and why. */
  REFUSED: 1,
  /** The command line is wrong. */
  USAGE: 2,
  /** There is no such bus, or its daemon has stopped. */
  NO_BUS: 3,
  /** An unexpected exception (EX_SOFTWARE). */
  BUG: 70,
  /** The output could not be written, or a file not be read or written (EX_IOERR). */
  OUTPUT: 74,
} as const;

/** A command fails. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: number;

  constructor(exitCode: number, text: string, cause?: unknown) {
    super(text, cause === undefined ? undefined : { cause });
    this.exitCode = exitCode;
  }
}

/** Prints an error on stderr, and sets the exit code. */
export async function report(error: unknown): Promise<void> {
  const { text, exitCode } = await outcomeOf(error);
  process.exitCode = exitCode;
  if (text === '') return;
  const written = new Promise<void>((resolve) => {
    // Nobody can be told that stderr takes nothing: the exit code of the error itself says most.
    process.stderr.once('error', () => resolve());
    process.stderr.write(`kbus: ${escapedLines(text)}\n`, () => resolve());
  });
  // Ctrl-C ends this wait, too, but an error that ended the command must be written.
  await (ending.aborted ? written : Promise.race([written, ended()]));
}

async function outcomeOf(error: unknown): Promise<{ text: string; exitCode: number }> {
  // Imported on demand: a command that succeeds needs none of it.
  const { KbusError } = await import('../message/error.ts');
  const { StatusError } = await import('../message/request-error.ts');
  const { DirectoryError } = await import('../system/socket-folder.ts');
  if (error instanceof Failure) return { text: error.message, exitCode: error.exitCode };
  if (error instanceof Ending) return { text: '', exitCode: error.exitCode };
  if (error instanceof DirectoryError) return { text: error.message, exitCode: Exit.USAGE };
  if (error instanceof KbusError) {
    const { BUS_GONE_AWAY } = await import('../client/ports/port.ts');
    const isGone =
      error.code === 'ECONNRESET' ||
      (error instanceof StatusError && error.status.name === BUS_GONE_AWAY);
    // The message may have text of another program; only our own lines keep their newlines.
    const message = escaped(error.message);
    if (!isGone) return { text: message, exitCode: Exit.REFUSED };
    const { kbusCommand } = await import('./self.ts');
    const again = `Start it again with:  ${kbusCommand()} serve`;
    return { text: `${message}\n${again}`, exitCode: Exit.NO_BUS };
  }
  const details = error instanceof Error ? error.stack : String(error);
  return { text: `this is a bug in kbus; please report it\n${details}`, exitCode: Exit.BUG };
}
