import type { Hear } from './asking.ts';
import { nanoseconds } from './clock.ts';
import { isLastAt, senderAt, serialAt } from './stamp.ts';

/** The messages that one connection has received since the last `take`. */
export interface Heard {
  readonly count: number;
  /** Serials that were skipped. */
  readonly lost: number;
  /** Messages of the wrong length, out of order, or received twice. */
  readonly wrong: number;
  /** When the last message was received: see {@link nanoseconds}. */
  readonly last: number;
}

export interface Ear {
  readonly hear: Hear;
  readonly take: () => Heard;
}

export interface Hearing {
  /** As in {@link Announcing}. */
  readonly lengths: readonly number[];
  readonly senders?: number;
}

/** Checks every serial of every sender. Calls `ended` after the last message of a run of each sender. */
export function hearing({ lengths, senders = 1 }: Hearing, ended: () => void): Ear {
  /** The next serial, by sender. */
  const next: number[] = new Array(senders).fill(1);
  let running = senders;
  let [count, lost, wrong, last] = [0, 0, 0, 0];
  return {
    hear(bytes, at, length) {
      const serial = serialAt(bytes, at);
      const sender = senderAt(bytes, at);
      const expected = next[sender];
      const fits = length === lengths[serial % lengths.length];
      // No serial is expected from an unknown sender.
      if (expected !== undefined && serial >= expected && fits) {
        lost += serial - expected;
        next[sender] = serial + 1;
      } else {
        wrong++;
      }
      count++;
      // The last message may get lost: then this time is near enough.
      if ((count & 255) === 0) last = nanoseconds();
      if (!isLastAt(bytes, at)) return;
      last = nanoseconds();
      if (--running > 0) return;
      running = senders;
      ended();
    },
    take() {
      const heard = { count, lost, wrong, last };
      count = lost = wrong = last = 0;
      running = senders;
      return heard;
    },
  };
}
