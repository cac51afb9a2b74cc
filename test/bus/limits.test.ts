import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, MessageBatch } from '../../src/bus/index.ts';
import { COSTS } from '../../src/bus/settings.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { alike } from './batch.ts';

const owner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

function batch(name: string, size: number, flags = 0): MessageBatch {
  return new MessageBatch(name, flags, 0, new Uint8Array(size), 0, size);
}

/** Two Ksocks on a bus with a limit of 5000 bytes; each of these messages, in two queues, costs 1400. */
function narrow(): { bus: Bus; sender: BusKsock; listener: BusKsock; send(): number } {
  const bus = new Bus({ maxQueuedBytes: 5000 });
  const sender = bus.open(owner);
  const listener = bus.open(owner);
  listener.bind('$.A', false);
  listener.bind('$.A', false);
  return { bus, sender, listener, send: () => sender.send(batch('$.A', 1000)) };
}

describe('the bytes of unread messages', () => {
  it('are refused beyond the limit, with ENOMEM and without using an id', () => {
    const { bus, send } = narrow();
    expect([send(), send(), send(), send()]).toEqual([0, 0, 0, 0]);
    const serial = bus.nextSerial;
    expect(send()).toBe(-Errno.ENOMEM);
    expect(bus.nextSerial).toBe(serial);
  });

  it('count once for all copies, plus the places, until the last copy is read', () => {
    const { bus, listener, send } = narrow();
    send();
    const one = bus.queuedBytes;
    listener.take();
    expect(bus.queuedBytes).toBe(one - COSTS.place);
    listener.take();
    expect(bus.queuedBytes).toBe(0);
  });

  it('are released by an unbind, and by a close', () => {
    const { bus, listener, send } = narrow();
    send();
    send();
    listener.unbind('$.A', false);
    expect(bus.queuedBytes).toBeGreaterThan(0);
    listener.unbind('$.A', false);
    expect(bus.queuedBytes).toBe(0);
    listener.bind('$.A', false);
    send();
    listener.close();
    expect(bus.queuedBytes).toBe(0);
  });

  it('of a batch are released when its last message is read', () => {
    const { bus, sender, listener } = narrow();
    listener.unbind('$.A', false);
    const together = alike('$.A', ['0123456789', 'other', 'and another']);
    expect([sender.sendable(together), sender.send(together)]).toEqual([3, 0]);
    listener.take();
    listener.takeMany(1);
    expect(bus.queuedBytes).toBeGreaterThan(0);
    listener.take();
    expect(bus.queuedBytes).toBe(0);
  });

  it('don’t refuse a Reply below twice the limit', () => {
    const { bus, sender, listener, send } = narrow();
    listener.bind('$.Ask', true);
    expect(sender.send(batch('$.Ask', 0, Flag.WANT_A_REPLY))).toBe(0);
    while (send() === 0);
    expect(bus.queuedBytes).toBeGreaterThanOrEqual(5000);
    const request = listener.take() as MessageBatch;
    const reply = batch('$.Ask', 100);
    reply.to = sender.id;
    reply.replySerial = request.idSerial;
    expect(listener.send(reply)).toBe(0);
    expect(sender.take()).toBe(reply);
  });

  it('may reach twice the limit with Replies; then the bus refuses them, and they can be sent again', () => {
    const { bus, sender, listener } = narrow();
    listener.bind('$.Ask', true);
    const ask = (): number => sender.send(batch('$.Ask', 0, Flag.WANT_A_REPLY));
    while (ask() === 0);
    let refusals = 0;
    for (let request = listener.take(); request !== null; request = listener.take()) {
      const reply = batch('$.Ask', 2000);
      reply.to = sender.id;
      reply.replySerial = request.idSerial;
      let sent = listener.send(reply);
      if (sent < 0) {
        expect(sent).toBe(-Errno.ENOMEM);
        expect(bus.queuedBytes).toBeGreaterThanOrEqual(10_000);
        refusals++;
        const small = batch('$.Ask', 10);
        expect(small.size).toBeLessThan(COSTS.request);
        small.to = sender.id;
        small.replySerial = request.idSerial;
        if (refusals % 2 === 0) {
          expect(listener.send(small)).toBe(0);
          continue;
        }
        while (sender.take() !== null);
        sent = listener.send(reply);
      }
      expect(sent).toBe(0);
    }
    expect(refusals).toBeGreaterThan(0);
    while (sender.take() !== null);
    expect(bus.queuedBytes).toBe(0);
  });
});

