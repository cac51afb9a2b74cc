import { describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { BusKsock } from '../../src/bus/ksock.ts';
import { Memory } from '../../src/bus/memory.ts';
import { Work } from '../../src/bus/work.ts';
import { MAX_BACKLOG_BYTES } from '../../src/daemon/prefetcher.ts';
import { Op } from '../../src/message/calls.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Message, Request } from '../../src/message/message.ts';
import { SendDetail } from '../../src/wire/protocol.ts';
import { frame, hello, messagesFrame } from '../support/frames.ts';
import { call, Host, Peer, send } from './peer.ts';

const LIMIT = 4_000_000;
const QUIET = SendDetail.QUIET;
const OWNER = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** A program whose queue has 20 KB unread, on a bus of which `hog` then holds all that may be held. */
function full(): { host: Host; bus: Bus; peer: Peer; ksock: BusKsock; hog: BusKsock } {
  const host = new Host();
  const common = { memory: new Memory(LIMIT), names: new NameNumbers(), work: new Work() };
  const bus = new Bus({ common });
  const hog = bus.open(OWNER, { share: bus.memory.share('hogs') });
  const peer = Peer.open(host, bus);
  const ksock = bus.ksocks.get(2) as BusKsock;
  peer.bind('$.Own');
  for (let token = 1; token <= 20; token++) {
    peer.say(send(new Announcement('$.Own', new Uint8Array(1000)), token, QUIET));
  }
  hog.hold(bus.memory.room);
  expect([ksock.isFull, ksock.numMessages]).toEqual([true, 20]);
  return { host, bus, peer, ksock, hog };
}

/** Says it in two parts, the first of so many bytes. */
function sayInParts(peer: Peer, bytes: Uint8Array, first: number): void {
  peer.session.received(bytes, 0, first);
  peer.session.received(bytes, first, bytes.length);
}

describe('When a Ksock holds as much as it may, and nothing is free for it,', () => {
  it('its sends that come in one short frame, but not at once, are sent.', () => {
    const { bus, peer } = full();
    const other = bus.open(OWNER);
    other.bind('$.News', false);
    const many = Array.from({ length: 30 }, () => new Announcement('$.News', new Uint8Array(300)));
    for (let times = 0; times < 100; times++) {
      sayInParts(
        peer,
        messagesFrame('SEND', many, { token: 100 + 30 * times, detail: QUIET }),
        2500,
      );
      expect(other.missed + other.numMessages).toBe(30 * (times + 1));
    }
    expect(other.numMessages).toBeGreaterThan(0);
    expect([peer.isEnded, peer.kinds()]).toEqual([false, []]);
  });

  it('a large send that does not come at once is refused, and a frame of several ends the connection (ENOMEM).', () => {
    const { peer } = full();
    sayInParts(peer, send(new Announcement('$.News', new Uint8Array(60_000)), 50), 20_000);
    const [refused] = peer.hear();
    expect([refused?.kind, refused?.words[0], peer.isEnded]).toEqual([
      'REFUSED',
      Errno.ENOMEM,
      false,
    ]);
    const many = Array.from({ length: 30 }, () => new Announcement('$.News', new Uint8Array(3000)));
    sayInParts(peer, messagesFrame('SEND', many, { token: 100 }), 20_000);
    const [farewell] = peer.hear();
    expect([farewell?.kind, farewell?.words[0]]).toEqual(['FAREWELL', Errno.ENOMEM]);
  });

  it('64 of its TAKEs may wait, and one more ends its connection (ENOMEM).', () => {
    const { peer, ksock } = full();
    // It holds as much, but not in its queue.
    ksock.hold(20_000);
    for (let token = 1; token <= 20; token++) peer.say(frame('TAKE', { detail: 1, token }));
    peer.hear();
    for (let token = 101; token <= 164; token++) peer.say(frame('TAKE', { detail: 1, token }));
    expect([peer.isEnded, peer.kinds()]).toEqual([false, []]);
    peer.say(frame('TAKE', { detail: 1, token: 165 }));
    const [farewell] = peer.hear();
    expect([farewell?.kind, farewell?.words[0]]).toEqual(['FAREWELL', Errno.ENOMEM]);
  });

  it('it is read on only when it has read what it was sent.', () => {
    const { bus, peer, hog } = full();
    peer.reads = false;
    const unknown = `$.No.${'x'.repeat(900)}`;
    const fail = (token: number): void => peer.say(call(Op.UNBIND, token, 0, unknown));
    for (let token = 1; !peer.isPaused; token++) {
      fail(token);
      expect(peer.backlog).toBeLessThan(8192);
    }
    peer.drain();
    expect(peer.isPaused).toBe(false);
    // With room, much more may wait.
    peer.reads = false;
    hog.hold(-bus.memory.held / 2);
    for (let token = 1; peer.backlog < 20_000; token++) fail(token);
    expect([peer.isPaused, peer.backlog < MAX_BACKLOG_BYTES]).toEqual([false, true]);
  });

  it('it gets small Replies, also those that come together.', () => {
    const { host, bus, peer, ksock, hog } = full();
    const held = hog.held;
    hog.hold(-held + 10_000);
    const replier = Peer.open(host, bus);
    replier.bind('$.Ask', true);
    const requests = Array.from({ length: 10 }, () => new Request('$.Ask'));
    peer.say(messagesFrame('SEND', requests, { token: 100, detail: QUIET }));
    expect(ksock.outstanding.size).toBe(10);
    const first = ksock.lastSerial - 9;
    for (let token = 1; token <= 10; token++) replier.say(frame('TAKE', { detail: 1, token }));
    replier.hear();
    hog.hold(bus.memory.room);
    expect(ksock.isFull).toBe(true);
    const replies = Array.from({ length: 10 }, (_, at) => {
      const options = { to: ksock.id, inReplyTo: new MessageId(0, first + at) };
      return new Message('$.Ask', new Uint8Array(8), options);
    });
    replier.say(messagesFrame('SEND', replies, { token: 200, detail: QUIET }));
    expect([replier.kinds(), ksock.outstanding.size]).toEqual([[], 0]);
  });

  it('a Request to it that may wait for room waits, whatever its size, until somebody lets go of memory.', () => {
    const { host, bus, peer, ksock, hog } = full();
    hog.hold(-200_000);
    peer.bind('$.Ask', true);
    const asker = Peer.open(host, bus);
    expect(ksock.takes(60_000)).toBe(true);
    hog.hold(44_000);
    expect([ksock.isFull, ksock.takes(60_000)]).toEqual([false, false]);
    const detail = QUIET | SendDetail.ROOM | SendDetail.ANSWERED;
    asker.say(send(new Request('$.Ask', new Uint8Array(60_000)), 1, detail));
    expect([asker.kinds(), ksock.numMessages]).toEqual([[], 20]);
    hog.hold(-44_000);
    bus.memory.tell();
    expect([asker.kinds(), ksock.numMessages]).toEqual([[], 21]);
  });

  it('no other Ksock comes in, also of those that have connected before.', () => {
    const host = new Host();
    const common = { memory: new Memory(LIMIT), names: new NameNumbers(), work: new Work() };
    const bus = new Bus({ common });
    const silent = Array.from({ length: 500 }, () => new Peer(host, bus));
    for (const peer of silent) peer.say(hello());
    const kinds = silent.map((peer) => peer.hear()[0]?.kind);
    for (const kind of ['WELCOME', 'FAREWELL']) {
      expect(kinds.filter((each) => each === kind).length).toBeGreaterThan(100);
    }
    const [asker, replier] = silent as [Peer, Peer];
    replier.bind('$.Ask', true);
    asker.say(send(new Announcement('$.Ask', 'well?', { flags: Flag.WANT_A_REPLY }), 1));
    expect([bus.memory.room >= 0, asker.kinds()]).toEqual([true, ['SENT']]);
  });
});
