import { performance } from 'node:perf_hooks';
import type { Latency } from './latency.ts';
import { serialAt, stamp } from './stamp.ts';

/** `length` bytes of data at `bytes[at]`; only valid during the call. */
export type Hear = (bytes: Uint8Array, at: number, length: number) => void;

/** Sends one request, and calls `done` with the data of its reply. `name` is the number of the name it goes to. */
export type Ask = (data: Buffer, done: Hear, name: number) => void;

export interface Asking {
  /** Bytes of data in each request. */
  readonly size: number;
  /** How many are in flight. */
  readonly inFlight: number;
  /** How many names they go to in turn. */
  readonly names?: number;
}

export interface Asked {
  /** Requests answered. */
  readonly count: number;
  /** Replies that were not to their request. */
  readonly wrong: number;
  readonly seconds: number;
}

/** Requests between two looks at the clock, when each is not timed. */
const BETWEEN = 64;

/**
 * How to keep requests in flight for so many milliseconds, and to record how long each takes, if there is something to
 * record it in: that takes time, too. Serials go on from run to run.
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
          // The clock first: what comes after is not the bus's.
          if (latency !== null) isOver = latency.record(since) >= end;
          if (length !== size || serialAt(bytes, at) !== asked) wrong++;
          count++;
          if (latency === null && count % BETWEEN === 0) isOver = performance.now() >= end;
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
