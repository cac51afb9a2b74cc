import { describe, expect, it } from 'vitest';
import { ASK, Bus } from '../../src/bus/index.ts';
import { batchOfMessage } from '../../src/bus/message-batch.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { REPLIER_BIND_EVENT, splitReplierBindEventData } from '../../src/message/index.ts';
import { Announcement } from '../../src/message/message.ts';
import { outcome, type Program, type Seen, stage } from './program.ts';

// Examples of rules that are easily broken, by section of spec 1. The naive model
// (test/model) tests everything else.

const { ALL_OR_FAIL, ALL_OR_WAIT, SYNTHETIC, URGENT, WANT_YOU_TO_REPLY } = Flag;

const isToAnswer = ({ flags }: Seen): boolean => (flags & WANT_YOU_TO_REPLY) !== 0;

describe('a Ksock', () => {
  it('has an id that is never reused', () => {
    const { program } = stage();
    const first = program();
    expect(first.id).toBe(1);
    first.close();
    expect(program().id).toBe(2);
  });

  it('can do nothing after it was closed', () => {
    const { bus, program } = stage();
    const other = program();
    const closed = program().listen('$.A');
    closed.close();
    expect(outcome(closed.ksock.bind('$.A', false))).toBe('EBADF');
    expect(outcome(closed.ksock.bind('$.A', true))).toBe('EBADF');
    expect(outcome(closed.ksock.unbind('$.A', false))).toBe('EBADF');
    expect(outcome(closed.ksock.reportReplierBinds(1))).toBe('EBADF');
    expect(other.ksock.reportReplierBinds(ASK)).toBe(0);
    expect(closed.announce('$.A')).toBe('EBADF');
    expect(closed.read()).toBeUndefined();
    expect(closed.ksock.poll()).toBe(false);
    closed.close();
    expect([...bus.routes]).toEqual([]);
  });

  it('opened read-only may do all but write', () => {
    const { program } = stage();
    const reader = program({ mode: 'r' }).listen('$.A').answer('$.A');
    expect(reader.announce('$.A')).toBe('EBADF');
    expect(reader.announce('not a name')).toBe('EBADF');
    expect(reader.ksock.poll()).toBe(false);
    expect(reader.ksock.discard()).toBe(0);
    expect(reader.ksock.maxMessages(3)).toBe(3);
    expect(reader.ksock.wantMessagesOnce(1)).toBe(0);
    expect(outcome(reader.ksock.unbind('$.A', true))).toBe('ok');
    program().announce('$.A');
    expect(reader.names()).toEqual(['$.A']);
  });
});

describe('names (spec 1 §2)', () => {
  it.for([
    ['$.A', 'ok', 'ok'],
    ['$.A.b.9', 'ok', 'ok'],
    [`$.${'x'.repeat(998)}`, 'ok', 'ok'],
    ['$.*', 'EBADMSG', 'ok'],
    ['$.%', 'EBADMSG', 'ok'],
    ['$.A.*', 'EBADMSG', 'ok'],
    ['', 'EINVAL', 'EBADMSG'],
    ['$', 'EBADMSG', 'EBADMSG'],
    ['$.', 'EBADMSG', 'EBADMSG'],
    ['$.A.', 'EBADMSG', 'EBADMSG'],
    ['$.*.A', 'EBADMSG', 'EBADMSG'],
    ['$.A*', 'EBADMSG', 'EBADMSG'],
    ['$.A B', 'EBADMSG', 'EBADMSG'],
    ['$.A\n', 'EBADMSG', 'EBADMSG'],
    ['$.Caf\u00e9', 'EBADMSG', 'EBADMSG'],
    ['A.B', 'EBADMSG', 'EBADMSG'],
    [`$.${'x'.repeat(999)}`, 'ENAMETOOLONG', 'ENAMETOOLONG'],
    ['!'.repeat(1001), 'ENAMETOOLONG', 'ENAMETOOLONG'],
  ])('%j: sent gives %s, bound %s', ([name, sent, bound]) => {
    const { program } = stage();
    const someone = program();
    expect(someone.announce(name as string)).toBe(sent);
    expect(outcome(someone.ksock.bind(name as string, false))).toBe(bound);
    expect(outcome(someone.ksock.bind(name as string, true))).toBe(bound);
  });

  it('are found by find-replier exactly as they were bound, and a malformed name has no Replier', () => {
    const { program } = stage();
    const replier = program().answer('$.A.*');
    expect(replier.ksock.findReplier('$.A.*')).toBe(replier.id);
    expect(replier.ksock.findReplier('$.A.B')).toBe(0);
    expect(replier.ksock.findReplier('no name')).toBe(0);
    expect(outcome(replier.ksock.findReplier(''))).toBe('ENAMETOOLONG');
    expect(outcome(replier.ksock.findReplier(`$.${'x'.repeat(999)}`))).toBe('ENAMETOOLONG');
  });
});

