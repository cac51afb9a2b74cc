import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { bottleneckOf } from '../../src/seeing/bottleneck.ts';
import { Histogram } from '../../src/seeing/histogram.ts';
import {
  type KsockTraffic,
  OTHER_NAMES,
  Traffic,
  type TrafficSnapshot,
} from '../../src/seeing/traffic.ts';
import { Program } from '../bus/program.ts';
import { Watched } from './watched.ts';

const SECOND = 1_000_000;

function watched(settings = {}): { watch: Watched; traffic: Traffic; look: () => TrafficSnapshot } {
  const traffic = new Traffic();
  const watch = new Watched(traffic, settings);
  const look = (): TrafficSnapshot => {
    watch.settle();
    return traffic.snapshot(watch.time);
  };
  return { watch, traffic, look };
}

const ksockOf = ({ ksocks }: TrafficSnapshot, { id }: Program): KsockTraffic =>
  ksocks.find(({ info }) => info.ksock === id) as KsockTraffic;

const nearly = (value: number): unknown => expect.closeTo(value, -Math.log10(value * 0.13));

describe('A model of the traffic', () => {
  it('has rates of each Ksock and name since the last snapshot', () => {
    const { watch, look } = watched();
    const sender = watch.program('sender');
    const listener = watch.program('listener').listen('$.A');
    for (let at = 0; at < 30; at++) sender.announce('$.A', { data: '1234' });
    sender.announce('$.B');
    for (let at = 0; at < 10; at++) listener.next();
    watch.pass(2 * SECOND);
    const first = look();
    expect(ksockOf(first, sender)).toMatchObject({ sentRate: 15.5, readRate: 0, bytesRate: 60 });
    expect(ksockOf(first, listener)).toMatchObject({ sentRate: 0, readRate: 5, queuedRate: 15 });
    expect(first.names.map(({ name, rate, size }) => [name, rate, size])).toEqual([
      ['$.A', 15, 4],
      ['$.B', 0.5, 0],
    ]);
    expect(first).toMatchObject({
      interval: 2000,
      sentRate: 15.5,
      bytesRate: 60,
      isComplete: true,
    });
    watch.pass(SECOND);
    expect(ksockOf(look(), sender)).toMatchObject({ sentRate: 0, bytesRate: 0 });
  });

  it('has how long messages wait until they are read, and the oldest that is unread', () => {
    const { watch, look } = watched();
    const sender = watch.program('sender');
    const listener = watch.program('listener').listen('$.A');
    sender.announce('$.A');
    watch.pass(200);
    sender.announce('$.A');
    watch.pass(800);
    listener.next();
    watch.pass(3 * SECOND);
    const { toRead, unreadAge } = ksockOf(look(), listener);
    expect(toRead).toMatchObject({ count: 1, p50: nearly(1), p99: nearly(1) });
    expect(unreadAge).toBe(3000.8);
    listener.next();
    expect(ksockOf(look(), listener)).toMatchObject({ unreadAge: null, toRead: { count: 2 } });
  });

  it('has how long Requests wait for their Replies, and the oldest that was read and is not answered', () => {
    const { watch, look } = watched();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    asker.request('$.Ask', { token: 3 });
    asker.request('$.Ask');
    watch.pass(1000);
    const first = replier.next();
    watch.pass(2000);
    const second = replier.next();
    replier.reply(first);
    watch.pass(5 * SECOND);
    const seen = look();
    expect(ksockOf(seen, replier)).toMatchObject({
      toAnswer: { count: 1, p99: nearly(3) },
      unansweredAge: 5000,
      info: { unreplied: 1 },
    });
    expect(ksockOf(seen, asker)).toMatchObject({ readRate: expect.closeTo(1 / 5.003, 5) });
    expect(seen.names[0]).toMatchObject({ name: '$.Ask', toAnswer: { count: 1 } });
    replier.reply(second);
    expect(ksockOf(look(), replier)).toMatchObject({ unansweredAge: null, toAnswer: { count: 2 } });
  });

  it('counts a Status as no answer', () => {
    const { watch, look } = watched();
    const asker = watch.program('asker');
    const replier = watch.program('replier').answer('$.Ask');
    asker.request('$.Ask');
    replier.close();
    watch.pass(SECOND);
    const { names } = look();
    expect(names.find(({ name }) => name === '$.Ask')).toMatchObject({ toAnswer: null });
    expect(names.find(({ name }) => name === '$.KBUS.Replier.GoneAway')).toMatchObject({ rate: 1 });
  });

  it('knows that messages which it did not see come were there before', () => {
    const traffic = new Traffic();
    let listener: Program | undefined;
    const watch = new Watched(traffic, {}, (bus) => {
      listener = new Program(bus).listen('$.A');
      const sender = new Program(bus);
      for (let at = 0; at < 3; at++) sender.announce('$.A');
    });
    const one = listener as Program;
    watch.program('sender').announce('$.A');
    watch.pass(SECOND);
    expect(ksockOf(traffic.snapshot(watch.time), one)).toMatchObject({
      unreadAge: 1000,
      isOlder: true,
    });
    for (let at = 0; at < 3; at++) one.next();
    watch.pass(SECOND);
    const left = ksockOf(traffic.snapshot(watch.time), one);
    expect(left).toMatchObject({ unreadAge: 2000, isOlder: false, info: { unread: 1 } });
    one.next();
    watch.settle();
    expect(ksockOf(traffic.snapshot(watch.time), one).toRead).toMatchObject({
      count: 1,
      p50: nearly(2000),
    });
  });

  it('follows urgent messages, unbinding and Requests that were given up', () => {
    const { watch, look } = watched();
    const sender = watch.program('sender');
    const both = watch.program('both').listen('$.A', '$.B').answer('$.Ask');
    sender.announce('$.A');
    watch.pass(1000);
    sender.announce('$.B', { flags: Flag.URGENT });
    watch.pass(1000);
    sender.request('$.Ask', { token: 5 });
    watch.pass(1000);
    expect(ksockOf(look(), both).unreadAge).toBe(2);
    both.next();
    expect(ksockOf(look(), both).unreadAge).toBe(3);
    both.ksock.unbind('$.A', false);
    expect(ksockOf(look(), both).unreadAge).toBe(1);
    expect(sender.ksock.forget(5)).toBe(true);
    expect(ksockOf(look(), both)).toMatchObject({ unreadAge: null, info: { unread: 0 } });
  });

  it('follows a message that waited for room', () => {
    const { watch, look } = watched();
    const listener = watch.program('listener', { limit: 1 }).listen('$.A');
    const sender = watch.program('sender');
    sender.announce('$.A');
    expect(sender.announce('$.A', { flags: Flag.ALL_OR_WAIT })).toBe('EAGAIN');
    watch.pass(4000);
    expect(look().names[0]).toMatchObject({ name: '$.A', rate: 250 });
    listener.next();
    sender.ksock.resend();
    watch.pass(1000);
    expect(ksockOf(look(), listener)).toMatchObject({ unreadAge: 1 });
    listener.next();
    const seen = look();
    expect(ksockOf(seen, listener).toRead).toMatchObject({ count: 2 });
    expect(ksockOf(seen, sender)).toMatchObject({ info: { sending: false } });
  });

  it('tells 1,000 names apart, counts the others together, and forgets names that nobody uses', () => {
    const { watch, look } = watched();
    const sender = watch.program('sender');
    for (let at = 0; at < 1500; at++) sender.announce(`$.N${at}`);
    watch.pass(SECOND);
    const { names } = look();
    expect(names).toHaveLength(1001);
    expect(names.find(({ name }) => name === OTHER_NAMES)).toMatchObject({ rate: 500 });
    watch.pass(61 * SECOND);
    expect(look().names).toHaveLength(1000);
    expect(look().names).toHaveLength(0);
  });

  it('begins anew when events were lost', () => {
    const traffic = new Traffic();
    const watch = new Watched(traffic, {}, () => {}, 20_000);
    const sender = watch.program('sender');
    const listener = watch.program('listener').listen('$.A');
    for (let at = 0; at < 2000; at++) sender.announce('$.A');
    watch.pass(SECOND);
    const seen = traffic.snapshot(watch.time);
    expect(seen.lostEvents).toBeGreaterThan(0);
    expect(ksockOf(seen, listener)).toMatchObject({ info: { unread: 2000 }, isOlder: true });
    sender.announce('$.A');
    while (listener.read() !== undefined) watch.settle();
    watch.pass(SECOND);
    expect(ksockOf(traffic.snapshot(watch.time), listener)).toMatchObject({
      unreadAge: null,
      readRate: 2001,
    });
  });
});

