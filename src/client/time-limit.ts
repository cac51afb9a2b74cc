import { offAbort, onAbort } from '../base/abort.ts';
import { MAX_TIMER_MS, type Timer, type Timers } from '../base/timers.ts';

// Waits that end after a timeout, or when their signal aborts.

/** The abort reason of a timeout. The program may still abort the call with its own signal. */
export class TimeOver {
  readonly signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }
}

/**
 * The longest time in milliseconds for which a call waits for the daemon's last word after its timeout. Even with a
 * timeout of 0 ms, a wait asks the daemon once; a Request that timed out asks whether its Replier has read it.
 */
export const MAX_ANSWER_MS = 1000;

/**
 * Calls `ask` when the signal ends the wait, and `leave` when the call must not wait for the answer any longer: at once
 * when the program aborted; after a timeout, {@link MAX_ANSWER_MS} after the wait began. Returns a function that removes
 * the listeners.
 */
export function whenEnded(
  signal: AbortSignal | undefined,
  ask: () => void,
  leave: () => void,
  timers: Timers,
): () => void {
  if (signal === undefined) return () => {};
  const began = timers.now();
  let timer: Timer | undefined;
  let programSignal: AbortSignal | undefined;
  const ended = (): void => {
    const { reason } = signal;
    ask();
    if (!(reason instanceof TimeOver)) {
      leave();
      return;
    }
    timer = timers.setTimeout(leave, Math.max(0, began + MAX_ANSWER_MS - timers.now()));
    programSignal = reason.signal;
    onAbort(programSignal, leave);
  };
  onAbort(signal, ended);
  return () => {
    timers.clearTimeout(timer);
    offAbort(signal, ended);
    offAbort(programSignal, leave);
  };
}

/** A delay that timers accept: they can't wait longer than 25 days. */
export function timerMs(timeout: number): number {
  return Math.min(timeout, MAX_TIMER_MS);
}

/** Runs a wait with a signal that aborts after the timeout, or with the caller's signal. */
export async function timed<T>(
  timeout: number | undefined,
  signal: AbortSignal | undefined,
  timers: Timers,
  wait: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (timeout === undefined) return wait(signal);
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  const over = (): void => controller.abort(new TimeOver(signal));
  const timer = timers.setTimeout(over, timerMs(timeout));
  onAbort(signal, abort);
  try {
    return await wait(controller.signal);
  } finally {
    timers.clearTimeout(timer);
    offAbort(signal, abort);
  }
}

/** Settles with the promise, or resolves when the signal aborts. */
export function ended(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    onAbort(signal, resolve);
    promise.then(resolve, reject).finally(() => offAbort(signal, resolve));
  });
}
