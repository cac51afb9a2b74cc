import { describe, expect, it } from 'vitest';
import { Announcement, type Message, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, next, readAll } from './reading.ts';
import type { Stage } from './transport.ts';

const MEBIBYTE = 1024 * 1024;

export function settings(stage: Stage): void {
  describe('spec 1 §10: Settings', () => {
    it('max messages: of the Ksock; 0 asks; the default is that of spec 1 §5.1.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      expect(await one.setMaxMessages(3)).toBe(3);
      expect(await one.maxMessages()).toBe(3);
      expect(await two.maxMessages()).toBe(stage.transport.queueLimit ?? 10_000);
      expect(await one.setMaxMessages(0xffff_ffff)).toBe(0xffff_ffff);
    });

    it('once only: of the Ksock; 0 / 1 / asks; returns the previous value.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      expect(await one.wantMessagesOnce()).toBe(false);
      expect(await one.wantMessagesOnce(true)).toBe(false);
      expect(await one.wantMessagesOnce()).toBe(true);
      expect(await two.wantMessagesOnce()).toBe(false);
      expect(await one.wantMessagesOnce(false)).toBe(true);
      expect(await one.wantMessagesOnce()).toBe(false);
    });

    it('verbose: of the bus; 0 / 1 / asks; returns the previous value.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      const elsewhere = await stage.open('rw', await one.newDevice());
      expect(await one.verbose()).toBe(false);
      expect(await one.verbose(true)).toBe(false);
      expect(await two.verbose()).toBe(true);
      expect(await elsewhere.verbose()).toBe(false);
      // The log does not change the behaviour of the bus.
      await one.bind('$.a', true);
      await two.sendMsg(replyTo(await ask(one, one, '$.a'))).catch(() => {});
      await refused(two.sendMsg(new Request('$.b')), 'EADDRNOTAVAIL');
      expect(await two.verbose(false)).toBe(true);
      expect(await one.verbose()).toBe(false);
    });

    it('max message size: of the bus; 0 asks; 1 asks for the absolute maximum.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      const elsewhere = await stage.open('rw', await one.newDevice());
      expect(await one.setMaxMessageSize(200)).toBe(200);
      expect(await two.maxMessageSize()).toBe(200);
      expect(await two.setMaxMessageSize(0)).toBe(200);
      expect(await two.setMaxMessageSize(1)).toBe(16 * MEBIBYTE);
      expect(await one.maxMessageSize()).toBe(200);
      expect(await elsewhere.maxMessageSize()).toBe(16 * MEBIBYTE);
      await refused(one.sendMsg(new Announcement('$.a', new Uint8Array(200))), 'EMSGSIZE');
    });

    it('A value under 100 or over that maximum gets EINVAL.', async () => {
      const ksock = await stage.open();
      for (const size of [2, 99, 16 * MEBIBYTE + 1, 0xffff_ffff]) {
        await refused(ksock.setMaxMessageSize(size), 'EINVAL');
      }
      expect(await ksock.setMaxMessageSize(100)).toBe(100);
      expect(await ksock.setMaxMessageSize(16 * MEBIBYTE)).toBe(16 * MEBIBYTE);
    });

    it('New: the absolute and the default maximum message size are 16 MiB.', async () => {
      const ksock = await stage.open();
      expect(await ksock.maxMessageSize()).toBe(16 * MEBIBYTE);
      expect(await ksock.setMaxMessageSize(1)).toBe(16 * MEBIBYTE);
    });

    it('The largest message passes, and one that is a word larger is refused.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.setMaxMessageSize(70_000);
      const data = new Uint8Array(70_000 - new Announcement('$.a').totalLength()).fill(7);
      const message = new Announcement('$.a', data);
      expect(message.totalLength()).toBe(70_000);
      await ksock.sendMsg(message);
      expect(Buffer.from((await next(ksock)).data).equals(data)).toBe(true);
      const larger = new Announcement('$.a', new Uint8Array(data.length + 1));
      await refused(ksock.sendMsg(larger), 'EMSGSIZE');
      await refused(ksock.writeData(larger.toBytes().subarray(0, 88)), 'EMSGSIZE');
      await ksock.sendMsg(new Announcement('$.a', 'it goes on'));
      expect((await next(ksock)).text()).toBe('it goes on');
    });

    it('spec 1 §13.4: A lowered maximum message size holds for new messages only. Replies to Requests that were already accepted pass.', async () => {
      const [requester, replier] = [await stage.open(), await stage.open()];
      await replier.bind('$.a', true);
      const asked = [
        await ask(requester, replier, '$.a'),
        await ask(requester, replier, '$.a'),
        await ask(requester, replier, '$.a'),
      ];
      await requester.setMaxMessageSize(200);
      const afterwards = await ask(requester, replier, '$.a');
      const large = new Uint8Array(5000).fill(7);
      const [one, two, three] = asked.map((request) => replyTo(request, large)) as Message[];
      await replier.sendMsg(one as Message);
      expect((await next(requester)).dataLength).toBe(5000);
      // Written in pieces, too.
      await replier.writeMsg(two as Message);
      await replier.send();
      expect((await next(requester)).dataLength).toBe(5000);
      // One Request has its answer; one was accepted later; and one message is no Reply.
      await refused(replier.sendMsg(one as Message), 'EMSGSIZE');
      await refused(replier.sendMsg(replyTo(afterwards, large)), 'EMSGSIZE');
      await refused(replier.sendMsg(new Announcement('$.b', large)), 'EMSGSIZE');
      await replier.sendMsg(three as Message);
      await replier.sendMsg(replyTo(afterwards, 'short'));
      expect((await readAll(requester)).map((message) => message.dataLength)).toEqual([5000, 5]);
    });

    it('spec 1 §13.4: A Reply of at most 256 bytes always passes.', async () => {
      const [requester, replier] = [await stage.open(), await stage.open()];
      await replier.bind('$.a', true);
      await requester.setMaxMessageSize(100);
      const requests = [
        await ask(requester, replier, '$.a'),
        await ask(requester, replier, '$.a'),
      ] as const;
      const rest = 256 - new Announcement('$.a').totalLength();
      const [largest, larger] = [new Uint8Array(rest), new Uint8Array(rest + 1)];
      await replier.sendMsg(replyTo(requests[0], largest));
      await refused(replier.sendMsg(replyTo(requests[1], larger)), 'EMSGSIZE');
      await refused(replier.sendMsg(new Announcement('$.a', largest)), 'EMSGSIZE');
      await replier.sendMsg(replyTo(requests[1], 'short'));
      expect((await readAll(requester)).map((one) => one.dataLength)).toEqual([rest, 5]);
    });

    it('new device makes the next bus and returns its number. There are at most 256; then it gets EINVAL.', async () => {
      const ksock = await stage.open();
      for (let number = 1; number < 256; number++) expect(await ksock.newDevice()).toBe(number);
      await refused(ksock.newDevice(), 'EINVAL');
      const last = await stage.open('rw', 255);
      expect(last.number).toBe(255);
    });

    it('num_messages is the number of unread messages.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      expect(await ksock.numMessages()).toBe(0);
      await ksock.sendMsg(new Announcement('$.a', 'one'));
      await ksock.sendMsg(new Announcement('$.a', 'two'));
      expect(await ksock.numMessages()).toBe(2);
      const length = await ksock.nextMsg();
      expect(await ksock.numMessages()).toBe(1);
      await ksock.readMsg(length);
      expect(await ksock.numMessages()).toBe(1);
    });

    it('num_unreplied_to is the number of Requests that were read and not yet answered.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      await replier.bind('$.a');
      const first = await ask(requester, replier, '$.a');
      // A listener does not answer its copy.
      await next(replier);
      await requester.sendMsg(new Request('$.a'));
      expect(await replier.numUnrepliedTo()).toBe(1);
      await next(replier);
      expect(await replier.numUnrepliedTo()).toBe(2);
      await replier.sendMsg(replyTo(first));
      expect(await replier.numUnrepliedTo()).toBe(1);
      expect(await requester.numUnrepliedTo()).toBe(0);
    });

    it('last_msg_id is (0,0) before the first send.', async () => {
      const ksock = await stage.open();
      const id = await ksock.lastMsgId();
      expect([id.networkId, id.serialNum]).toEqual([0, 0]);
    });
  });

  describe('spec 4 §1: reading in pieces', () => {
    it('`next_msg` gives the length of the next message, 0 if there is none; `len_left` gives its unread bytes.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      expect(ksock.lenLeft()).toBe(0);
      expect(await ksock.nextMsg()).toBe(0);
      const message = new Announcement('$.a', 'data');
      await ksock.sendMsg(message);
      const length = await ksock.nextMsg();
      expect(length).toBe(message.totalLength());
      expect(ksock.lenLeft()).toBe(length);
      expect(await ksock.readData(10)).toHaveLength(10);
      expect(ksock.lenLeft()).toBe(length - 10);
      expect(await ksock.readData(0)).toHaveLength(0);
      expect(await ksock.readData(10_000)).toHaveLength(length - 10);
      expect(await ksock.readData(10)).toHaveLength(0);
    });

    it('`next_msg` drops the rest of the current message.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', 'first'));
      await ksock.sendMsg(new Announcement('$.a', 'second'));
      await ksock.nextMsg();
      await ksock.readData(5);
      const message = await ksock.readMsg(await ksock.nextMsg());
      expect(message?.text()).toBe('second');
      expect(await ksock.nextMsg()).toBe(0);
      expect(ksock.lenLeft()).toBe(0);
      expect(await ksock.readMsg(100)).toBeNull();
    });

    it('`wait_for_msg` waits for the next message, or until its timeout.', async () => {
      const ksock = await stage.open();
      const other = await stage.open();
      await ksock.bind('$.a');
      expect(await ksock.waitForMsg({ timeout: 0 })).toBeNull();
      const waiting = ksock.waitForMsg();
      await other.sendMsg(new Announcement('$.a', 'at last'));
      expect((await waiting)?.text()).toBe('at last');
      await other.sendMsg(new Announcement('$.a', 'there already'));
      expect((await ksock.waitForMsg({ timeout: 0 }))?.text()).toBe('there already');
    });
  });
}
