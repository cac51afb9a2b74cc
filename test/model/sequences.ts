import fc from 'fast-check';
import {
  ALL_OR_FAIL,
  ALL_OR_WAIT,
  ASK,
  REPLIER_BIND_EVENT,
  SYNTHETIC,
  UNBIND_EVENTS_LOST,
  URGENT,
  WANT_A_REPLY,
  WANT_YOU_TO_REPLY,
} from './naive-bus.ts';
import { type Operation, SEATS, type Seat, type SendFields, type Sequence } from './operations.ts';

// Few names, few Ksocks and short queues, so that interesting states are frequent.

/** `count` times a value, for a choice in which it is likely. */
function times<T>(count: number, value: T): T[] {
  return new Array<T>(count).fill(value);
}

/** One of these, the first of which is the simplest. */
function choose<T>(...choices: readonly (T | readonly T[])[]): fc.Arbitrary<T> {
  return fc.constantFrom(...(choices.flat() as T[]));
}

type Fields<T> = { [Key in keyof T]-?: fc.Arbitrary<Exclude<T[Key], undefined>> };
type OperationOf<Do> = Extract<Operation, { do: Do }>;

const at = fc.nat(SEATS - 1);

/** An operation at any seat, with these fields. */
function operation<Do extends Operation['do']>(
  what: Do,
  fields: Fields<Omit<OperationOf<Do>, 'do' | 'at'>>,
): fc.Arbitrary<Operation> {
  return fc.record({ do: fc.constant(what), at, ...fields }) as unknown as fc.Arbitrary<Operation>;
}

