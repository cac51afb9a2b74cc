import process from 'node:process';
import { isatty } from 'node:tty';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

type Signal = keyof typeof SIGNALS;

/** A command ends before it is done, and nothing is wrong: by a signal, or because nobody reads what it prints (EPIPE). */
export class Ending extends Error {
  override readonly name = 'Ending';
  readonly by: Signal | 'EPIPE';

  constructor(by: Signal | 'EPIPE') {
    super(by);
    this.by = by;
  }

  /** As shells tell it: 128 and the signal's number. Whoever stopped reading has what they wanted. */
  get exitCode(): number {
    return this.by === 'EPIPE' ? 0 : 128 + SIGNALS[this.by];
  }
}

const controller = new AbortController();

/** Aborted when the command is to end at once: with an {@link Ending}, or with the error that ends it. */
export const ending: AbortSignal = controller.signal;

/** Ends the command. The first reason counts. */
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
 * SIGHUP says that the terminal has gone. Whoever starts a program with `nohup` wants it to go on then, but Node forgets
 * at its start that the signal was ignored. What can be seen of `nohup` is that no terminal is left to read or write.
 */
function hasTerminal(): boolean {
  return isatty(0) || isatty(1) || isatty(2);
}

/** Ends the process, if the command was to end: what it waited for may never come. */
export function leave(): void {
  if (!ending.aborted) return;
  // When Node exits it sets the terminal back to what it was, and aborts where that has gone. The signal doesn't.
  if (ending.reason instanceof Ending && ending.reason.by === 'SIGHUP') {
    process.kill(process.pid, 'SIGHUP');
  }
  process.exit();
}

/** Resolves when the command is to end. */
export function ended(): Promise<Ending> {
  return new Promise((resolve) => {
    if (ending.aborted) resolve(ending.reason as Ending);
    else ending.addEventListener('abort', () => resolve(ending.reason as Ending), { once: true });
  });
}

/**
 * Settles as the promise does, or rejects with the reason for which the command is to end, if that comes first. Every
 * wait of a command is within one of these: a daemon that is stopped answers nothing, and a pipe may be full for ever.
 */
export function untilEnded<T>(promise: Promise<T>): Promise<T> {
  return unlessAborted(promise, ending);
}

/** The same with another signal. A race with a promise would keep something of each wait until that settles. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
