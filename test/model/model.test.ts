import { describe, expect, it } from 'vitest';
import onceFailed from './once-failed.json' with { type: 'json' };
import type { Sequence } from './operations.ts';
import { agree, runs } from './property.ts';
import { anySequence, crowdedSequence, repeatedSequence, waitingSequence } from './sequences.ts';
import { runSequence } from './side-by-side.ts';

// KBUS_SEED and KBUS_PATH replay what failed; KBUS_RUNS is how many sequences to try, in percent.

describe('the engine and a naive model of the specification agree', () => {
  it.for([
    ['on everything programs can do', anySequence, 4000],
    ['on senders that wait for room', waitingSequence, 4000],
    ['on ids that come twice', repeatedSequence, 3000],
    ['on more bind events than can be held', crowdedSequence, 40],
  ] as const)('%s', { timeout: 3_600_000 }, ([test, arbitrary, usual]) => {
    agree(test, arbitrary, runs(usual));
  });

  it.for(onceFailed as { why: string; sequence: Sequence }[])(
    'on what failed once: $why',
    ({ sequence }) => {
      expect(() => runSequence(sequence)).not.toThrow();
    },
  );
});
