import { expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { Memory } from '../../src/bus/memory.ts';
import { Work } from '../../src/bus/work.ts';
import { Op } from '../../src/message/calls.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { Announcement } from '../../src/message/message.ts';
import { frame } from '../support/frames.ts';
import { Host, Peer, send } from './peer.ts';

const LIMIT = 4_000_000;
const UNLIMITED = 0xffff_ffff;
const bus = (): Bus =>
  new Bus({ common: { memory: new Memory(LIMIT), names: new NameNumbers(), work: new Work() } });

/** A listener of $.News that wants all of it. */
function reader(host: Host, of: Bus): Peer {
  const peer = Peer.open(host, of);
  peer.call(Op.MAX_MESSAGES, UNLIMITED);
  peer.bind('$.News');
  peer.say(frame('CREDIT', { words: [UNLIMITED] }));
  return peer;
}

it('Clients that do not read leave memory free for others, however many they are.', () => {
  const host = new Host();
  const common = bus();
  const stalled = Array.from({ length: 80 }, () => reader(host, common));
  for (const one of stalled) one.reads = false;
  const sender = Peer.open(host, common);
  const news = new Announcement('$.News', new Uint8Array(5000));
  for (let token = 1; token <= 1000; token++) sender.say(send(news, token));
  expect(common.memory.free).toBeGreaterThan(LIMIT / 8);
  // They miss the rest; who reads gets all.
  const eager = reader(host, common);
  sender.hear();
  for (let token = 1; token <= 10; token++) {
    sender.say(send(news, token));
    expect(eager.kinds()).toEqual(['PREFETCH']);
    eager.say(frame('CREDIT', { words: [0], consumed: 1 }));
  }
  expect(sender.kinds()).toEqual(new Array(10).fill('SENT'));
});

it('A client that reads slowly gets the rest of its queue when it has read all that it was sent.', () => {
  const host = new Host();
  const common = bus();
  const slow = reader(host, common);
  slow.reads = false;
  const sender = Peer.open(host, common);
  const news = new Announcement('$.News', new Uint8Array(5000));
  for (let token = 1; token <= 1000; token++) sender.say(send(news, token));
  const queued = common.ksocks.get(1)?.numMessages ?? 0;
  expect(queued).toBeLessThan(1000);
  let heard = 0;
  for (let rounds = 0; heard < queued; rounds++) {
    expect(rounds).toBeLessThan(queued);
    const got = slow.hear().filter(({ kind }) => kind === 'PREFETCH').length;
    heard += got;
    slow.drain();
    slow.say(frame('CREDIT', { words: [0], consumed: got }));
  }
  expect(common.ksocks.get(1)?.numMessages).toBe(0);
});
