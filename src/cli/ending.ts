import process from 'node:process';
import { isatty } from 'node:tty';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

type Signal = keyof typeof SIGNALS;

/** What ends a command: a signal, the end of its output's reader (EPIPE), or the end of the time that its user gave. */
type Ender = Signal | 'EPIPE' | 'time';

/** A command ends early without an error. */
export class Ending extends Error {
  override readonly name = 'Ending';
  readonly by: Ender;

  constructor(by: Ender) {
    super(by);
    this.by = by;
  }

  /** 128 plus the signal's number, as in shells; otherwise 0, since nobody wants more. */
  get exitCode(): number {
    return this.by === 'EPIPE' || this.by === 'time' ? 0 : 128 + SIGNALS[this.by];
  }
}

const controller = new AbortController();

/** Aborted when the command must end at once: with an {@link Ending}, or with an error. */
export const ending: AbortSignal = controller.signal;

/** Ends the command. Only the first call has an effect. */
export function end(by: Ending['by'] | Error): void {
  controller.abort(by instanceof Error ? by : new Ending(by));
}

/** From now on the first signal ends the command; a second one ends the process at once. */
export function watchSignals(): void {
  for (const signal of Object.keys(SIGNALS) as Signal[]) {
    if (signal === 'SIGHUP' && !hasTerminal()) process.on(signal, () => {});
    else process.once(signal, () => end(signal));
  }
}

/**
 * Whether SIGHUP should end the command. A program under `nohup` should ignore it, but Node resets ignored signals at its
 * start. `nohup` can still be recognized: none of the standard streams is a terminal.
 */
function hasTerminal(): boolean {
  return isatty(0) || isatty(1) || isatty(2);
}

/** Throws the error that has ended the command, such as a full disk: a command that was about to be done may not see it. */
export function mustBeWhole(): void {
  if (ending.aborted && !(ending.reason instanceof Ending)) throw ending.reason;
}

/** Exits if the command has ended early: a pending wait may otherwise keep the process alive for ever. */
export function leave(): void {
  if (!ending.aborted) return;
  // At its exit, Node restores the terminal's mode, and aborts if the terminal has gone; a signal skips that.
  if (ending.reason instanceof Ending && ending.reason.by === 'SIGHUP') {
    process.kill(process.pid, 'SIGHUP');
  }
  process.exit();
}

/** Resolves when the command must end. */
export function ended(): Promise<Ending> {
  return new Promise((resolve) => {
    if (ending.aborted) resolve(ending.reason as Ending);
    else ending.addEventListener('abort', () => resolve(ending.reason as Ending), { once: true });
  });
}

/**
 * Settles as the promise does, or rejects with the reason of {@link ending}, whichever is first. A command must wrap each
 * of its waits in this: a suspended daemon never answers, and a full pipe may never drain.
 */
export function untilEnded<T>(promise: Promise<T>): Promise<T> {
  return unlessAborted(promise, ending);
}

/** The same with another signal. Not a Promise.race, which would keep memory of each wait until both promises settle. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
