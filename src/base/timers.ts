/** What `setTimeout` gives: an object in Node, a number in a browser. */
export type Timer = number | { ref(): unknown; unref(): unknown };

/** The clock and the timers that a part uses; a simulator gives its own. */
export interface Timers {
  /** Milliseconds since some moment; never goes back. */
  now(): number;
  setTimeout(callback: () => void, milliseconds: number): Timer;
  clearTimeout(timer: Timer | undefined): void;
  queueMicrotask(callback: () => void): void;
}

/** Those of the machine. Each looks for its function when it is called, for a test may have put another one there. */
export const systemTimers: Timers = {
  now: () => performance.now(),
  setTimeout: (callback, milliseconds) => setTimeout(callback, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as Parameters<typeof clearTimeout>[0]),
  queueMicrotask: (callback) => queueMicrotask(callback),
};

/** The longest time, in milliseconds, that a timer can wait. */
export const MAX_TIMER_MS = 0x7fff_ffff;
