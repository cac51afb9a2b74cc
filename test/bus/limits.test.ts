import { describe, expect, it } from 'vitest';
import { Bus, type BusKsock, Parcel } from '../../src/bus/index.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';

const owner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

function parcel(name: string, size: number, flags = 0): Parcel {
  return new Parcel(name, flags, 0, new Uint8Array(size), 0, size);
}

/** Two Ksocks on a bus whose unread messages may have 4000 bytes; each of these has 1100. */
function narrow(): { bus: Bus; sender: BusKsock; listener: BusKsock; send(): number } {
  const bus = new Bus({ maxQueuedBytes: 4000 });
  const sender = bus.open(owner);
  const listener = bus.open(owner);
  listener.bind('$.A', false);
  listener.bind('$.A', false);
  return { bus, sender, listener, send: () => sender.send(parcel('$.A', 1000), -1) };
}

describe('the bytes that unread messages may have', () => {
  it('are refused beyond the limit, with ENOMEM and without using an id', () => {
    const { bus, send } = narrow();
    expect([send(), send(), send(), send()]).toEqual([0, 0, 0, 0]);
    const serial = bus.nextSerial;
    expect(send()).toBe(-Errno.ENOMEM);
    expect(bus.nextSerial).toBe(serial);
  });

  it('count once, however many copies there are, until the last was read', () => {
    const { bus, listener, send } = narrow();
    send();
    const one = bus.queuedBytes;
    listener.take();
    expect(bus.queuedBytes).toBe(one);
    listener.take();
    expect(bus.queuedBytes).toBe(0);
  });

  it('are given back by an unbind, and by a close', () => {
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

  it('of a run are given back when its last message was read', () => {
    const { bus, sender, listener } = narrow();
    listener.unbind('$.A', false);
    const run = parcel('$.A', 10);
    run.count = 3;
    run.stride = 0;
    expect(sender.sendRun(run)?.count).toBe(3);
    listener.take();
    listener.takeMany(1);
    expect(bus.queuedBytes).toBeGreaterThan(0);
    listener.take();
    expect(bus.queuedBytes).toBe(0);
  });

  it('never keep a Reply from its requester', () => {
    const { bus, sender, listener, send } = narrow();
    listener.bind('$.Ask', true);
    expect(sender.send(parcel('$.Ask', 0, Flag.WANT_A_REPLY), -1)).toBe(0);
    while (send() === 0);
    expect(bus.queuedBytes).toBeGreaterThanOrEqual(4000);
    const request = listener.take() as Parcel;
    const reply = parcel('$.Ask', 100);
    reply.to = sender.id;
    reply.replySerial = request.idSerial;
    expect(listener.send(reply, -1)).toBe(0);
    expect(sender.take()).toBe(reply);
  });
});

describe('the bindings of a bus', () => {
  it('are refused beyond the limit, with ENOMEM, until one is given back', () => {
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
