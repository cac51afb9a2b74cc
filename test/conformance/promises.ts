import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { fill, next, readAll, readNames, readTexts } from './reading.ts';
import type { OriginalKsock, Stage } from './transport.ts';

export function promises(stage: Stage): void {
  describe('spec 1 §0: The promises', () => {
    it('Every Request that was accepted gets exactly one Reply or Status.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Question', true);
      await replier.bind('$.Other', true);
      const sent: string[] = [];
      for (let at = 0; at < 12; at++) {
        const name = at % 3 === 2 ? '$.Other' : '$.Question';
        sent.push(String(await requester.sendMsg(new Request(name))));
      }
      // Some are answered, some only read, some lose their binding, some are never read.
      for (let at = 0; at < 4; at++) await replier.sendMsg(replyTo(await next(replier)));
      for (let at = 0; at < 3; at++) await next(replier);
      await replier.unbind('$.Other', true);
      await replier.close();
      const answers = await readAll(requester);
      expect(answers.map(({ inReplyTo }) => String(inReplyTo)).sort()).toEqual(sent.sort());
      expect(new Set(answers.map(({ name }) => name))).toEqual(
        new Set([
          '$.Question',
          '$.Other',
          '$.KBUS.Replier.Unbound',
          '$.KBUS.Replier.GoneAway',
          '$.KBUS.Replier.Ignored',
        ]),
      );
    });

    it('Every recipient of messages on one bus sees them in the same order.', async () => {
      const senders = [await stage.open(), await stage.open(), await stage.open()];
      const listeners = [await stage.open(), await stage.open(), await stage.open()];
      for (const listener of listeners) await listener.bind('$.Race.*');
      const send = async (sender: OriginalKsock, who: number): Promise<void> => {
        for (let at = 0; at < 20; at++) {
          await sender.sendMsg(new Announcement(`$.Race.Of${who}`, `${who}:${at}`));
        }
      };
      await Promise.all(senders.map(send));
      const [first, ...others] = await Promise.all(listeners.map(readTexts));
      expect(first).toHaveLength(60);
      for (const other of others) expect(other).toEqual(first);
    });

    it('A Replier never misses a Request.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Question', true);
      await fill(replier, requester);
      await refused(requester.sendMsg(new Request('$.Question', 'refused')), 'EBUSY');
      await next(replier);
      await requester.sendMsg(new Request('$.Question', 'accepted'));
      expect(await readTexts(replier)).toEqual(['accepted']);
    });

    it('A Listener may miss a message, but only when its queue was full, and the sender can ask that it does not.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.News');
      await fill(listener, sender);
      await sender.sendMsg(new Announcement('$.News', 'missed'));
      await refused(
        sender.sendMsg(new Announcement('$.News', 'refused', { flags: Flag.ALL_OR_FAIL })),
        'EBUSY',
      );
      expect(await readNames(listener)).toEqual(['$.Filler']);
      await sender.sendMsg(new Announcement('$.News', 'heard'));
      expect(await readTexts(listener)).toEqual(['heard']);
    });

    it('A send either fails at once with a reason, or is done.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.News');
      const id = await sender.sendMsg(new Announcement('$.News'));
      expect((await next(listener)).id).toEqual(id);
      await refused(sender.sendMsg(new Request('$.News')), 'EADDRNOTAVAIL');
      expect(await readAll(listener)).toEqual([]);
    });

    it('The bus knows when a program has gone away, however it went.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Question', true);
      await replier.close();
      expect(await requester.findReplier('$.Question')).toBeNull();
    });
  });

  describe('spec 1 §1: Words', () => {
    it('Nothing passes between two buses.', async () => {
      const here = await stage.open();
      const there = await stage.open('rw', await here.newDevice());
      await here.bind('$.Name');
      await there.bind('$.Name', true);
      expect(await here.findReplier('$.Name')).toBeNull();
      await refused(here.sendMsg(new Request('$.Name')), 'EADDRNOTAVAIL');
      await there.sendMsg(new Announcement('$.Name'));
      expect(await here.numMessages()).toBe(0);
    });

    it('Buses are numbered 0, 1, 2, …. Bus 0 always exists.', async () => {
      const zero = await stage.open();
      expect(zero.number).toBe(0);
      for (const number of [1, 2]) {
        expect(await zero.newDevice()).toBe(number);
        expect((await stage.open('rw', number)).number).toBe(number);
      }
    });

    it('Each Ksock has an id that counts from 1 upwards on each bus. A bus never reuses an id during its life.', async () => {
      const first = await stage.open();
      const second = await stage.open();
      expect([first.id, second.id]).toEqual([1, 2]);
      await second.close();
      expect((await stage.open()).id).toBe(3);
      const other = await stage.open('rw', await first.newDevice());
      expect(other.id).toBe(1);
    });

    it('Sender, Listener, Replier: one Ksock may have all three roles.', async () => {
      const alone = await stage.open();
      await alone.bind('$.Thought');
      await alone.bind('$.Thought', true);
      await alone.sendMsg(new Request('$.Thought', 'why?'));
      const request = await next(alone);
      expect(request.wantsUsToReply()).toBe(true);
      expect((await next(alone)).wantsUsToReply()).toBe(false);
      await alone.sendMsg(replyTo(request, 'because'));
      expect(await readTexts(alone)).toEqual(['because', 'because']);
    });

    it('KBUS never looks at the data.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.Bytes');
      const every = Uint8Array.from({ length: 256 }, (_, byte) => byte);
      const large = Uint8Array.from({ length: 100_003 }, (_, at) => (at * 31) & 0xff);
      const all = [new Uint8Array(0), every, every.subarray(3, 8), large];
      for (const data of all) await sender.sendMsg(new Announcement('$.Bytes', data));
      for (const data of all) {
        const got = (await next(listener)).data;
        expect(got.length).toBe(data.length);
        expect(Buffer.from(got).equals(data)).toBe(true);
      }
    });
  });
}