describe('message ids (spec 1 §3)', () => {
  it('rise by one, and skip 0 when they wrap', () => {
    const { bus, program } = stage();
    const listener = program().listen('$.A');
    bus.nextSerial = 0xffff_fffe;
    for (let count = 0; count < 4; count++) listener.announce('$.A');
    expect(listener.rest().map(({ id }) => id)).toEqual([
      '0:4294967294',
      '0:4294967295',
      '0:1',
      '0:2',
    ]);
  });

  it('are kept if the network id is set, and use no serial', () => {
    const { bus, program } = stage();
    const listener = program().listen('$.A');
    listener.announce('$.A', { id: [9, 0] });
    listener.announce('$.A', { id: [0, 77] });
    expect(listener.rest().map(({ id }) => id)).toEqual(['9:0', '0:1']);
    expect(bus.nextSerial).toBe(2);
  });

  it('are used up by a send that fails after it got one, and not by one that fails before', () => {
    const { bus, program } = stage();
    const requester = program({ limit: 1 }).listen('$.B');
    expect(requester.request('$.A')).toBe('EADDRNOTAVAIL');
    expect(bus.nextSerial).toBe(2);
    expect(requester.ksock).toMatchObject({ lastNetwork: 0, lastSerial: 1 });
    requester.announce('$.B');
    expect(requester.request('$.A')).toBe('ENOLCK');
    expect(bus.nextSerial).toBe(3);
    expect(requester.ksock.lastSerial).toBe(2);
  });
});

describe('a message (spec 1 §4)', () => {
  it('has the flags of its sender, except those that KBUS sets', () => {
    const { program } = stage();
    const listener = program().listen('$.A');
    listener.announce('$.A', { flags: 0xffff_0020 | SYNTHETIC | WANT_YOU_TO_REPLY });
    expect(listener.next()).toMatchObject({ flags: 0xffff_0020, from: listener.id });
  });

  it('can’t be both a Request and a Reply', () => {
    const { program } = stage();
    expect(program().request('$.A', { inReplyTo: [0, 1] })).toBe('EINVAL');
    expect(program().request('$.A', { inReplyTo: [1, 0] })).toBe('EINVAL');
  });

  it('can’t have both ALL_OR_WAIT and ALL_OR_FAIL', () => {
    const { program } = stage();
    expect(program().announce('$.A', { flags: ALL_OR_WAIT | ALL_OR_FAIL })).toBe('EINVAL');
  });

  it('counts with its size in the 64-bit layout', () => {
    const { bus, program } = stage();
    const sender = program();
    // 88 + 4·⌈(3+1)/4⌉ + 4·⌈5/4⌉ + 4
    bus.maxMessageSize(104);
    expect(sender.announce('$.A', { data: '12345678' })).toBe('ok');
    expect(sender.announce('$.A', { data: '123456789' })).toBe('EMSGSIZE');
    expect(sender.announce('$.AB', { data: '12345678' })).toBe('EMSGSIZE');
  });

  it('is refused for a long name first, then for its size, then for a bad name', () => {
    const { bus, program } = stage();
    const sender = program();
    bus.maxMessageSize(100);
    expect(sender.announce('$.A.', { data: '123456789' })).toBe('EMSGSIZE');
    expect(sender.announce('!'.repeat(1001))).toBe('ENAMETOOLONG');
    expect(sender.announce('!!!', { flags: ALL_OR_WAIT | ALL_OR_FAIL })).toBe('EINVAL');
  });
});

describe('order (spec 1 §5)', () => {
  it.for([
    ['', 0],
    [' urgent', URGENT],
  ] as const)(
    'the Replier reads the copy to answer before a listener’s copy of a%s Request',
    ([, flags]) => {
      const { program } = stage();
      const replier = program().listen('$.A', '$.*').answer('$.A').listen('$.%');
      replier.announce('$.A.B');
      program().request('$.A', { flags });
      const read = replier.rest().filter(({ name }) => name === '$.A');
      expect(read.map(isToAnswer)).toEqual([true, false, false, false]);
    },
  );

  it.for([
    ['', 0],
    [' urgent', URGENT],
  ] as const)('the requester reads its copy of a%s Reply before a listener’s copy', ([, flags]) => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A');
    requester.listen('$.A');
    replier.reply(replier.next(), { flags });
    // Unbinding takes the listener's copy with it.
    expect(requester.ksock.queue.binding(0)).toBeNull();
    expect(requester.ksock.queue.binding(1)?.name).toBe('$.A');
    requester.ksock.unbind('$.A', false);
    expect(requester.names()).toEqual(['$.A']);
  });

  it('is the reverse for urgent messages: the later is read first', () => {
    const { program } = stage();
    const listener = program().listen('$.*');
    listener.announce('$.A');
    listener.announce('$.B', { flags: URGENT });
    listener.announce('$.C', { flags: URGENT });
    listener.announce('$.D');
    expect(listener.names()).toEqual(['$.C', '$.B', '$.A', '$.D']);
    expect(listener.told).toEqual(['back', 'front', 'front', 'back']);
  });
});

