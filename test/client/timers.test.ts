import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Timer, Timers } from '../../src/base/timers.ts';
import type { OpenOptions } from '../../src/client/options.ts';
import type { Connect } from '../../src/client/ports/port.ts';
import { PortError } from '../../src/client/ports/port.ts';
import { TransportKsock } from '../../src/client/transport-ksock.ts';
import { Errno } from '../../src/message/errno.ts';
import { FrameHost } from '../support/frame-host.ts';
import { refused } from '../support/refused.ts';
import { settled } from './everywhere.ts';

/** Timers that fire when the test says so. */
class TestTimers implements Timers {
  readonly pending = new Map<Timer, { callback: () => void; milliseconds: number }>();
  private last = 0;

  now(): number {
    return 0;
  }

  setTimeout(callback: () => void, milliseconds: number): Timer {
    this.pending.set(++this.last, { callback, milliseconds });
    return this.last;
  }

  clearTimeout(timer: Timer | undefined): void {
    if (timer !== undefined) this.pending.delete(timer);
  }

  queueMicrotask(callback: () => void): void {
    queueMicrotask(callback);
  }

  get delays(): number[] {
    return [...this.pending.values()].map(({ milliseconds }) => milliseconds);
  }

  /** Fires the oldest one. */
  fire(): void {
    const [[timer, { callback }] = [0, { callback: (): void => {} }]] = this.pending;
    this.pending.delete(timer);
    callback();
  }
}

let host: FrameHost;
let timers: TestTimers;
const opened: TransportKsock[] = [];

async function open(
  connect: Connect,
  options: OpenOptions<TransportKsock> = {},
): Promise<TransportKsock> {
  const ksock = await TransportKsock.openIn({ timers, warn: () => {} }, connect, options);
  opened.push(ksock);
  return ksock;
}

beforeEach(() => {
  host = new FrameHost();
  timers = new TestTimers();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((ksock) => ksock.close()));
});

it('A Request times out by the timers that its Ksock was given.', async () => {
  const ksock = await open(host.connect());
  await ksock.bind('$.Ask', true);
  const answer = refused(ksock.request('$.Ask', '', { timeout: 86_400_000 }), 'ETIMEDOUT');
  await settled();
  expect(timers.delays).toEqual([86_400_000]);
  timers.fire();
  // Input that has arrived by then is read first.
  expect(timers.delays).toEqual([0]);
  timers.fire();
  await answer;
  expect(timers.delays).toEqual([]);
});

it('A wait for a message times out likewise.', async () => {
  const ksock = await open(host.connect());
  const waiting = ksock.waitForMsg({ timeout: 3_600_000 });
  expect(timers.delays).toEqual([3_600_000]);
  timers.fire();
  expect(await waiting).toBeNull();
  expect(timers.delays).toEqual([]);
});

it('A Ksock that waits for its daemon retries by these timers.', async () => {
  let isThere = false;
  const there = host.connect();
  const connect: Connect = async (mode, events, signal) => {
    if (!isThere) throw new PortError(Errno.ENOENT);
    return there(mode, events, signal);
  };
  const opening = open(connect, { reconnect: { minDelay: 60_000, maxDelay: 120_000 } });
  await settled();
  expect(timers.pending.size).toBe(1);
  timers.fire();
  await settled();
  expect(timers.delays[0]).toBeGreaterThanOrEqual(60_000);
  isThere = true;
  timers.fire();
  expect((await opening).isConnected).toBe(true);
});
