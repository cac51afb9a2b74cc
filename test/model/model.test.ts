import { describe, expect, it } from 'vitest';
import onceFailed from './once-failed.json' with { type: 'json' };
import type { Sequence } from './operations.ts';
import { agree, isUsual } from './property.ts';
import { anySequence, crowdedSequence, repeatedSequence, waitingSequence } from './sequences.ts';
import { runSequence, type Seen } from './side-by-side.ts';

// KBUS_SEED and KBUS_PATH replay a failure; KBUS_RUNS is the number of sequences, in percent of
// the usual number.

const seen: Seen = new Map();

/** The results of operations that must occur, or the sequences test too little. */
const OUTCOMES = [
  // EBADF, EAGAIN, EBUSY, EINVAL, EPIPE, ENAMETOOLONG, ENOLCK, EBADMSG, EMSGSIZE, EADDRNOTAVAIL, EALREADY
  ...[-9, -11, -16, -22, -32, -36, -37, -74, -90, -99, -114].map((errno) => `send ${errno}`),
  // ... and ECONNREFUSED
  ...[-9, -11, -16, -22, -74, -90, -99, -111, -114].map((errno) => `reply ${errno}`),
  ...['ok', '-11', '-36', '-74', '-98'].map((result) => `bind ${result}`),
  ...['unbind -22', 'unbind -74', 'unbind one ok', 'unbind one -11'],
  ...['resend ok', 'resend -11', 'resend -42', 'resend -99', 'poll ok', 'discard ok', 'send ok'],
  ...['polls 0', 'polls 1', 'sends again 0', 'sends again -11', 'sends again -99'],
  ...['forget unread', 'forget too late', 'large reply ok', 'large reply -90'],
  ...['max messages ok', 'max size ok', 'max size -22', 'once only ok', 'once only -22'],
  ...['hear own ok', 'hear own -22'],
  ...['report binds ok', 'report binds -16', 'report binds -22', 'find replier ok', 'events lost'],
  ...['take message', 'take $.KBUS.ReplierBindEvent', 'answered by Reply', 'close ok', 'reply ok'],
  ...['Unbound', 'GoneAway', 'Ignored', 'Disappeared'].flatMap((name) => [
    `take $.KBUS.Replier.${name}`,
    `answered by $.KBUS.Replier.${name}`,
  ]),
  '$.KBUS.ErrorSending',
];

describe('the engine and a naive model of the specification agree', () => {
  it.for([
    ['on all calls of programs', anySequence, 2000],
    ['on waiting sends', waitingSequence, 3000],
    ['on ids that occur twice', repeatedSequence, 1000],
    ['on more bind events than a bus may hold', crowdedSequence, 20],
  ] as const)('%s', { timeout: 3_600_000 }, ([, arbitrary, usual]) => {
    agree(arbitrary, usual, seen);
  });

  it.for(onceFailed as { why: string; sequence: Sequence }[])(
    'on a sequence that failed once: $why',
    ({ sequence }) => {
      expect(() => runSequence(sequence)).not.toThrow();
    },
  );

  it.runIf(isUsual)('on all results of operations, which all occurred', ({ skip }) => {
    skip(seen.size === 0, 'no sequences were tried');
    expect(OUTCOMES.filter((outcome) => !seen.has(outcome))).toEqual([]);
  });
});