/** One of these, by weight. */
function mixed<T>(...parts: readonly (readonly [weight: number, part: fc.Arbitrary<T>])[]) {
  return fc.oneof(...parts.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

const MALFORMED = ['', '$', '$.', 'A', 'A.B', '.A', '$A', '$..A', '$.A.', '$.A B', '$.É', '$.A\n'];
const MISPLACED = ['$.*.A', '$.A*', '$.%B.A', '$.A.%.*.B', '$*', '*', '$.**', '$.A.%%', '%', '$%'];
/** 1000 bytes. */
const LONG = `$.${'L'.repeat(998)}`;
const TOO_LONG = [`${LONG}L`, `${LONG}.*`, '!'.repeat(1001)];

const sendable = choose(
  times(30, '$.A'),
  times(30, '$.A.B'),
  times(15, '$.A.B.C'),
  times(15, '$.B'),
  times(5, '$.A.b_-1.C'),
  times(3, '$.-_'),
  times(4, REPLIER_BIND_EVENT),
  times(2, LONG),
  UNBIND_EVENTS_LOST,
  '$.KBUS.Replier.GoneAway',
);

const wildcard = choose(
  times(10, '$.A.*'),
  times(10, '$.A.%'),
  times(10, '$.*'),
  times(6, '$.%'),
  times(6, '$.A.B.*'),
  times(3, '$.A.B.%'),
  times(4, '$.%.B'),
  times(4, '$.%.*'),
  times(3, '$.A.%.C'),
  times(3, '$.%.B.%'),
  times(2, '$.%.%.C'),
  times(2, '$.%.%.*'),
  times(2, '$.KBUS.*'),
  times(2, '$.KBUS.%'),
  `$.${'L'.repeat(996)}.*`,
);

const wrongName = choose(MALFORMED, MALFORMED, MISPLACED, TOO_LONG);
const toSend = mixed([120, sendable], [3, wildcard], [3, wrongName]);
const toBind = mixed(
  [60, sendable],
  [40, wildcard],
  [12, fc.constant(REPLIER_BIND_EVENT)],
  [2, wrongName],
);

const allOr = choose(
  times(18, 0),
  times(18, ALL_OR_WAIT),
  times(9, ALL_OR_FAIL),
  ALL_OR_WAIT | ALL_OR_FAIL,
);

/** Flags that users can't set, and flags that KBUS carries unchanged. */
const otherFlags = choose(
  times(12, 0),
  WANT_YOU_TO_REPLY,
  SYNTHETIC,
  1 << 5,
  (1 << 31) | (1 << 16),
);

function sendFields(wantAReply: fc.Arbitrary<number>): Fields<SendFields> {
  return {
    name: toSend,
    flags: fc
      .tuple(wantAReply, allOr, otherFlags, choose(0, 0, 0, URGENT))
      .map((flags) => flags.reduce((all, flag) => all | flag) >>> 0),
    size: mixed([20, fc.nat(5)], [1, choose(300, 396, 397, 1300, 1301, 2400)]),
    network: choose(times(9, 0), 1, 1, 0xffff_ffff),
    serial: fc.nat(1),
  };
}

const to = choose<OperationOf<'send'>['to']>(times(40, 0), times(6, 'replier'), 1, 2, 3, 'nobody');

const send = operation('send', {
  to,
  awaited: choose(false, false, false, true),
  ...sendFields(choose(times(3, 0), times(5, WANT_A_REPLY))),
});

const reply = operation('reply', {
  of: choose<OperationOf<'reply'>['of']>(
    times(8, 'read'),
    times(3, 'unread'),
    'anothers',
    'ever',
    'ever',
  ),
  which: fc.nat(3),
  astray: choose(times(20, false), true),
  ...sendFields(choose(times(30, 0), WANT_A_REPLY)),
});

const bind = operation('bind', { name: toBind, replier: fc.boolean() });
const unbindOne = operation('unbind one', { which: fc.nat(3) });
const seat: fc.Arbitrary<Seat> = fc.record({
  mode: choose<Seat['mode']>(times(25, 'rw'), 'r'),
  temper: choose<Seat['temper']>(times(3, 'waits'), times(2, 'polls'), 'sends again'),
});
const open = operation('open', { seat });
const close = operation('close', {});
const take = operation('take', { over: choose(times(12, 0), 1, 2) });
const takeMany = operation('take many', { count: choose(1, 2, 3) });
const poll = operation('poll', {});
const resend = operation('resend', {});
const discard = operation('discard', {});
const forget = operation('forget', { which: fc.nat(3), shown: choose(times(4, 0), 1, 2) });
const maxMessages = operation('max messages', {
  value: choose(times(4, 2), times(3, 1), times(3, 3), times(2, 4), 0),
});
const toggle = choose(times(8, 1), times(4, 0), ASK, 2);
const onceOnly = operation('once only', { value: toggle });
const hearOwn = operation('hear own', { value: toggle });

function sequence(
  start: Fields<Omit<Sequence, 'seats' | 'operations'>>,
  bindings: fc.Arbitrary<Operation>,
  operations: fc.Arbitrary<Operation>,
  longest: number,
): fc.Arbitrary<Sequence> {
  const parts = fc.record({
    ...start,
    seats: fc.array(seat, { minLength: SEATS, maxLength: SEATS }),
    // Without a few bindings most operations have no effect.
    bindings: fc.array(bindings, { maxLength: 10 }),
    more: fc.array(operations, { maxLength: longest, size: 'max' }),
  });
  return fc.noBias(parts).map(({ bindings, more, ...rest }) => ({
    ...rest,
    operations: [...bindings, ...more],
  }));
}

/** All calls of programs, in any order. */
export const anySequence = sequence(
  {
    limit: fc.integer({ min: 1, max: 4 }),
    nextSerial: choose(1, 1, 1, 0xffff_fff8, 0xffff_ffff),
  },
  bind,
  mixed(
    [26, send],
    [14, reply],
    [18, take],
    [2, takeMany],
    [12, bind],
    [5, unbindOne],
    [
      1,
      operation('unbind', {
        name: mixed([6, toBind], [1, wrongName]),
        replier: fc.boolean(),
      }),
    ],
    [2, resend],
    [4, poll],
    [2, discard],
    [4, forget],
    [3, close],
    [5, open],
    [4, maxMessages],
    [3, onceOnly],
    [2, hearOwn],
    [3, operation('report binds', { value: toggle })],
    [
      2,
      operation('max size', {
        value: choose(times(3, 1400), times(4, 120), 0, 1, 99, 100, times(2, 2400), 2401),
      }),
    ],
    [1, operation('find replier', { name: toBind })],
  ),
  70,
);

const waitingNames = choose('$.A', '$.A', '$.A.B', '$.A.B', '$.B');
const noId = { size: fc.constant(0), network: fc.constant(0), serial: fc.constant(0) };

/** Mostly ALL_OR_WAIT and full queues. */
export const waitingSequence = sequence(
  { limit: fc.integer({ min: 1, max: 2 }), nextSerial: fc.constant(1) },
  operation('bind', {
    name: choose('$.A', '$.A', '$.A.B', '$.A.B', '$.A.*', '$.*', '$.A.%'),
    replier: fc.boolean(),
  }),
  mixed(
    [
      26,
      operation('send', {
        to: choose<OperationOf<'send'>['to']>(0, 0, 'replier'),
        awaited: choose(false, false, true),
        name: waitingNames,
        flags: choose(
          times(4, ALL_OR_WAIT),
          times(6, ALL_OR_WAIT | WANT_A_REPLY),
          ALL_OR_WAIT | URGENT,
          0,
          WANT_A_REPLY,
        ),
        ...noId,
      }),
    ],
    [
      12,
      operation('reply', {
        of: choose<OperationOf<'reply'>['of']>('read', 'read', 'unread'),
        which: fc.nat(2),
        astray: fc.constant(false),
        name: waitingNames,
        flags: choose(ALL_OR_WAIT, ALL_OR_WAIT, 0),
        ...noId,
      }),
    ],
    [12, take],
    [3, takeMany],
    [
      6,
      operation('bind', {
        name: choose('$.A', '$.A', '$.A.B', '$.A.B', '$.A.*', '$.*', '$.A.%'),
        replier: fc.boolean(),
      }),
    ],
    [6, unbindOne],
    [3, close],
    [5, open],
    [4, maxMessages],
    [6, poll],
    [2, resend],
    [2, discard],
    [5, forget],
  ),
  60,
);

/** Limpets' ids, which may occur twice (spec 1 §3), and urgent messages, which overtake others. */
export const repeatedSequence = sequence(
  { limit: fc.integer({ min: 2, max: 5 }), nextSerial: fc.constant(1) },
  operation('bind', { name: choose('$.A', '$.A.B', '$.A.*', '$.*'), replier: fc.boolean() }),
  mixed(
    [
      20,
      operation('send', {
        to: fc.constant(0),
        awaited: choose(false, true),
        name: choose('$.A', '$.A.B'),
        flags: choose(
          times(3, WANT_A_REPLY),
          times(3, WANT_A_REPLY | URGENT),
          WANT_A_REPLY | ALL_OR_WAIT,
          0,
        ),
        size: fc.constant(0),
        network: fc.constant(1),
        serial: choose(0, 0, 1),
      }),
    ],
    [
      12,
      operation('reply', {
        of: choose<OperationOf<'reply'>['of']>('read', 'read', 'unread', 'ever'),
        which: fc.nat(3),
        astray: fc.constant(false),
        name: choose('$.A', '$.A.B'),
        flags: choose(0, URGENT),
        size: fc.constant(0),
        network: choose(0, 1),
        serial: choose(0, 0, 1),
      }),
    ],
    [14, take],
    [2, takeMany],
    [3, forget],
    [4, unbindOne],
    [4, operation('bind', { name: choose('$.A', '$.A.B', '$.A.*'), replier: fc.boolean() })],
    [2, close],
    [4, open],
    [3, onceOnly],
    [2, hearOwn],
    [2, poll],
  ),
  40,
);

const hearEvents = operation('bind', {
  name: choose(times(3, REPLIER_BIND_EVENT), '$.KBUS.*', '$.*'),
  replier: fc.constant(false),
});

/** More bind events than a bus may hold. */
export const crowdedSequence = sequence(
  { limit: fc.integer({ min: 1, max: 3 }), nextSerial: fc.constant(1) },
  hearEvents,
  mixed(
    [8, operation('crowd', { count: fc.integer({ min: 100, max: 500 }) })],
    [3, hearEvents],
    [8, close],
    [7, open],
    [6, operation('take many', { count: choose(1, 2, 10, 400, 2000) })],
    [1, unbindOne],
    [1, maxMessages],
    [1, onceOnly],
  ),
  40,
);