describe('the places of a queue (spec 1 §5)', () => {
  it('are held for Replies, which are never refused for want of one', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program({ limit: 2 }).listen('$.B');
    requester.request('$.A');
    requester.request('$.A');
    expect(requester.request('$.A')).toBe('ENOLCK');
    expect(replier.announce('$.B', { flags: ALL_OR_FAIL })).toBe('EBUSY');
    expect(requester.ksock.maxMessages(1)).toBe(1);
    for (const request of replier.rest()) expect(replier.reply(request)).toBe('ok');
    expect(requester.ksock.numMessages).toBe(2);
  });

  it('may be exceeded by one send with two copies, which the bus checks once per binding', () => {
    const { program } = stage();
    const listener = program({ limit: 1 }).listen('$.A', '$.*');
    expect(program().announce('$.A', { flags: ALL_OR_FAIL })).toBe('ok');
    expect(listener.ksock.numMessages).toBe(2);
    expect(listener.ksock.isFull).toBe(true);
  });

  it('are free again after a Status', () => {
    const { program } = stage();
    const requester = program({ limit: 1 });
    for (let round = 0; round < 3; round++) {
      const replier = program().answer('$.A');
      expect(requester.request('$.A')).toBe('ok');
      replier.close();
      expect(requester.names()).toEqual(['$.KBUS.Replier.GoneAway']);
    }
  });

  it('are not occupied by Replies that don’t go through the queue', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program({ limit: 1 });
    for (let token = 0; token < 3; token++) {
      expect(requester.request('$.A', { token })).toBe('ok');
      expect(requester.request('$.A', { token: 99 })).toBe('ENOLCK');
      replier.reply(replier.next());
    }
    expect(requester.told).toEqual(['0: $.A', '1: $.A', '2: $.A']);
    expect(requester.ksock.numMessages).toBe(0);
  });
});

describe('a message whose bytes the driver keeps', () => {
  it('counts its copies, in queues and past them', () => {
    const { program } = stage();
    const replier = program().answer('$.A').listen('$.A', '$.*');
    const requester = program();
    requester.request('$.A', { token: 1 });
    expect(replier.ksock.queue.batch(0).copies).toBe(3);
    replier.reply(replier.next());
    // Two for the listener, and the answer.
    expect(replier.ksock.queue.batch(2).copies).toBe(3);
  });

  it('is taken after the urgent ones that overtook it', () => {
    const { program } = stage();
    const replier = program().answer('$.A').listen('$.B');
    const requester = program();
    requester.request('$.A');
    requester.announce('$.B', { flags: URGENT });
    expect(replier.ksock.take(2)).toBeNull();
    expect(replier.ksock.take(1)?.name).toBe('$.A');
    expect(replier.ksock.tookRequest).toBe(true);
    expect(replier.ksock.numUnrepliedTo).toBe(1);
    expect(replier.names()).toEqual(['$.B']);
  });

  it('is taken together with many others, and waiting sends are woken once', () => {
    const { program } = stage();
    const listener = program({ limit: 3 }).listen('$.A');
    for (let count = 0; count < 3; count++) listener.announce('$.A');
    const sender = program();
    sender.announce('$.A', { flags: ALL_OR_WAIT });
    listener.ksock.takeMany(2);
    expect(listener.ksock.numMessages).toBe(1);
    expect(sender.rooms).toBe(1);
  });
});

describe('once only (spec 1 §5)', () => {
  it('drops a listener’s second copy, and never the Replier’s', () => {
    for (const flags of [0, URGENT]) {
      const { program } = stage();
      const replier = program().listen('$.A', '$.A').answer('$.A').listen('$.*');
      expect(replier.ksock.wantMessagesOnce(1)).toBe(0);
      program().request('$.A', { flags });
      expect(replier.rest().map(isToAnswer)).toEqual([true]);
      program().announce('$.A', { flags });
      expect(replier.rest()).toHaveLength(1);
    }
  });

  it('drops a message with the id of the last one, even of an earlier send', () => {
    const { program } = stage();
    const listener = program().listen('$.A');
    listener.ksock.wantMessagesOnce(1);
    listener.announce('$.A', { id: [1, 1] });
    listener.announce('$.A', { id: [1, 1] });
    expect(listener.rest()).toHaveLength(1);
    listener.announce('$.A', { id: [1, 2] });
    listener.announce('$.A', { id: [1, 1] });
    expect(listener.rest()).toHaveLength(2);
  });
});

describe('Replies (spec 1 §6)', () => {
  it('are accepted once, and only from the Ksock that the Request was given to', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const listener = program().listen('$.A');
    const requester = program();
    requester.request('$.A');
    const request = replier.next();
    expect(listener.reply(listener.next())).toBe('ECONNREFUSED');
    expect(replier.reply(request, { to: listener.id })).toBe('ECONNREFUSED');
    expect(replier.reply(request, { to: 77 })).toBe('EADDRNOTAVAIL');
    expect(replier.reply(request)).toBe('ok');
    expect(replier.reply(request)).toBe('ECONNREFUSED');
    expect(requester.rest()).toHaveLength(1);
  });

  it('are accepted from a Replier that has unbound since, even if another has bound the name', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A');
    const request = replier.next();
    replier.ksock.unbind('$.A', true);
    const another = program().answer('$.A');
    expect(another.reply(request)).toBe('ECONNREFUSED');
    expect(replier.reply(request)).toBe('ok');
  });

  it('are refused when the requester has closed', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A');
    requester.request('$.A');
    const request = replier.next();
    expect(replier.ksock.numUnrepliedTo).toBe(1);
    requester.close();
    expect(replier.ksock.numUnrepliedTo).toBe(0);
    expect(replier.reply(request)).toBe('EADDRNOTAVAIL');
    // Unread Requests stay, and don't count as read.
    expect(isToAnswer(replier.next())).toBe(true);
    expect(replier.ksock.numUnrepliedTo).toBe(0);
  });

  it('may come before the Request is read: then the copy read later asks for no Reply', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A');
    expect(replier.reply({ name: '$.A', id: '0:1', from: requester.id })).toBe('ok');
    expect(isToAnswer(replier.next())).toBe(true);
    expect(replier.ksock.numUnrepliedTo).toBe(0);
    replier.close();
    expect(requester.names()).toEqual(['$.A']);
  });

  it('to one of two Requests with the same id end the one that was read', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A', { id: [1, 1], token: 1 });
    requester.request('$.A', { id: [1, 1], token: 2, flags: URGENT });
    expect(replier.reply(replier.next())).toBe('ok');
    expect(requester.told).toEqual(['2: $.A']);
    replier.ksock.unbind('$.A', true);
    expect(requester.told).toEqual(['2: $.A', '1: $.KBUS.Replier.Unbound']);
  });
});