describe('the bytes of unread messages of one Ksock', () => {
  /** One Ksock has a limit of 3000 bytes: two messages of 1356 make it full. */
  function greedy() {
    const bus = new Bus({ maxQueuedBytesPerKsock: 3000 });
    let rooms = 0;
    const sender = bus.open({ ...owner, roomMade: () => rooms++ });
    const hoarder = bus.open(owner);
    const witness = bus.open(owner);
    hoarder.maxMessages(1_000_000);
    hoarder.bind('$.A', false);
    witness.bind('$.A', false);
    const send = (flags = 0): number => {
      const sent = sender.send(batch('$.A', 1000, flags));
      witness.take();
      return sent;
    };
    return { bus, sender, hoarder, witness, send, rooms: () => rooms };
  }

  it('make its queue full, and no other', () => {
    const { hoarder, send } = greedy();
    expect([send(), send(), send(), send()]).toEqual([0, 0, 0, 0]);
    expect([hoarder.numMessages, hoarder.missed]).toEqual([3, 1]);
    expect(send(Flag.ALL_OR_FAIL)).toBe(-Errno.EBUSY);
  });

  it('refuse its Requests, because their Replies would have no room', () => {
    const { hoarder, witness, send } = greedy();
    witness.bind('$.Ask', true);
    while (!hoarder.isFull) send();
    const ask = batch('$.Ask', 4, Flag.WANT_A_REPLY);
    expect(hoarder.send(ask)).toBe(-Errno.ENOLCK);
    const together = alike('$.Ask', ['1', '2', '3', '4', '5'], { flags: Flag.WANT_A_REPLY });
    expect(hoarder.sendable(together)).toBe(1);
    hoarder.take();
    hoarder.take();
    expect([hoarder.sendable(together), hoarder.send(together)]).toEqual([5, 0]);
  });

  it('hold up waiting sends until it has read', () => {
    const { sender, hoarder, send, rooms } = greedy();
    while (!hoarder.isFull) send();
    expect(send(Flag.ALL_OR_WAIT)).toBe(-Errno.EAGAIN);
    expect(rooms()).toBe(0);
    hoarder.take();
    expect(rooms()).toBe(1);
    expect(sender.resend()).toBe(0);
  });

  it('are released by everything that removes messages from the queue', () => {
    const { hoarder, send } = greedy();
    const empty = [
      () => hoarder.takeMany(hoarder.numMessages),
      () => hoarder.unbind('$.A', false),
      () => {
        while (hoarder.take() !== null);
      },
    ];
    for (const makeEmpty of empty) {
      if (hoarder.bindings === 0) hoarder.bind('$.A', false);
      while (!hoarder.isFull) send();
      makeEmpty();
      expect([hoarder.isFull, hoarder.queue.weight]).toEqual([false, 0]);
    }
  });

  it('let messages of a batch pass one by one if they don’t fit together', () => {
    const { sender, hoarder, send } = greedy();
    send();
    const some = (count: number): MessageBatch =>
      alike('$.A', new Array(count).fill('x'.repeat(100)));
    expect(sender.sendable(some(20))).toBe(1);
    const together = some(5);
    expect([sender.sendable(together), sender.send(together)]).toEqual([5, 0]);
    expect(hoarder.numMessages).toBe(6);
    hoarder.takeMany(3);
    // The layout of each, and the cost of keeping them: none of that is released before the last is read.
    const weight = 5 * 196 + COSTS.message + COSTS.place;
    expect(hoarder.queue.weight).toBe(weight);
    hoarder.take();
    expect(hoarder.queue.weight).toBe(weight);
    hoarder.takeMany(2);
    expect(hoarder.queue.weight).toBe(0);
  });
});

