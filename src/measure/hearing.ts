import type { Hear } from './asking.ts';
import { nanoseconds } from './clock.ts';
import { isLastAt, senderAt, serialAt } from './stamp.ts';

/** What one connection heard since it was last asked. */
export interface Heard {
  readonly count: number;
  /** Serials that were passed over. */
  readonly lost: number;
  /** Messages of the wrong length, out of order, or heard before. */
  readonly wrong: number;
  /** When the last of them came; see {@link nanoseconds}. */
  readonly last: number;
}

export interface Ear {
  readonly hear: Hear;
  readonly take: () => Heard;
}

export interface Hearing {
  /** As {@link Announcing} says. */
  readonly lengths: readonly number[];
  readonly senders?: number;
}

/** Checks every serial of every sender. `ended` is called when the last message of a run has come from each of them. */
export function hearing({ lengths, senders = 1 }: Hearing, ended: () => void): Ear {
  /** The serial that comes next, by sender. */
  const next: number[] = new Array(senders).fill(1);
  let running = senders;
  let [count, lost, wrong, last] = [0, 0, 0, 0];
  return {
    hear(bytes, at, length) {
      const serial = serialAt(bytes, at);
      const sender = senderAt(bytes, at);
      const expected = next[sender];
      const fits = length === lengths[serial % lengths.length];
      // Nothing is expected from nobody who sends.
      if (expected !== undefined && serial >= expected && fits) {
        lost += serial - expected;
        next[sender] = serial + 1;
      } else {
        wrong++;
      }
      count++;
      // The last message may itself get lost; then this is near enough.
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
