import { describe, expect, it } from 'vitest';
import { Bus, Buses, type BusKsock, MessageBatch } from '../../src/bus/index.ts';
import { COSTS } from '../../src/bus/settings.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { alike } from './batch.ts';

const owner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

function batch(name: string, size: number, flags = 0): MessageBatch {
  return new MessageBatch(name, flags, 0, new Uint8Array(size), 0, size);
}

/** What the messages in queues, and unanswered Requests, cost. */
function queuedBytes(bus: Bus): number {
  const batches = new Set<MessageBatch>();
  let bytes = 0;
  for (const { queue, outstanding } of bus.ksocks.values()) {
    for (let entry = 0; entry < queue.entries; entry++) batches.add(queue.batch(entry));
    bytes += queue.entries * COSTS.place + outstanding.size * COSTS.request;
  }
  for (const { cost } of batches) bytes += cost;
  return bytes;
}

/** Two Ksocks on a bus with some memory; each of these messages is in two queue entries of one. */
function narrow(): { bus: Bus; sender: BusKsock; listener: BusKsock; send(): number } {
  const bus = new Bus({ maxMemory: 100_000 });
  const sender = bus.open(owner);
  const listener = bus.open(owner);
  listener.bind('$.A', false);
  listener.bind('$.A', false);
  return { bus, sender, listener, send: () => sender.send(batch('$.A', 1000)) };
}

