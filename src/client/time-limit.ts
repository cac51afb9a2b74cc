import { offAbort, onAbort } from '../base/abort.ts';
import { MAX_TIMER_MS, type Timer, type Timers } from '../base/timers.ts';

// Waits that end when their time is over, or their signal says so.

/** Reason of a signal that ends a wait because its time is over. The program may still give it up. */
export class TimeOver {
  readonly signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.signal = signal;
  }
}

/**
 * How long, in milliseconds, a bus may take to tell what there is. A wait whose time is over sooner asks,
 * for what is there must be found however short the wait is; but not of a daemon that doesn't answer. A Request
 * whose time is over is forgotten, and the bus may take as long to tell whether anybody had read it.
 */
export const MAX_TELLING_MS = 1000;

/**
 * Follows the signal that ends a wait: `ask` is called when it does, and `leave` when no answer to that is
 * to be waited for. That is at once when the program has given up; when its time is over, and the bus had
 * time enough to tell. Returns what ends the following.
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
  let mayGiveUp: AbortSignal | undefined;
  const ended = (): void => {
    const { reason } = signal;
    ask();
    if (!(reason instanceof TimeOver)) {
      leave();
      return;
    }
    timer = timers.setTimeout(leave, Math.max(0, began + MAX_TELLING_MS - timers.now()));
    mayGiveUp = reason.signal;
    onAbort(mayGiveUp, leave);
  };
  onAbort(signal, ended);
  return () => {
    timers.clearTimeout(timer);
    offAbort(signal, ended);
    offAbort(mayGiveUp, leave);
  };
}

/** Longer than timers can wait is as good as without end. */
export function timerMs(timeout: number): number {
  return Math.min(timeout, MAX_TIMER_MS);
}

/** Runs a wait with a signal that ends it when the time is over, or the caller's signal says so. */
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

/** Resolves when the promise does, or the signal ends the wait for it. */
export function ended(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    onAbort(signal, resolve);
    promise.then(resolve, reject).finally(() => offAbort(signal, resolve));
  });
}
