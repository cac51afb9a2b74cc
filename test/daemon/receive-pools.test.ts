import { describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import type { KsockOwner } from '../../src/bus/ksock-state.ts';
import { Memory } from '../../src/bus/memory.ts';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { Work } from '../../src/bus/work.ts';
import { Chunks } from '../../src/daemon/chunks.ts';
import { ReceivePools } from '../../src/daemon/receive-pools.ts';
import { Op } from '../../src/message/calls.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Reply, Request } from '../../src/message/message.ts';
import { SendDetail } from '../../src/wire/protocol.ts';
import { frame } from '../support/frames.ts';
import { Host, Peer, send } from './peer.ts';

const POOL_BYTES = 16_384;
/** Too long to be copied when it is written. */
const news = new Announcement('$.News', new Uint8Array(5000));

const nobody: KsockOwner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** A sender that receives in a pool, which it leaves when it has said something there. */
class Rig {
  readonly bus = new Bus();
  readonly chunks = new Chunks(new Memory(1e9), new Work(), Number.POSITIVE_INFINITY, POOL_BYTES);
  readonly pools = new ReceivePools(this.chunks);
  readonly host = Object.assign(new Host(), { chunks: this.chunks });
  readonly sender = Peer.open(this.host, this.bus);
  readonly pool = this.pools.take();

  /** A listener of $.News with credit for so many messages. */
  listener(credit: number): Peer {
    const peer = Peer.open(this.host, this.bus);
    peer.bind('$.News');
    peer.say(frame('CREDIT', { words: [credit] }));
    return peer;
  }

  /** The daemon receives the first `length` bytes of the frame. */
  say(bytes: Uint8Array, length = bytes.length, by = this.sender): void {
    this.pool.set(bytes.subarray(0, length));
    by.session.received(this.pool, 0, length);
    this.pools.retire(this.pool, by.session);
  }

  get isUsedAgain(): boolean {
    return this.pools.take() === this.pool;
  }
}

describe('Memory to receive in', () => {
  it('is used again when all messages in it are read.', () => {
    const rig = new Rig();
    const [one, other] = [rig.listener(5), rig.listener(5)];
    rig.say(send(news, 1));
    one.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(false);
    other.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(true);
    expect(rig.isUsedAgain, 'twice').toBe(false);
  });

  it('is not while a message is to be written, whatever the client says it has read.', () => {
    const rig = new Rig();
    const listener = rig.listener(5);
    listener.reads = false;
    rig.say(send(news, 1));
    listener.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(false);
    listener.drain();
    expect(rig.isUsedAgain).toBe(true);
  });

  it('is not while most of a message lies in it whose end was copied, however soon what follows is read.', () => {
    const rig = new Rig();
    const [slow, listener] = [Peer.open(rig.host, rig.bus), rig.listener(5)];
    slow.bind('$.Large');
    const large = send(new Announcement('$.Large', new Uint8Array(17_000)), 1);
    const [begun, rest] = [large.subarray(0, 3000), large.subarray(3000)];
    const follows = send(new Announcement('$.News', new Uint8Array(100)), 2);
    rig.sender.say(begun);
    rig.pool.set(rest);
    rig.pool.set(follows, rest.length);
    rig.sender.session.received(rig.pool, 0, 12_000);
    rig.sender.session.received(rig.pool, 12_000, rest.length + follows.length);
    rig.pools.retire(rig.pool, rig.sender.session);
    listener.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(false);
    slow.say(frame('CREDIT', { words: [1] }));
    slow.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(true);
  });

  it('is not while any piece of a message lies in it, whichever.', () => {
    const { chunks, pools, sender } = new Rig();
    const taken = [pools.take(), pools.take(), pools.take()];
    for (const pool of taken) {
      chunks.of(pool, null);
      pools.retire(pool, sender.session);
    }
    const [first, ...more] = taken.map((pool) => pool.subarray(100)) as [Uint8Array, Uint8Array];
    const memory = chunks.of(new Uint8Array(3000), [first, ...more, new Uint8Array(2000)]);
    const batch = new MessageBatch('$.Large', 0, 0, first, 0, 0);
    batch.holders = 1;
    memory.hold(batch);
    expect(taken).not.toContain(pools.take());
    memory.letGo(batch);
    expect(taken).toContain(pools.take());
  });

  it('is not while an incomplete frame begins in it.', () => {
    const rig = new Rig();
    const bytes = send(news, 2);
    const whole = send(news, 1);
    rig.say(Buffer.concat([whole, bytes]), whole.length + 3000);
    expect(rig.isUsedAgain).toBe(false);
    rig.sender.say(bytes.subarray(3000));
    expect(rig.isUsedAgain).toBe(true);
  });

  it('is not while a message waits for room.', () => {
    const rig = new Rig();
    const waiting = new Announcement('$.News', news.data, { flags: Flag.ALL_OR_WAIT });
    const listener = rig.listener(0);
    listener.call(Op.MAX_MESSAGES, 1);
    rig.sender.say(send(news, 1));
    rig.say(send(waiting, 2, SendDetail.WAIT));
    expect(rig.isUsedAgain).toBe(false);
    listener.say(frame('CREDIT', { words: [9] }));
    listener.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(false);
    listener.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(rig.isUsedAgain).toBe(true);
  });

  it("is not once a message was given to a program in the daemon's process, which may keep it.", () => {
    const rig = new Rig();
    const ksock = rig.bus.open(nobody);
    ksock.bind('$.News', false);
    rig.say(send(news, 1));
    expect(ksock.take()?.dataLength).toBe(5000);
    expect(rig.isUsedAgain).toBe(false);
  });

  it('is not once it had an answer, which its requester may keep.', () => {
    const rig = new Rig();
    const [requester, replier] = [Peer.open(rig.host, rig.bus), Peer.open(rig.host, rig.bus)];
    replier.bind('$.Ask', true);
    replier.say(frame('CREDIT', { words: [9] }));
    requester.say(send(new Request('$.Ask'), 1, SendDetail.ANSWERED));
    const request = replier.hear().find(({ kind }) => kind === 'PREFETCH')?.message as Message;
    const { from, id } = request;
    const reply = new Reply('$.Ask', new Uint8Array(5000), { inReplyTo: id, to: from });
    rig.say(send(reply, 1), undefined, replier);
    expect(requester.kinds()).toEqual(['SENT', 'ANSWER']);
    expect(rig.isUsedAgain).toBe(false);
  });
});