describe('the memory of a bus (spec 1 §14.1)', () => {
  it('counts a message once for all copies, plus the places, until the last copy is read', () => {
    const { bus, listener, send } = narrow();
    const before = bus.memory.held;
    send();
    const one = queuedBytes(bus);
    expect(bus.memory.held - before).toBeGreaterThanOrEqual(one);
    listener.take();
    expect(queuedBytes(bus)).toBe(one - COSTS.place);
    listener.take();
    expect(queuedBytes(bus)).toBe(0);
  });

  it('is released by an unbind, and by a close', () => {
    const { bus, listener, send } = narrow();
    send();
    send();
    listener.unbind('$.A', false);
    expect(queuedBytes(bus)).toBeGreaterThan(0);
    listener.unbind('$.A', false);
    expect(queuedBytes(bus)).toBe(0);
    listener.bind('$.A', false);
    send();
    listener.close();
    expect(queuedBytes(bus)).toBe(0);
  });

  it('is all free when every Ksock has closed', () => {
    const { bus, sender, listener, send } = narrow();
    listener.bind('$.Ask.*', true);
    send();
    for (const name of ['$.Ask.A', '$.Ask.B']) {
      expect(sender.send(batch(name, 10, Flag.WANT_A_REPLY))).toBe(0);
      listener.take();
    }
    sender.close();
    expect(bus.memory.held).toBeGreaterThan(0);
    listener.close();
    // Only routes are kept, until memory lacks.
    bus.routes.ignore(null, 1_000_000);
    expect([bus.memory.held, bus.share.held]).toEqual([0, 0]);
  });

  it('of a batch is released when its last message is read', () => {
    const { bus, sender, listener } = narrow();
    listener.unbind('$.A', false);
    const together = alike('$.A', ['0123456789', 'other', 'and another']);
    expect([sender.sendable(together), sender.send(together)]).toEqual([3, 0]);
    listener.take();
    listener.takeMany(1);
    expect(queuedBytes(bus)).toBeGreaterThan(0);
    listener.take();
    expect(queuedBytes(bus)).toBe(0);
  });

  it('gives one Ksock at most half, two a third each, and always something to a newcomer', () => {
    const bus = new Bus({ maxMemory: 2_000_000 });
    const sender = bus.open(owner);
    const hoard = (name: string): BusKsock => {
      const ksock = bus.open(owner);
      ksock.maxMessages(0xffff_ffff);
      ksock.bind(name, false);
      while (ksock.missed === 0) expect(sender.send(batch(name, 1000))).toBe(0);
      return ksock;
    };
    const one = hoard('$.One');
    expect(one.held / 2_000_000).toBeGreaterThan(0.47);
    expect(one.held / 2_000_000).toBeLessThan(0.5);
    const two = hoard('$.Two');
    expect(two.held).toBeLessThan(2_000_000 - one.held);
    const newcomer = bus.open(owner);
    newcomer.bind('$.New', false);
    expect(sender.send(batch('$.New', 1000))).toBe(0);
    expect(newcomer.missed).toBe(0);
    expect(bus.memory.held).toBeLessThan(2_000_000);
    // Each takes its part of what the others leave.
    while (one.take() !== null) two.take();
    for (let both = 0; both < 2000; both++) {
      sender.send(batch('$.One', 1000));
      sender.send(batch('$.Two', 1000));
    }
    for (const { held } of [one, two]) expect(held / 2_000_000).toBeCloseTo(1 / 3, 1);
  });

  it('refuses what is larger than what is free, for a sender that waits too', () => {
    const bus = new Bus({ maxMemory: 400_000 });
    const sender = bus.open(owner);
    const listener = bus.open(owner);
    listener.bind('$.A', false);
    listener.maxMessages(1);
    expect(sender.send(batch('$.A', 500_000))).toBe(-Errno.ENOMEM);
    expect(sender.send(batch('$.A', 250_000, Flag.ALL_OR_FAIL))).toBe(-Errno.EBUSY);
    expect(sender.send(batch('$.A', 10))).toBe(0);
    expect(sender.send(batch('$.A', 250_000, Flag.ALL_OR_WAIT))).toBe(-Errno.ENOMEM);
    expect(sender.isSending).toBe(false);
    const before = bus.memory.held;
    expect(sender.send(batch('$.A', 100_000, Flag.ALL_OR_WAIT))).toBe(-Errno.EAGAIN);
    expect(bus.memory.held - before).toBeGreaterThan(100_000);
    sender.discard();
    expect(bus.memory.held).toBe(before);
  });

  describe('lets a message that waits for it go on', () => {
    const LARGE = 85_000;

    /** A large message waits for a listener with one message; then hoarders of another bus can leave too little for it. */
    function waiting() {
      const buses = new Buses(2, { maxMemory: 300_000 });
      const [bus, other] = [buses.get(0) as Bus, buses.get(1) as Bus];
      const listener = bus.open(owner);
      listener.bind('$.A', false);
      listener.maxMessages(1);
      const sender: BusKsock = bus.open({ ...owner, roomMade: () => sender.resend() });
      expect(sender.send(batch('$.A', 10))).toBe(0);
      expect(sender.send(batch('$.A', LARGE, Flag.ALL_OR_WAIT))).toBe(-Errno.EAGAIN);
      const post = other.open(owner);
      const names = ['$.H', '$.I', '$.J'];
      const hoarders = names.map((name) => {
        const hoarder = other.open(owner);
        hoarder.bind(name, false);
        hoarder.maxMessages(0xffff_ffff);
        return hoarder;
      });
      const fill = (): void => {
        for (const [at, hoarder] of hoarders.entries()) {
          while (hoarder.missed === 0) post.send(batch(names[at] as string, 5000));
        }
      };
      return { listener, sender, hoarders, fill };
    }

    it('when the listener has read, though the message itself takes most of what is left', () => {
      const { listener, sender } = waiting();
      listener.take();
      expect([sender.isSending, listener.take()?.dataLength]).toEqual([false, LARGE]);
    });

    it.each<[string, (hoarder: BusKsock) => void]>([
      ['have read', (hoarder) => hoarder.takeMany(hoarder.numMessages)],
      ['have closed', (hoarder) => hoarder.close()],
      ['unbind', (hoarder) => hoarder.unbind(hoarder.newestBinding?.name as string, false)],
    ])('when Ksocks of another bus %s', (_how, letGo) => {
      const { listener, sender, hoarders, fill } = waiting();
      fill();
      listener.take();
      expect([sender.isSending, listener.numMessages]).toEqual([true, 0]);
      hoarders[2]?.take();
      expect([sender.isSending, listener.numMessages]).toEqual([true, 0]);
      for (const hoarder of hoarders) letGo(hoarder);
      expect([sender.isSending, listener.take()?.dataLength]).toEqual([false, LARGE]);
    });

    it('unless it was given up', () => {
      const { listener, sender, hoarders, fill } = waiting();
      fill();
      listener.take();
      sender.discard();
      for (const hoarder of hoarders) hoarder.close();
      expect([sender.isSending, listener.numMessages]).toEqual([false, 0]);
    });
  });

  it('names the Ksock that holds the most where it lacks', () => {
    const { bus, sender, listener, send } = narrow();
    listener.maxMessages(0xffff_ffff);
    while (listener.missed === 0) send();
    const large = batch('$.B', 90_000);
    const errno = -sender.send(large);
    expect(errno).toBe(Errno.ENOMEM);
    const why = sender.whyRefused(large, errno);
    expect(why).toContain(`Ksock ${listener.id} holds the most`);
    expect(why).toContain('(max-memory)');
    expect(bus.memory.mostGreedy).toBe(listener);
  });

  it('has room for small Replies and Statuses when nothing else has', () => {
    const { bus, sender, listener } = narrow();
    listener.bind('$.Ask', true);
    let asked = 0;
    while (sender.send(batch('$.Ask', 0, Flag.WANT_A_REPLY)) === 0) asked++;
    expect(asked).toBeGreaterThan(20);
    let answered = 0;
    for (let request = listener.take(); request !== null; request = listener.take()) {
      const reply = batch('$.Ask', 40_000);
      const small = batch('$.Ask', 10);
      for (const one of [reply, small]) {
        one.to = sender.id;
        one.replySerial = request.idSerial;
      }
      expect(small.size).toBeLessThan(COSTS.request);
      if (listener.send(reply) !== 0) expect(listener.send(small)).toBe(0);
      answered++;
    }
    expect(answered).toBe(asked);
    expect(sender.numMessages).toBe(asked);
    while (sender.take() !== null);
    expect(queuedBytes(bus)).toBe(0);
  });

  it('of an unread Reply counts to its requester, who gets no other large one before it has read', () => {
    const { sender, listener } = narrow();
    listener.bind('$.Ask', true);
    const answer = (): number => {
      expect(sender.send(batch('$.Ask', 0, Flag.WANT_A_REPLY))).toBe(0);
      const reply = batch('$.Ask', 25_000);
      reply.to = sender.id;
      reply.replySerial = (listener.take() as MessageBatch).idSerial;
      return listener.send(reply);
    };
    expect(answer()).toBe(0);
    expect(answer()).toBe(-Errno.ENOMEM);
    sender.take();
    expect(answer()).toBe(0);
  });

  it('counts in the share of the access point that still holds a message', () => {
    const { bus, sender, listener, send } = narrow();
    const guests = bus.memory.share('guests');
    const guest = bus.open(owner, { share: guests });
    guest.bind('$.A', false);
    // The listener's bindings must be the newest: it gets its copies first.
    for (let again = 0; again < 2; again++) listener.unbind('$.A', false);
    for (let again = 0; again < 2; again++) listener.bind('$.A', false);
    const before = guests.held;
    send();
    const one = queuedBytes(bus);
    expect(guests.held - before).toBe(COSTS.place);
    listener.take();
    listener.take();
    expect(guests.held - before).toBe(one - 2 * COSTS.place);
    guest.take();
    expect(guests.held).toBe(before);
    guest.close();
    expect(guests.held).toBe(0);
    sender.close();
  });

  it('counts twice as much as is free for an access point, and a newcomer finds room there too', () => {
    const bus = new Bus({ maxMemory: 3_000_000 });
    const sender = bus.open(owner);
    const hoarders = Array.from({ length: 5 }, (_, at) => {
      const ksock = bus.open(owner);
      ksock.maxMessages(0xffff_ffff);
      ksock.bind(`$.N${at}`, false);
      return ksock;
    });
    for (let round = 0; round < 2000; round++) {
      for (let at = 0; at < 5; at++) sender.send(batch(`$.N${at}`, 1000));
    }
    expect(bus.share.held / 3_000_000).toBeCloseTo(2 / 3, 1);
    for (const { missed } of hoarders) expect(missed).toBeGreaterThan(0);
    const newcomer = bus.open(owner);
    newcomer.bind('$.New', false);
    for (let at = 0; at < 5; at++) expect(sender.send(batch('$.New', 100))).toBe(0);
    expect(newcomer.missed).toBe(0);
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
    expect(queuedBytes(bus)).toBe(0);
  });

  it('don’t count for the limit of bytes', () => {
    const { bus, replier, ask, requester } = unanswering();
    ask();
    replier.take();
    expect(queuedBytes(bus)).toBe(COSTS.request);
    expect([...replier.unreplied].flatMap((record) => Object.values(record))).not.toContainEqual(
      expect.any(MessageBatch),
    );
    requester.close();
    expect(queuedBytes(bus)).toBe(0);
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
