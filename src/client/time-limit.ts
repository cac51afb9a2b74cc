import { offAbort, onAbort } from '../base/abort.ts';

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
export const TIME_TO_TELL = 1000;

/**
 * Follows the signal that ends a wait: `ask` is called when it does, and `leave` when no answer to that is
 * to be waited for. That is at once when the program has given up; when its time is over, and the bus had
 * time enough to tell. Returns what ends the following.
 */
export function whenEnded(
  signal: AbortSignal | undefined,
  ask: () => void,
  leave: () => void,
): () => void {
  if (signal === undefined) return () => {};
  const began = performance.now();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let mayGiveUp: AbortSignal | undefined;
  const ended = (): void => {
    const { reason } = signal;
    ask();
    if (!(reason instanceof TimeOver)) {
      leave();
      return;
    }
    timer = setTimeout(leave, Math.max(0, began + TIME_TO_TELL - performance.now()));
    mayGiveUp = reason.signal;
    onAbort(mayGiveUp, leave);
  };
  onAbort(signal, ended);
  return () => {
    clearTimeout(timer);
    offAbort(signal, ended);
    offAbort(mayGiveUp, leave);
  };
}