describe('The bottleneck', () => {
  it('is nobody while all read and answer', () => {
    const { watch, look } = watched();
    const listener = watch.program('listener').listen('$.A');
    watch.program('sender').announce('$.A');
    watch.pass(1000);
    listener.next();
    expect(bottleneckOf(look())).toEqual({
      ksock: null,
      text: expect.stringMatching(
        /^nobody is slow: all queues are read within (9\d\d µs|1\.0 ms) \(p99\)$/,
      ),
    });
  });

  it('is a Ksock that misses messages because its queue is full', () => {
    const { watch, look } = watched();
    const slow = watch.program('slow', { limit: 2 }).listen('$.A');
    const stopped = watch.program('stopped').listen('$.A');
    const sender = watch.program('sender');
    for (let at = 0; at < 10; at++) {
      sender.announce('$.A');
      if (at === 5) slow.next();
    }
    watch.pass(SECOND);
    expect(stopped.id).toBeGreaterThan(0);
    expect(bottleneckOf(look())).toEqual({
      ksock: slow.id,
      text: 'the queue of Ksock 1 (slow) is full, 2 of 2: it reads 1 of 10 messages/s; it misses 7/s',
    });
  });

  it('is a Ksock whose full queue senders wait for', () => {
    const { watch, look } = watched();
    const slow = watch.program('slow', { limit: 1 }).listen('$.A');
    for (const name of ['a', 'b', 'c']) {
      watch.program(name).announce('$.A', { flags: Flag.ALL_OR_WAIT });
    }
    watch.pass(3 * SECOND);
    expect(bottleneckOf(look())).toEqual({
      ksock: slow.id,
      text: 'the queue of Ksock 1 (slow) is full, 1 of 1: it has read nothing since kbus began to watch; 2 senders wait for room',
    });
  });

  it('is a Ksock that lets messages wait, named safely', () => {
    const { watch, look } = watched();
    const stopped = watch.program('evil\x1b[2J').listen('$.A');
    const sender = watch.program('sender');
    sender.announce('$.A');
    stopped.next();
    sender.announce('$.A');
    sender.announce('$.A');
    watch.pass(4 * SECOND);
    expect(bottleneckOf(look())).toEqual({
      ksock: stopped.id,
      text: 'Ksock 1 (evil\\x1b[2J) lets messages wait: 2 unread, the oldest for 4.0 s; it reads 0.3 of 0.8 messages/s',
    });
    watch.pass(6 * SECOND);
    expect(bottleneckOf(look()).text).toContain(
      'the oldest for 10.0 s; it has read nothing for 10.0 s',
    );
  });

  it('is a Replier that does not answer', () => {
    const { watch, look } = watched();
    const replier = watch.program('replier').answer('$.Ask');
    watch.program('asker').request('$.Ask');
    replier.next();
    watch.pass(90 * SECOND);
    expect(bottleneckOf(look())).toEqual({
      ksock: replier.id,
      text: 'Ksock 1 (replier) does not answer: it has 1 Request, the oldest for 90.0 s',
    });
  });
});

describe('A histogram', () => {
  it('tells percentiles to within a tenth, and forgets', () => {
    const histogram = new Histogram();
    expect(histogram.percentiles).toBeNull();
    for (let us = 1; us <= 1000; us++) histogram.add(us);
    const { p50, p99, count } = histogram.percentiles ?? { p50: 0, p99: 0, count: 0 };
    expect(count).toBe(1000);
    expect(Math.abs(p50 - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(p99 - 0.99)).toBeLessThan(0.099);
    histogram.turn();
    histogram.add(0);
    histogram.add(1e12);
    expect(histogram.percentiles?.count).toBe(1002);
    histogram.turn();
    expect(histogram.percentiles).toMatchObject({ count: 2, p50: 0 });
    histogram.turn();
    expect(histogram.percentiles).toBeNull();
  });
});
