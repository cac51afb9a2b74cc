import { performance } from 'node:perf_hooks';
import type { Latency } from './latency.ts';
import { serialAt, stamp } from './stamp.ts';

/** `length` bytes of data at `bytes[at]`; only valid during the call. */
export type Hear = (bytes: Uint8Array, at: number, length: number) => void;

/** Sends one request to the name with this number, and calls `done` with the data of its reply. */
export type Ask = (data: Buffer, done: Hear, name: number) => void;

export interface Asking {
  /** Bytes of data in each request. */
  readonly size: number;
  /** Requests in flight. */
  readonly inFlight: number;
  /** The number of names, used in turn. */
  readonly names?: number;
}

export interface Asked {
  /** Requests answered. */
  readonly count: number;
  /** Replies that did not match their request. */
  readonly wrong: number;
  readonly seconds: number;
}

/** Requests between two readings of the clock, when latencies are not recorded. */
const REQUESTS_PER_CLOCK = 64;

/**
 * Gives a function that keeps requests in flight for `time` milliseconds, and records their latencies if it gets a
 * `latency`: recording takes time, too. Serials go on from run to run.
 */
export function asking(
  ask: Ask,
  { size, inFlight, names = 1 }: Asking,
): (time: number, latency?: Latency | null) => Promise<Asked> {
  // The data of a request stays unchanged until its reply.
  const buffers = Array.from({ length: inFlight }, (_, at) => Buffer.alloc(size, at));
  let serial = 0;
  return (time, latency = null) =>
    new Promise((resolve) => {
      let [count, wrong, flying] = [0, 0, inFlight];
      let isOver = false;
      const begin = performance.now();
      const end = begin + time;

      const slot = (data: Buffer): (() => void) => {
        let asked = 0;
        let since = 0;
        const next = (): void => {
          asked = ++serial;
          stamp(data, asked, false);
          if (latency !== null) since = performance.now();
          ask(data, done, asked % names);
        };
        const done: Hear = (bytes, at, length) => {
          // Read the clock first: the checks don't belong to the latency.
          if (latency !== null) isOver = latency.record(since) >= end;
          if (length !== size || serialAt(bytes, at) !== asked) wrong++;
          count++;
          if (latency === null && count % REQUESTS_PER_CLOCK === 0)
            isOver = performance.now() >= end;
          if (!isOver) next();
          else if (--flying === 0) finish();
        };
        return next;
      };
      const finish = (): void =>
        resolve({ count, wrong, seconds: (performance.now() - begin) / 1000 });
      for (const next of buffers.map(slot)) next();
    });
}
