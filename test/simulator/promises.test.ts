import { describe, expect, it } from 'vitest';
import type { Entry, Journal } from '../../chaos/journal.ts';
import { brokenPromises } from '../../chaos/promises.mjs';

// The checker of journals must notice broken promises, and no others.

const ALL_OR_FAIL = 1 << 9;

function journals(...all: [name: string, ...entries: Record<string, unknown>[]][]): Journal[] {
  return all.map(([name, ...entries]) => ({ name, entries: entries as unknown as Entry[] }));
}

const message = (n: number, kind: string, more: object = {}) => ({
  n,
  kind,
  name: '$.A',
  flags: 0,
  size: 9,
  to: 0,
  tag: `s.${n}`,
  ...more,
});

const sent = (n: number, t: number, kind = 'A', more: object = {}) => [
  { t, e: 'send?', ...message(n, kind, more) },
  { t: t + 1, e: 'send!', n, id: `[0:${n}]` },
];

const read = (n: number, t: number, kind = 'A', more: object = {}) => ({
  t,
  e: 'read',
  ...message(n, kind),
  id: `[0:${n}]`,
  from: 1,
  ...more,
});

const status = (t: number, id: number, name = '$.KBUS.Replier.GoneAway') => ({
  t,
  e: 'read',
  kind: 'S',
  id: `[0:${id}]`,
  re: '[0:1]',
  name,
  to: 1,
  from: 2,
  flags: 0,
  tag: '',
});

const open = (id: number) => ({ t: 0, e: 'open', id });
const bound = (replier: boolean) => ({ t: 1, e: 'bind!', name: '$.A', replier });
const end = (t: number, why = 'closed') => [
  { t, e: 'end?' },
  { t: t + 1, e: 'end', why, drained: true },
];

describe('the checker of journals', () => {
  it('accepts programs that were served as promised', () => {
    const all = journals(
      ['s', open(1), ...sent(1, 10, 'Q'), ...sent(2, 12), status(30, 9), ...end(50)],
      ['l', open(3), bound(false), read(2, 20), ...end(60)],
      ['r', open(2), bound(true), ...end(25)],
    );
    expect(brokenPromises(all)).toEqual([]);
  });

  it('accepts, for now, Requests to a Replier that reconnected and may have bound any name', () => {
    const requester = (until: number) =>
      ['s', open(1), ...sent(1, 10, 'Q'), ...end(until)] as const;
    const replier = ['r', { t: 1, e: 'again' }, open(2), ...end(40)] as const;
    expect(brokenPromises(journals([...requester(30)], [...replier]))).toEqual([]);
    const late = brokenPromises(journals([...requester(50)], [...replier]));
    expect(late.join('\n')).toMatch(/got no answer/);
  });

  const reply = { re: '[0:1]', to: 1, flags: ALL_OR_FAIL };
  const asked = { t: 10, e: 'send?', ...message(1, 'Q'), awaited: true };
  const answered = { ...read(1, 30, 'R', reply), e: 'answer', tag: 'r.1', from: 2 };
  const givenUp = { t: 30, e: 'send-', n: 1, code: 'abort' };
  const replied = [
    { t: 20, e: 'send?', ...message(1, 'R', reply) },
    { t: 22, e: 'send!', n: 1, id: '[0:1]' },
  ];
  it.for([
    ['was a Reply', [asked, answered]],
    ['went once only, to a Request that was given up', [{ t: 3, e: 'once' }, asked, givenUp]],
    ['may have gone to a stopped handler', [{ t: 3, e: 'loose' }]],
    ['left with its binding', [{ t: 25, e: 'unbind?', name: '$.A', replier: false }]],
  ] as const)('accepts a Listener that did not read what %s', ([, entries]) => {
    const of = (more: readonly object[]): Journal[] =>
      journals(
        ['s', open(1), bound(false), ...(more as Record<string, unknown>[]), ...end(50)],
        ['r', open(2), ...replied, ...end(60)],
      );
    expect(brokenPromises(of(entries))).toEqual([]);
    expect(brokenPromises(of([])).join('\n')).toMatch(/missed/);
  });

  it.for([
    [
      'two answers',
      [['s', open(1), ...sent(1, 10, 'Q'), status(30, 8), status(31, 9), ...end(50)]],
      /got 2 answers/,
    ],
    ['no answer', [['s', open(1), ...sent(1, 10, 'Q'), ...end(50)]], /got no answer/],
    [
      'the answer to another Request',
      [
        [
          's',
          open(1),
          ...sent(1, 10, 'Q'),
          { ...status(30, 9), kind: 'R', name: '$.A', tag: 'r.1', meant: 's.7' },
          ...end(50),
        ],
        ['r', open(2), bound(true), { t: 20, e: 'send?', n: 1, kind: 'R', name: '$.A' }],
      ],
      /got the answer to s.7/,
    ],
    [
      'two orders',
      [
        [
          's',
          open(1),
          { t: 1, e: 'send?', ...message(1, 'A') },
          { t: 2, e: 'send?', ...message(2, 'A') },
        ],
        ['a', open(2), read(1, 20), read(2, 21)],
        ['b', open(3), read(2, 20), read(1, 21)],
      ],
      /not one order/,
    ],
    [
      'another order than their sender’s',
      [
        ['s', open(1), ...sent(1, 1), ...sent(2, 3)],
        ['a', open(2), read(2, 20), read(1, 21)],
      ],
      /not one order/,
    ],
    [
      'a gap in the messages',
      [
        ['s', open(1), ...sent(1, 10, 'A', { flags: ALL_OR_FAIL })],
        ['l', open(2), bound(false), ...end(60)],
      ],
      /missed/,
    ],
    [
      'a refused message',
      [
        [
          's',
          open(1),
          { t: 1, e: 'send?', ...message(1, 'A') },
          { t: 2, e: 'send-', n: 1, code: 'EBUSY' },
        ],
        ['a', open(2), read(1, 20)],
      ],
      /was refused/,
    ],
    [
      'a changed message',
      [
        ['s', open(1), ...sent(1, 1)],
        ['a', open(2), read(1, 20, 'A', { size: 10 })],
      ],
      /was sent as/,
    ],
    [
      'a false Status',
      [
        ['s', open(1), ...sent(1, 10, 'Q'), status(30, 9, '$.KBUS.Replier.Ignored'), ...end(50)],
        ['r', open(2), bound(true), ...end(25)],
      ],
      /had not read it/,
    ],
  ] as const)('refuses programs that saw %s', ([, all, complaint]) => {
    const made = journals(...(all as unknown as Parameters<typeof journals>));
    expect(brokenPromises(made).join('\n')).toMatch(complaint);
  });
});
