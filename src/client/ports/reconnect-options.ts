import { MAX_TIMER_MS } from '../../base/timers.ts';

// When a Ksock reconnects after its connection was lost: the options, and their checks.

/**
 * How a Ksock tries to get its bus back.
 *
 * @see {@link KsockOptions} for an example
 */
export interface ReconnectOptions {
  /**
   * Milliseconds before the first attempt, from 1; the pause doubles before each further attempt. The Ksock shortens each
   * pause by a random part of up to a half, so that clients don't reconnect all at once. Default: 50.
   */
  minDelay?: number | undefined;
  /** The longest pause between attempts, in milliseconds, from `minDelay`. Default: 2000, or `minDelay` if longer. */
  maxDelay?: number | undefined;
}

export type Delays = { readonly minDelay: number; readonly maxDelay: number };

/** The delays, or null for a Ksock that doesn't reconnect. Throws a TypeError for a wrong option. */
export function reconnectDelays(reconnect: boolean | ReconnectOptions | undefined): Delays | null {
  if (reconnect === undefined || reconnect === false) return null;
  if (reconnect !== true && (typeof reconnect !== 'object' || reconnect === null)) {
    throw new TypeError(
      `reconnect must be true, false or an object such as { minDelay: 50 }, not ${String(reconnect)}`,
    );
  }
  const { minDelay = 50, maxDelay = Math.max(2000, minDelay) } =
    reconnect === true ? {} : reconnect;
  checkDelay('minDelay', minDelay, 1);
  checkDelay('maxDelay', maxDelay, minDelay);
  return { minDelay, maxDelay };
}

/** The next delay after this one. */
export function nextDelay(delay: number, { maxDelay }: Delays): number {
  return Math.min(delay * 2, maxDelay);
}

/** A random pause between half of `delay` and all of it. */
export function jittered(delay: number): number {
  return delay * (1 - Math.random() / 2);
}

function checkDelay(what: string, delay: unknown, from: number): void {
  if (typeof delay === 'number' && delay >= from && delay <= MAX_TIMER_MS) return;
  throw new TypeError(
    `${what} must be a number of milliseconds from ${from} to ${MAX_TIMER_MS}, not ${String(delay)}`,
  );
}