describe('a stateful Request (spec 1 §6)', () => {
  it('goes to exactly that Replier, or fails with EPIPE, or EADDRNOTAVAIL if there is none', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    expect(requester.request('$.A', { to: replier.id })).toBe('ok');
    replier.ksock.unbind('$.A', true);
    expect(requester.request('$.A', { to: replier.id })).toBe('EADDRNOTAVAIL');
    const another = program().answer('$.A');
    expect(requester.request('$.A', { to: replier.id })).toBe('EPIPE');
    expect(requester.request('$.A', { to: another.id })).toBe('ok');
  });

  it('gets a Status, as any other, when the Replier closes', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const requester = program();
    requester.request('$.A', { to: replier.id });
    requester.request('$.A', { to: replier.id });
    replier.next();
    replier.close();
    expect(requester.names()).toEqual(['$.KBUS.Replier.GoneAway', '$.KBUS.Replier.Ignored']);
  });
});

describe('a send that fails (spec 1 §6)', () => {
  it('delivers nothing', () => {
    const { program } = stage();
    const full = program({ limit: 1 }).listen('$.*');
    const free = program().listen('$.A');
    const replier = program().answer('$.A');
    free.announce('$.B');
    expect(free.request('$.A', { flags: ALL_OR_FAIL })).toBe('EBUSY');
    expect(free.announce('$.A', { flags: ALL_OR_FAIL })).toBe('EBUSY');
    expect([free, replier].flatMap((each) => each.rest())).toEqual([]);
    expect(free.announce('$.A')).toBe('ok');
    expect(free.rest()).toHaveLength(1);
    expect(full.ksock.missed).toBe(1);
  });

  it('fails with EBUSY if the Replier’s queue is full, and with EAGAIN only with ALL_OR_WAIT', () => {
    const { program } = stage();
    program({ limit: 1 }).answer('$.A');
    const requester = program();
    expect(requester.request('$.A')).toBe('ok');
    expect(requester.request('$.A')).toBe('EBUSY');
    expect(requester.request('$.A', { flags: ALL_OR_FAIL })).toBe('EBUSY');
    expect(requester.request('$.A', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
  });
});

describe('a send that waits (spec 1 §6)', () => {
  /** A program whose send waits for the full queue of another. */
  function waiting(kind: 'announce' | 'request' = 'announce') {
    const { bus, program } = stage();
    const full = program({ limit: 1 });
    if (kind === 'request') full.answer('$.A');
    else full.listen('$.A');
    const sender = program({ limit: 1 });
    program()[kind]('$.A');
    expect(sender[kind]('$.A', { flags: ALL_OR_WAIT, data: 'waits' })).toBe('EAGAIN');
    return { bus, program, full, sender };
  }

  it('keeps its message and its id, and the bus refuses other writes', () => {
    const { bus, full, sender } = waiting();
    expect(sender.announce('$.B', { data: 'another' })).toBe('EALREADY');
    expect(sender.announce('no name')).toBe('EALREADY');
    expect(sender.ksock).toMatchObject({ isSending: true, lastSerial: 2 });
    full.next();
    expect(sender.ksock.resend()).toBe(0);
    expect(full.next()).toMatchObject({ data: 'waits', id: '0:2' });
    expect(bus.nextSerial).toBe(3);
    expect(outcome(sender.ksock.resend())).toBe('ENOMSG');
  });

  it.for([
    ['a read', (full: Program) => full.next()],
    ['an unbind', (full: Program) => full.ksock.unbind('$.A', false)],
    ['a close', (full: Program) => full.close()],
    ['a raised limit', (full: Program) => full.ksock.maxMessages(2)],
  ] as const)('is woken by %s, and is then done', ([, makeRoom]) => {
    const { full, sender } = waiting();
    expect(sender.ksock.poll()).toBe(false);
    expect(sender.rooms).toBe(0);
    makeRoom(full);
    expect(sender.rooms).toBe(1);
    expect(sender.ksock.poll()).toBe(true);
    expect(sender.ksock.isSending).toBe(false);
  });

  it('is woken by a Reply that needs no place in the queue, or a discarded Request', () => {
    const { program } = stage();
    const replier = program({ limit: 1 }).answer('$.A');
    const requester = program({ limit: 1 }).listen('$.B');
    const sender = program();
    requester.request('$.A', { token: 0 });
    expect(sender.announce('$.B', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    replier.reply(replier.next());
    expect(sender.rooms).toBe(1);
    expect(sender.ksock.poll()).toBe(true);
    requester.next();

    program().request('$.A');
    expect(requester.request('$.A', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    expect(sender.announce('$.B', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    requester.ksock.discard();
    expect(sender.rooms).toBe(2);
    expect(sender.ksock.poll()).toBe(true);
  });

  it('is not woken by a limit that was raised too little', () => {
    const { program } = stage();
    const full = program({ limit: 3 }).listen('$.A');
    const sender = program();
    for (let count = 0; count < 3; count++) sender.announce('$.A');
    full.ksock.maxMessages(1);
    expect(sender.announce('$.A', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    full.ksock.maxMessages(3);
    full.ksock.maxMessages(0);
    expect(sender.rooms).toBe(0);
    full.ksock.maxMessages(4);
    expect(sender.rooms).toBe(1);
  });

  it('goes to the Ksocks that are bound by then', () => {
    const { program, full, sender } = waiting('request');
    const another = program().answer('$.A.B');
    full.ksock.unbind('$.A', true);
    another.answer('$.*');
    expect(sender.ksock.poll()).toBe(true);
    expect(another.next()).toMatchObject({ data: 'waits' });
  });

  it('holds the place of a Request’s Reply', () => {
    const { full, sender, program } = waiting('request');
    sender.listen('$.B');
    expect(sender.ksock.isFull).toBe(true);
    expect(program().announce('$.B', { flags: ALL_OR_FAIL })).toBe('EBUSY');
    full.next();
    expect(sender.ksock.poll()).toBe(true);
    expect(full.reply(full.next())).toBe('ok');
    expect(sender.names()).toEqual(['$.A']);
  });

  it('may bind, unbind and read meanwhile, and discard ends it', () => {
    const { full, sender } = waiting();
    sender.listen('$.B');
    sender.ksock.unbind('$.B', false);
    expect(sender.read()).toBeUndefined();
    sender.ksock.discard();
    full.next();
    expect(sender.rooms).toBe(0);
    expect(sender.ksock.poll()).toBe(true);
    expect(full.rest()).toEqual([]);
    expect(sender.announce('$.A')).toBe('ok');
  });

  it('is dropped when its sender closes', () => {
    const { full, sender } = waiting();
    sender.close();
    full.next();
    expect(full.rest()).toEqual([]);
    expect(sender.rooms).toBe(0);
  });

  it.for([
    [0, '$.KBUS.Replier.Disappeared'],
    [1, '$.KBUS.ErrorSending'],
  ] as const)(
    'that can never succeed gets a Status when it is polled: %i other Replier, %s',
    ([others, name]) => {
      const { program } = stage();
      const full = program({ limit: 1 }).answer('$.A');
      const sender = program({ limit: 1 });
      program().request('$.A');
      expect(sender.request('$.A', { flags: ALL_OR_WAIT, to: full.id })).toBe('EAGAIN');
      full.close();
      if (others === 1) program().answer('$.A');
      expect(sender.rooms).toBeGreaterThan(0);
      expect(sender.ksock.poll()).toBe(true);
      expect(sender.rest()).toEqual([
        expect.objectContaining({
          name,
          from: 0,
          to: sender.id,
          inReplyTo: '0:2',
          flags: SYNTHETIC,
        }),
      ]);
      expect(sender.ksock.occupied).toBe(0);
    },
  );

  it('that can never succeed fails with an errno, and no Status, when it is sent again', () => {
    const { full, sender } = waiting('request');
    full.close();
    expect(outcome(sender.ksock.resend())).toBe('EADDRNOTAVAIL');
    expect(sender.rest()).toEqual([]);
    expect(sender.ksock).toMatchObject({ isSending: false, occupied: 0 });
  });

  it('is woken when it can never succeed, even if the queue is still full', () => {
    const { program } = stage();
    const listener = program({ limit: 1 }).listen('$.A');
    const replier = program({ limit: 5 }).answer('$.A');
    const requester = program();
    requester.request('$.A');
    const request = replier.next();
    const sender = program();
    expect(sender.request('$.A', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    expect(replier.reply(request, { flags: ALL_OR_WAIT })).toBe('EAGAIN');
    requester.close();
    expect(replier.rooms).toBe(1);
    expect(outcome(replier.ksock.resend())).toBe('EADDRNOTAVAIL');
    replier.close();
    expect(sender.rooms).toBe(1);
    expect(sender.ksock.poll()).toBe(true);
    expect(sender.names()).toEqual(['$.KBUS.Replier.Disappeared']);
    expect(listener.ksock.isFull).toBe(true);
  });

  it('keeps its turn: the first is woken first, and the next only if a slot is left', () => {
    const { program } = stage();
    const full = program({ limit: 1 }).listen('$.A');
    program().announce('$.A');
    const senders = [program(), program(), program()];
    const done: number[] = [];
    for (const sender of senders) {
      expect(sender.announce('$.A', { flags: ALL_OR_WAIT })).toBe('EAGAIN');
      sender.onRoom = () => {
        if (sender.ksock.resend() === 0) done.push(sender.id);
      };
    }
    for (let reads = 0; reads < 3; reads++) full.next();
    expect(done).toEqual(senders.map(({ id }) => id));
    expect(senders.map(({ rooms }) => rooms)).toEqual([1, 1, 1]);
    expect(full.ksock.numMessages).toBe(1);
  });
});

describe('binding (spec 1 §7)', () => {
  it('allows one Replier per binding name, and any number of listeners', () => {
    const { program } = stage();
    const replier = program().answer('$.A', '$.A.*').listen('$.A', '$.A');
    expect(outcome(replier.ksock.bind('$.A', true))).toBe('EADDRINUSE');
    expect(outcome(program().ksock.bind('$.A.*', true))).toBe('EADDRINUSE');
    expect(outcome(program().ksock.bind('$.*', true))).toBe('ok');
    expect(outcome(program().ksock.bind(REPLIER_BIND_EVENT, true))).toBe('EBADMSG');
    program().announce('$.A');
    expect(replier.rest()).toHaveLength(2);
  });

  it('is removed by an unbind with the same arguments, the newest first', () => {
    const { program } = stage();
    const listener = program().listen('$.A');
    listener.announce('$.A', { data: 'to one' });
    listener.listen('$.A');
    listener.announce('$.A', { data: 'to two' });
    for (const [name, replier] of [
      ['$.A', true],
      ['$.B', false],
      ['$.*', false],
    ] as const) {
      expect(outcome(listener.ksock.unbind(name, replier))).toBe('EINVAL');
    }
    expect(outcome(listener.ksock.unbind('$.A', false))).toBe('ok');
    expect(listener.rest().map(({ data }) => data)).toEqual(['to one', 'to two']);
    listener.announce('$.A');
    expect(listener.rest()).toHaveLength(1);
    expect(outcome(listener.ksock.unbind('$.A', false))).toBe('ok');
    expect(outcome(listener.ksock.unbind('$.A', false))).toBe('EINVAL');
  });

  it('takes its unread messages along when removed; unread Requests get a Status, read ones stay', () => {
    const { program } = stage();
    const replier = program().answer('$.A').listen('$.*');
    const requester = program();
    requester.request('$.A');
    const request = replier.next();
    requester.request('$.A');
    requester.request('$.A', { flags: URGENT });
    replier.ksock.unbind('$.A', true);
    expect(requester.rest()).toEqual([
      expect.objectContaining({
        name: '$.KBUS.Replier.Unbound',
        from: replier.id,
        to: requester.id,
        inReplyTo: '0:3',
        flags: SYNTHETIC,
        data: '',
      }),
      expect.objectContaining({ name: '$.KBUS.Replier.Unbound', inReplyTo: '0:2' }),
    ]);
    expect(replier.rest().map(isToAnswer)).toEqual([false, false, false]);
    expect(replier.reply(request)).toBe('ok');
    expect(requester.names()).toEqual(['$.A']);
  });
});

describe('going away (spec 1 §8)', () => {
  it('sends GoneAway for unread Requests, then reports, then Ignored for read ones, last read first', () => {
    const { program } = stage();
    const watcher = program().listen('$.KBUS.*');
    const replier = program().answer('$.A');
    const requester = program().listen(REPLIER_BIND_EVENT);
    for (let count = 0; count < 4; count++) requester.request('$.A');
    replier.next();
    replier.next();
    watcher.ksock.reportReplierBinds(1);
    watcher.rest();
    replier.close();
    expect(requester.rest().map(({ name, inReplyTo, from }) => [name, inReplyTo, from])).toEqual([
      ['$.KBUS.Replier.GoneAway', '0:3', replier.id],
      ['$.KBUS.Replier.GoneAway', '0:4', replier.id],
      [REPLIER_BIND_EVENT, '0:0', 0],
      ['$.KBUS.Replier.Ignored', '0:2', replier.id],
      ['$.KBUS.Replier.Ignored', '0:1', replier.id],
    ]);
    // A Status goes to its requester alone.
    expect(watcher.names()).toEqual([REPLIER_BIND_EVENT]);
  });

  it('answers no Request of its own, and none twice', () => {
    const { bus, program } = stage();
    const lone = program().answer('$.A').listen('$.KBUS.*');
    lone.request('$.A');
    lone.request('$.A', { token: 5 });
    lone.next();
    lone.told.length = 0;
    lone.close();
    expect(lone.told).toEqual([]);
    expect(bus.nextSerial).toBe(3);
  });

  it('(forgetting a Request) removes an unread Request from the queue, and keeps a read one', () => {
    const { program } = stage();
    const replier = program().answer('$.A');
    const listener = program().listen('$.A');
    const requester = program({ limit: 3 });
    for (const token of [1, 2, 3]) requester.request('$.A', { token, data: `${token}` });
    const read = replier.next();
    expect(requester.request('$.A')).toBe('ENOLCK');
    expect([1, 2, 2, 9].map((token) => requester.ksock.forget(token))).toEqual([
      false,
      true,
      false,
      false,
    ]);
    expect(replier.reply(read)).toBe('ECONNREFUSED');
    expect(requester.request('$.A', { data: '4' })).toBe('ok');
    expect(replier.rest().map(({ data }) => data)).toEqual(['3', '4']);
    expect(listener.rest().map(({ data }) => data)).toEqual(['1', '2', '3', '4']);
    expect(requester.told).toEqual([]);
  });

  it('throws if the bus keeps state of the closed Ksock: that is a bug', () => {
    const { bus, program } = stage();
    const last = program();
    bus.queueing.ledger.open = 1;
    expect(() => last.close()).toThrow('holds {"requests":1');
  });
});

describe('reports of Replier binds (spec 1 §9)', () => {
  const told = (program: Program): string[] =>
    program.names().map((name) => name.replace('$.KBUS.', ''));

  it('come before the bind takes effect, and name the Ksock and the binding', () => {
    const { program } = stage();
    const watcher = program().listen(REPLIER_BIND_EVENT);
    watcher.ksock.reportReplierBinds(1);
    const replier = program().answer('$.A.*');
    replier.ksock.unbind('$.A.*', true);
    const events: unknown[] = [];
    for (let batch = watcher.ksock.take(); batch; batch = watcher.ksock.take()) {
      expect(batch).toMatchObject({ flags: SYNTHETIC | ALL_OR_FAIL, from: 0, to: 0 });
      events.push(splitReplierBindEventData(batch.bytes));
    }
    expect(events).toEqual([
      { isBind: true, binder: replier.id, name: '$.A.*' },
      { isBind: false, binder: replier.id, name: '$.A.*' },
    ]);
  });

  it('refuse the bind or unbind if a listener’s queue is full, and still use a serial', () => {
    const { bus, program } = stage();
    const watcher = program({ limit: 1 }).listen(REPLIER_BIND_EVENT);
    const other = program().listen(REPLIER_BIND_EVENT);
    const replier = program();
    replier.ksock.reportReplierBinds(1);
    expect(outcome(replier.ksock.bind('$.A', true))).toBe('ok');
    expect(outcome(replier.ksock.bind('$.B', true))).toBe('EAGAIN');
    expect(outcome(replier.ksock.unbind('$.A', true))).toBe('EAGAIN');
    expect(bus.nextSerial).toBe(4);
    expect(replier.ksock.findReplier('$.B')).toBe(0);
    expect(replier.ksock.findReplier('$.A')).toBe(replier.id);
    expect([told(watcher).length, told(other).length]).toEqual([1, 1]);
  });

  it('use a serial, and refuse no bind, without a listener', () => {
    const { bus, program } = stage();
    const replier = program();
    replier.ksock.reportReplierBinds(1);
    replier.answer('$.A');
    expect(bus.nextSerial).toBe(2);
    expect(outcome(replier.ksock.bind('$.A', true))).toBe('EADDRINUSE');
    expect(outcome(replier.ksock.unbind('$.B', true))).toBe('EINVAL');
    replier.listen('$.C');
    expect(bus.nextSerial).toBe(2);
  });

  it('begin with the existing bindings, newest first, for the Ksock that turned them on', () => {
    const { bus, program } = stage();
    const replier = program().answer('$.A', '$.B').listen('$.L').answer('$.C');
    const watcher = program({ limit: 2 });
    expect(outcome(watcher.ksock.reportReplierBinds(1))).toBe('EBUSY');
    expect(watcher.ksock.reportReplierBinds(ASK)).toBe(1);
    const names = () => {
      const batch = watcher.ksock.take();
      return batch && splitReplierBindEventData(batch.bytes);
    };
    expect([names(), names(), names()]).toEqual([
      { isBind: true, binder: replier.id, name: '$.C' },
      { isBind: true, binder: replier.id, name: '$.B' },
      null,
    ]);
    // The refused report used a serial, too.
    expect(bus.nextSerial).toBe(4);
    // A Ksock that turns them on again gets them, too.
    watcher.ksock.maxMessages(3);
    expect(watcher.ksock.reportReplierBinds(1)).toBe(1);
    expect([names()?.name, names()?.name, names()?.name]).toEqual(['$.C', '$.B', '$.A']);
    expect(watcher.ksock.reportReplierBinds(0)).toBe(1);
    expect(watcher.ksock.numMessages).toBe(0);
    expect(watcher.ksock.reportReplierBinds(ASK)).toBe(0);
    expect(outcome(watcher.ksock.reportReplierBinds(2))).toBe('EINVAL');
  });

  it('of a closing Replier exceed the limits of queues, newest binding first', () => {
    const { bus, program } = stage();
    const watcher = program({ limit: 1 }).listen(REPLIER_BIND_EVENT, '$.A');
    const replier = program().answer('$.X', '$.Y');
    replier.ksock.reportReplierBinds(1);
    replier.rest();
    watcher.announce('$.A');
    replier.close();
    expect(watcher.ksock.numMessages).toBe(3);
    expect(bus.heldEvents).toBe(2);
    watcher.next();
    const [first, second] = [watcher.ksock.take(), watcher.ksock.take()];
    expect(
      [first, second].map((each) => each && splitReplierBindEventData(each.bytes).name),
    ).toEqual(['$.Y', '$.X']);
    expect(bus.heldEvents).toBe(0);
  });

  it('exceed limits by at most 1000: then one message reports the loss, until all held reports were read', () => {
    const { bus, program } = stage();
    const watcher = program({ limit: 1 }).listen(REPLIER_BIND_EVENT);
    const switcher = program();
    const lose = (count: number): void => {
      const replier = program();
      switcher.ksock.reportReplierBinds(0);
      for (let number = 0; number < count; number++) replier.answer(`$.N${number}`);
      switcher.ksock.reportReplierBinds(1);
      switcher.rest();
      replier.close();
    };

    lose(1003);
    expect(bus.heldEvents).toBe(1000);
    // One within its limit, 1000 past it, and then the loss of two.
    expect(watcher.ksock).toMatchObject({ numMessages: 1002, missed: 2 });
    lose(5);
    expect(watcher.ksock).toMatchObject({ numMessages: 1002, missed: 7 });

    for (let count = 0; count < 1000; count++) watcher.next();
    expect(bus.heldEvents).toBe(1);
    lose(1);
    expect(watcher.ksock).toMatchObject({ numMessages: 2, missed: 8 });
    expect(told(watcher)).toEqual(['ReplierBindEvent', 'UnbindEventsLost']);
    expect(bus.heldEvents).toBe(0);

    lose(3);
    expect(bus.heldEvents).toBe(2);
    expect(told(watcher)).toHaveLength(3);
  });

  it('that are held are dropped by an unbind, and by a close', () => {
    for (const leave of [
      (watcher: Program) => watcher.ksock.unbind(REPLIER_BIND_EVENT, false),
      (watcher: Program) => watcher.close(),
    ]) {
      const { bus, program } = stage();
      const watcher = program({ limit: 1 }).listen(REPLIER_BIND_EVENT);
      const replier = program().answer('$.A', '$.B', '$.C');
      replier.ksock.reportReplierBinds(1);
      replier.close();
      expect(bus.heldEvents).toBe(2);
      leave(watcher);
      expect(bus.heldEvents).toBe(0);
    }
  });
});

describe('settings (spec 1 §10)', () => {
  it('of a queue’s limit: 0 asks, and a lowered limit drops no message', () => {
    const { program } = stage();
    const listener = program().listen('$.A');
    expect(listener.ksock.maxMessages(0)).toBe(10_000);
    for (let count = 0; count < 3; count++) listener.announce('$.A');
    expect(listener.ksock.maxMessages(1)).toBe(1);
    expect(listener.ksock.numMessages).toBe(3);
    listener.announce('$.A');
    listener.next();
    listener.next();
    listener.announce('$.A');
    expect(listener.rest()).toHaveLength(1);
    expect(listener.ksock.missed).toBe(2);
  });

  it('of the maximum message size: 0 asks, 1 asks for the absolute maximum', () => {
    const bus = new Bus({ maxMessageSize: 1000, absoluteMaxMessageSize: 2000 });
    expect(bus.maxMessageSize(0)).toBe(1000);
    expect(bus.maxMessageSize(1)).toBe(2000);
    expect(bus.maxMessageSize(2000)).toBe(2000);
    expect(bus.maxMessageSize(100)).toBe(100);
    for (const wrong of [2, 99, 2001, 0xffff_ffff]) {
      expect(bus.maxMessageSize(wrong)).toBe(-Errno.EINVAL);
    }
    expect(bus.maxMessageSize(0)).toBe(100);
    expect(new Bus().maxMessageSize(1)).toBe(16 * 1024 * 1024);
  });

  it('of switches return the value before, and refuse all but 0, 1 and the asking value', () => {
    const { bus, program } = stage();
    const { ksock } = program();
    for (const turn of [
      (value: number) => ksock.wantMessagesOnce(value),
      (value: number) => ksock.reportReplierBinds(value),
      (value: number) => bus.verbose(value),
    ]) {
      expect([turn(ASK), turn(1), turn(ASK), turn(1), turn(0), turn(ASK)]).toEqual([
        0, 0, 1, 1, 1, 0,
      ]);
      expect(outcome(turn(2))).toBe('EINVAL');
    }
  });

  it('of hearing its own messages: a Ksock that does not want them neither gets nor waits for them', () => {
    const { program } = stage();
    const { ksock } = program();
    expect(ksock.bind('$.A', false)).toBe(0);
    expect(ksock.maxMessages(1)).toBe(1);
    expect([ksock.hearOwn(ASK), ksock.hearOwn(0), ksock.hearOwn(ASK)]).toEqual([1, 1, 0]);
    expect(outcome(ksock.hearOwn(2))).toBe('EINVAL');
    const flags = Flag.ALL_OR_FAIL;
    const mine = (): number =>
      ksock.send(batchOfMessage(new Announcement('$.A', null, { flags }), new Uint8Array(0)));
    expect([mine(), mine(), ksock.numMessages]).toEqual([0, 0, 0]);
    expect(ksock.hearOwn(1)).toBe(0);
    expect([mine(), ksock.numMessages, outcome(mine())]).toEqual([0, 1, 'EBUSY']);
  });

  it('of the debug log print events while it is on, and nothing while it is off', () => {
    const { bus, program } = stage();
    const log: string[] = [];
    bus.onLog = (text) => log.push(text);
    const replier = program().answer('$.A');
    expect(log).toEqual([]);
    bus.verbose(1);
    const requester = program();
    requester.request('$.A');
    requester.request('$.B');
    replier.close();
    expect(log.join('\n')).toMatch(
      /opened[\s\S]*\$\.A[\s\S]*EADDRNOTAVAIL[\s\S]*GoneAway[\s\S]*closed/,
    );
  });
});
