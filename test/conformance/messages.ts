import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, type Message, Reply, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, next, readAll } from './reading.ts';
import type { Stage } from './transport.ts';

const EXTRA_AT = 44;

export function messages(stage: Stage): void {
  describe('spec 1 §3: Message ids', () => {
    it('An id is printed `[n:s]`. (0,0) means unset.', async () => {
      const ksock = await stage.open();
      const id = await ksock.sendMsg(new Announcement('$.a'));
      expect(String(id)).toBe('[0:1]');
      expect(id.isSet).toBe(true);
      expect(new Announcement('$.a').id.isSet).toBe(false);
    });

    it('A message sent with network_id 0 gets the id (0, next serial of this bus). Serials start at 1 and rise by one.', async () => {
      const one = await stage.open();
      const two = await stage.open();
      const ids = [
        await one.sendMsg(new Announcement('$.a')),
        await two.sendMsg(new Announcement('$.b')),
        await one.sendMsg(new Announcement('$.a', null, { id: new MessageId(0, 77) })),
      ];
      expect(ids.map(String)).toEqual(['[0:1]', '[0:2]', '[0:3]']);
      const other = await stage.open('rw', await one.newDevice());
      expect(String(await other.sendMsg(new Announcement('$.a')))).toBe('[0:1]');
    });

    it('Serials skip 0 when they wrap.', async ({ skip }) => {
      const ksock = await stage.open();
      const { bus } = stage.place;
      if (bus === null) return skip('no program can send 4294967295 messages');
      bus.nextSerial = 0xffff_fffe;
      const ids: string[] = [];
      for (let at = 0; at < 4; at++) ids.push(String(await ksock.sendMsg(new Announcement('$.a'))));
      expect(ids).toEqual(['[0:4294967294]', '[0:4294967295]', '[0:1]', '[0:2]']);
    });

    it('A message sent with a non-zero network_id keeps the id that it came with.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (const id of [new MessageId(7, 9), new MessageId(7, 0), new MessageId(0xffff_ffff, 1)]) {
        expect(await ksock.sendMsg(new Announcement('$.a', null, { id }))).toEqual(id);
        expect(await ksock.lastMsgId()).toEqual(id);
        expect((await next(ksock)).id).toEqual(id);
      }
      // It used no serial.
      expect(String(await ksock.sendMsg(new Announcement('$.a')))).toBe('[0:1]');
    });

    it('A send that got as far as being given an id uses up a serial, even if it then fails.', async () => {
      const ksock = await stage.open();
      await refused(ksock.sendMsg(new Announcement('$.a.*')), 'EBADMSG');
      await refused(ksock.sendMsg(new Request('$.a')), 'EADDRNOTAVAIL');
      expect(String(await ksock.lastMsgId())).toBe('[0:1]');
      expect(String(await ksock.sendMsg(new Announcement('$.a')))).toBe('[0:2]');
    });

    it('Every message that KBUS itself makes uses up a serial.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      await requester.sendMsg(new Request('$.a'));
      await replier.close();
      expect(String((await next(requester)).id)).toBe('[0:2]');
      expect(String(await requester.sendMsg(new Announcement('$.a')))).toBe('[0:3]');
    });
  });

  describe('spec 1 §4: Messages', () => {
    it("from is the sender's Ksock id; KBUS always overwrites it.", async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.a');
      await sender.sendMsg(new Announcement('$.a', null, { from: 99 }));
      expect((await next(listener)).from).toBe(sender.id);
    });

    it('to: Announcement: 0; it is carried as it was given.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a'));
      expect((await next(ksock)).to).toBe(0);
    });

    it('KBUS carries orig_from and final_to unchanged.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (const [network, local] of [
        [1, 2],
        [0, 5],
        [6, 0],
        [0xffff_ffff, 0xffff_fffe],
      ] as const) {
        const origFrom = new OrigFrom(network, local);
        const finalTo = new OrigFrom(local, network);
        await ksock.sendMsg(new Announcement('$.a', null, { origFrom, finalTo }));
        const got = await next(ksock);
        expect([got.origFrom, got.finalTo]).toEqual([origFrom, finalTo]);
      }
    });

    it('extra is always 0.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      const bytes = new Announcement('$.a').toBytes();
      bytes[EXTRA_AT] = 5;
      await ksock.writeData(bytes);
      await ksock.send();
      const got = await ksock.readData(await ksock.nextMsg());
      expect([...got.subarray(EXTRA_AT, EXTRA_AT + 4)]).toEqual([0, 0, 0, 0]);
    });

    it('The top 16 bits of the flags belong to the user. KBUS never touches them.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (const flags of [0xffff_0000, 0x8000_0000, 0x0001_0000]) {
        await ksock.sendMsg(new Announcement('$.a', null, { flags }));
        expect((await next(ksock)).flags).toBe(flags);
      }
    });

    it('KBUS carries the other low bits unchanged.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', null, { flags: 0xfcf0 }));
      expect((await next(ksock)).flags).toBe(0xfcf0);
    });

    it('WANT_A_REPLY makes the message a Request.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a', true);
      await ksock.sendMsg(new Announcement('$.a', null, { flags: Flag.WANT_A_REPLY }));
      const got = await next(ksock);
      expect(got.isRequest()).toBe(true);
      expect(got.wantsUsToReply()).toBe(true);
    });

    it('KBUS sets WANT_YOU_TO_REPLY on the one copy given to the Replier, and clears it on all others.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      const listener = await stage.open();
      await replier.bind('$.a', true);
      await replier.bind('$.a');
      await listener.bind('$.a');
      const flags = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;
      await requester.sendMsg(new Announcement('$.a', null, { flags }));
      const seen = [...(await readAll(replier)), ...(await readAll(listener))];
      expect(seen.map((message) => message.flags)).toEqual([
        Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY,
        Flag.WANT_A_REPLY,
        Flag.WANT_A_REPLY,
      ]);
      await requester.bind('$.b');
      await requester.sendMsg(new Announcement('$.b', null, { flags: Flag.WANT_YOU_TO_REPLY }));
      expect((await next(requester)).flags).toBe(0);
    });

    it('KBUS clears SYNTHETIC on what users send.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', null, { flags: Flag.SYNTHETIC | (1 << 20) }));
      expect((await next(ksock)).flags).toBe(1 << 20);
    });

    it('ALL_OR_WAIT and ALL_OR_FAIL together get EINVAL.', async () => {
      const ksock = await stage.open();
      const flags = Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL;
      await refused(ksock.sendMsg(new Announcement('$.a', null, { flags })), 'EINVAL');
      await refused(ksock.writeMsg(new Announcement('$.a', null, { flags })), 'EINVAL');
    });

    it('A message is a Reply if either word of in_reply_to is non-zero.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (const inReplyTo of [new MessageId(0, 5), new MessageId(5, 0)]) {
        const reply = new Reply('$.a', null, { inReplyTo, to: ksock.id });
        await refused(ksock.sendMsg(reply), 'ECONNREFUSED');
      }
    });

    it('New: WANT_A_REPLY together with in_reply_to gets EINVAL.', async () => {
      const ksock = await stage.open();
      const options = { inReplyTo: new MessageId(0, 5), flags: Flag.WANT_A_REPLY };
      await refused(ksock.sendMsg(new Announcement('$.a', null, options)), 'EINVAL');
      await refused(ksock.writeMsg(new Announcement('$.a', null, options)), 'EINVAL');
    });

    it('A Status is a Reply made by KBUS. Its name is `$.KBUS.…`, SYNTHETIC is set, in_reply_to is the id of the Request, to is the requester, and it has no data.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const id = await requester.sendMsg(
        new Request('$.a', 'data', { flags: 0x00ff_0000 | Flag.URGENT }),
      );
      await replier.close();
      const status: Message = await next(requester);
      expect(status.name).toMatch(/^\$\.KBUS\./);
      expect(status.kind).toBe('Status');
      expect(status.flags).toBe(Flag.SYNTHETIC);
      expect(status.inReplyTo).toEqual(id);
      expect(status.to).toBe(requester.id);
      expect(status.dataLength).toBe(0);
    });

    it('A Reply goes to the requester: its Ksock id is `to`.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const request = await ask(requester, replier, '$.a');
      expect(request.from).toBe(requester.id);
      await replier.sendMsg(replyTo(request, 'yes'));
      const reply = await next(requester);
      expect(reply.kind).toBe('Reply');
      expect([reply.to, reply.from]).toEqual([requester.id, replier.id]);
      expect(reply.inReplyTo).toEqual(request.id);
      expect(reply.text()).toBe('yes');
    });

    it.for([
      [11, 0],
      [11, 1],
      [12, 4],
      [13, 5],
      [1000, 7],
      [999, 8],
    ] as const)(
      'The size is 88 + 4·⌈(name_len+1)/4⌉ + 4·⌈data_len/4⌉ + 4: for %i and %i bytes.',
      async ([nameLength, dataLength]) => {
        const ksock = await stage.open();
        const message = new Announcement(
          `$.${'n'.repeat(nameLength - 2)}`,
          new Uint8Array(dataLength),
        );
        const size = 88 + 4 * Math.ceil((nameLength + 1) / 4) + 4 * Math.ceil(dataLength / 4) + 4;
        expect(message.totalLength()).toBe(size);
        await ksock.bind('$.*');
        // The maximum counts it: a maximum of one byte less refuses it.
        await ksock.setMaxMessageSize(size - 1);
        await refused(ksock.sendMsg(message), 'EMSGSIZE');
        await ksock.setMaxMessageSize(size);
        await ksock.sendMsg(message);
        expect(await ksock.nextMsg()).toBe(size);
      },
    );
  });
}