describe('the unanswered Requests of a Replier', () => {
  function unanswering() {
    const bus = new Bus({ maxUnansweredPerKsock: 2 });
    let rooms = 0;
    const requester = bus.open({ ...owner, roomMade: () => rooms++ });
    const replier = bus.open(owner);
    replier.bind('$.Ask', true);
    const ask = (flags = 0): number => requester.send(batch('$.Ask', 0, Flag.WANT_A_REPLY | flags));
    const answer = (request: MessageBatch): number => {
      const reply = batch('$.Ask', 0);
      reply.to = requester.id;
      reply.replySerial = request.idSerial;
      return replier.send(reply);
    };
    return { bus, requester, replier, ask, answer, rooms: () => rooms };
  }

  it('refuse further Requests at the limit (EBUSY), until it has answered one', () => {
    const { replier, ask, answer } = unanswering();
    expect([ask(), ask(), ask()]).toEqual([0, 0, 0]);
    const [first] = [replier.take() as MessageBatch, replier.take()];
    expect(ask()).toBe(-Errno.EBUSY);
    // It may read the Requests that it has got.
    expect(replier.take()).not.toBe(null);
    expect(replier.numUnrepliedTo).toBe(3);
    expect(answer(first)).toBe(0);
    expect(ask()).toBe(-Errno.EBUSY);
    replier.close();
  });

  it('hold up waiting sends until it has answered, or the requester has closed', () => {
    const { bus, requester, replier, ask, answer, rooms } = unanswering();
    ask();
    ask();
    const [first] = [replier.take() as MessageBatch, replier.take()];
    expect(ask(Flag.ALL_OR_WAIT)).toBe(-Errno.EAGAIN);
    answer(first);
    expect(rooms()).toBe(1);
    expect(requester.poll()).toBe(true);
    replier.take();
    let waiters = 0;
    const waiter = bus.open({ ...owner, roomMade: () => waiters++ });
    const request = batch('$.Ask', 0, Flag.WANT_A_REPLY | Flag.ALL_OR_WAIT);
    expect(waiter.send(request)).toBe(-Errno.EAGAIN);
    requester.close();
    expect(waiters).toBe(1);
    expect(waiter.poll()).toBe(true);
    waiter.close();
    replier.close();
    expect(bus.queuedBytes).toBe(0);
  });

  it('don’t count for the limit of bytes', () => {
    const { bus, replier, ask, requester } = unanswering();
    ask();
    replier.take();
    expect(bus.queuedBytes).toBe(COSTS.request);
    expect(
      replier.unreplied.newestFirst().flatMap((record) => Object.values(record)),
    ).not.toContainEqual(expect.any(MessageBatch));
    requester.close();
    expect(bus.queuedBytes).toBe(0);
  });
});

describe('the bindings of a bus', () => {
  it('are refused beyond the limit of one Ksock with ENOLCK; other Ksocks may bind', () => {
    const bus = new Bus({ maxBindingsPerKsock: 2 });
    const [one, other] = [bus.open(owner), bus.open(owner)];
    expect([one.bind('$.A', false), one.bind('$.A', true)]).toEqual([0, 0]);
    expect(one.bind('$.B', false)).toBe(-Errno.ENOLCK);
    expect(other.bind('$.B', false)).toBe(0);
    one.unbind('$.A', false);
    expect(one.bind('$.B', false)).toBe(0);
  });

  it('are refused beyond the limit with ENOMEM, until one is removed', () => {
    const bus = new Bus({ maxBindings: 2 });
    const [one, other] = [bus.open(owner), bus.open(owner)];
    expect([one.bind('$.A', false), one.bind('$.A', true)]).toEqual([0, 0]);
    expect(other.bind('$.B', false)).toBe(-Errno.ENOMEM);
    one.unbind('$.A', true);
    expect(other.bind('$.B', true)).toBe(0);
    one.close();
    other.close();
  });
});
