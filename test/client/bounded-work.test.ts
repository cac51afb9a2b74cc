import { describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { Announcement } from '../../src/message/message.ts';
import { FrameHost } from '../support/frame-host.ts';

// However full the queues are, a message must cost a bounded number of frames and wake-ups. A bus that delivers one
// message per round trip is a hundred times slower, and no other test shows why. This one needs no clock: it counts
// frames, and writes, each of which wakes the other end.

const SENDERS = 4;
const LISTENERS = 4;

interface Work {
  frames: number;
  writes: number;
}

/** Counts the frames of one write. */
function framesOf(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let frames = 0;
  for (let at = 0; at < bytes.length; at += view.getUint32(at)) frames++;
  return frames;
}

const nameOf = (at: number): string => `$.Plant.Line${at % 7}.Pump${at % 31}.Temp`;
const dataOf = (at: number): Uint8Array => new Uint8Array(16 + ((at * 37) % 240));

type Send = (ksock: Ksock, count: number) => Promise<unknown>;
type Hear = (ksock: Ksock, count: number, number: number) => Promise<unknown>;

const SENDS: Record<string, Send> = {
  posted: async (ksock, count) => {
    for (let at = 0; at < count; at++) {
      await ksock.post(new Announcement(nameOf(at), dataOf(at)), { wait: true });
    }
    await ksock.flush();
  },
  'awaited many at a time': async (ksock, count) => {
    for (let at = 0; at < count; at += 64) {
      const some = Array.from({ length: Math.min(64, count - at) }, (_, index) =>
        ksock.sendMsg(new Announcement(nameOf(at + index), dataOf(at + index)), { wait: true }),
      );
      await Promise.all(some);
    }
  },
};

/** Resolves when the handler has received `count` messages. */
function heard(
  ksock: Ksock,
  count: number,
  handle: () => void | Promise<void>,
  concurrency: number,
) {
  return new Promise<void>((resolve) => {
    let left = count;
    const handler = async (): Promise<void> => {
      await handle();
      if (--left === 0) resolve();
    };
    void ksock.listener('$.Plant.*', handler, { concurrency });
  });
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const HEARS: Record<string, Hear> = {
  'handlers that return at once': (ksock, count) => heard(ksock, count, () => {}, 1000),
  'async handlers, one call at a time': (ksock, count) => heard(ksock, count, turn, 1),
  'handlers of different speeds': (ksock, count, number) =>
    heard(
      ksock,
      count,
      async () => {
        for (let turns = 0; turns < number; turns++) await turn();
      },
      1 + number,
    ),
  'readers of one message at a time': async (ksock, count) => {
    await ksock.bind('$.Plant.*');
    for (let left = count; left > 0; left--) await ksock.waitForMsg();
  },
};

async function work(limit: number, send: Send, hear: Hear, each: number): Promise<Work> {
  const work = { frames: 0, writes: 0 };
  const host = new FrameHost({ maxMessages: limit }, (bytes) => {
    work.frames += framesOf(bytes);
    work.writes++;
    return [bytes];
  });
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, () => host.open()));
  const all = listeners.map((ksock, number) => hear(ksock, SENDERS * each, number));
  const senders = await Promise.all(Array.from({ length: SENDERS }, () => host.open()));
  await turn();
  [work.frames, work.writes] = [0, 0];
  await Promise.all([...senders.map((ksock) => send(ksock, each)), ...all]);
  const deliveries = SENDERS * LISTENERS * each;
  await host.close();
  return { frames: work.frames / deliveries, writes: work.writes / deliveries };
}

describe.each([2, 10, 100, 10_000])('With queues of %i', (limit) => {
  describe.each(Object.keys(HEARS))('and %s', (how) => {
    it.each(Object.keys(SENDS))(
      'a message that is %s costs a bounded number of frames and writes',
      async (sent) => {
        const cost = await work(limit, SENDS[sent] as Send, HEARS[how] as Hear, 300);
        expect(cost.frames).toBeLessThan(9);
        expect(cost.writes).toBeLessThan(9);
      },
    );
  });
});
