import { describe, expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, fill, next, readAll, readNames, readTexts } from './reading.ts';
import type { Stage } from './transport.ts';

const URGENT = { flags: Flag.URGENT };

export function queues(stage: Stage): void {
  describe('spec 1 §5: Queues', () => {
    it('Each Ksock has one queue of unread messages, and a limit. The default is 100, or 10,000 where spec 4 §4.3 says so.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      const limit = stage.transport.queueLimit ?? 10_000;
      expect(await listener.maxMessages()).toBe(limit);
      await listener.setMaxMessages(100);
      await listener.bind('$.*');
      for (let at = 0; at < 103; at++) await sender.sendMsg(new Announcement('$.a', String(at)));
      expect(await listener.numMessages()).toBe(100);
      expect(await readTexts(listener)).toEqual(Array.from({ length: 100 }, (_, at) => String(at)));
    });

    it('The occupied places of a Ksock are its unread messages, and the Requests it sent that are still unanswered.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.bind('$.News');
      await requester.setMaxMessages(3);
      const request = await ask(requester, replier, '$.Ask');
      await requester.sendMsg(new Request('$.Ask'));
      await replier.sendMsg(new Announcement('$.News', 'fits'));
      await replier.sendMsg(new Announcement('$.News', 'missed'));
      await refused(requester.sendMsg(new Request('$.Ask')), 'ENOLCK');
      expect(await readTexts(requester)).toEqual(['fits']);
      // A Reply takes the place that was held for it.
      await replier.sendMsg(replyTo(request, 'answer'));
      await replier.sendMsg(new Announcement('$.News', 'fits again'));
      await replier.sendMsg(new Announcement('$.News', 'missed'));
      expect(await readTexts(requester)).toEqual(['answer', 'fits again']);
    });

    it('The place that is held for a Reply is free for that Reply.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.setMaxMessages(1);
      const request = await ask(requester, replier, '$.Ask');
      await replier.sendMsg(replyTo(request, 'came'));
      expect(await readTexts(requester)).toEqual(['came']);
    });

    it('The place that is held for a Reply is free for that Reply, whatever the limit has become.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      const requests = [
        await ask(requester, replier, '$.Ask'),
        await ask(requester, replier, '$.Ask'),
      ];
      await requester.setMaxMessages(1);
      for (const request of requests) {
        const reply = replyTo(request, 'came');
        reply.flags |= Flag.ALL_OR_FAIL;
        await replier.sendMsg(reply);
      }
      expect(await readTexts(requester)).toEqual(['came', 'came']);
    });

    it('Lowering the limit below what is there throws nothing away. The queue is full until it drains.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      for (const text of ['1', '2', '3']) await ksock.sendMsg(new Announcement('$.a', text));
      expect(await ksock.setMaxMessages(2)).toBe(2);
      expect(await ksock.numMessages()).toBe(3);
      await ksock.sendMsg(new Announcement('$.a', 'missed'));
      await next(ksock);
      await ksock.sendMsg(new Announcement('$.a', 'missed'));
      await next(ksock);
      await ksock.sendMsg(new Announcement('$.a', '4'));
      expect(await readTexts(ksock)).toEqual(['3', '4']);
    });

    it('Setting the limit to 0 changes nothing, and returns the limit.', async () => {
      const ksock = await stage.open();
      expect(await ksock.setMaxMessages(0)).toBe(stage.transport.queueLimit ?? 10_000);
      await ksock.setMaxMessages(7);
      expect(await ksock.setMaxMessages(0)).toBe(7);
      expect(await ksock.maxMessages()).toBe(7);
    });

    it('`next` takes the message at the front; there may be none.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      expect(await ksock.readNextMsg()).toBeNull();
      await ksock.sendMsg(new Announcement('$.a', '1'));
      await ksock.sendMsg(new Announcement('$.a', '2'));
      expect((await next(ksock)).text()).toBe('1');
      expect((await next(ksock)).text()).toBe('2');
      expect(await ksock.readNextMsg()).toBeNull();
    });

    it('KBUS puts an URGENT message at the front, and every other message at the back. So of two urgent messages the later one is read first.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', '1'));
      await ksock.sendMsg(new Announcement('$.a', 'urgent 1', URGENT));
      await ksock.sendMsg(new Announcement('$.a', '2'));
      await ksock.sendMsg(new Announcement('$.a', 'urgent 2', URGENT));
      expect(await readTexts(ksock)).toEqual(['urgent 2', 'urgent 1', '1', '2']);
    });

    it('An URGENT Reply is put at the front of what its requester has not read.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.bind('$.News');
      const request = await ask(requester, replier, '$.Ask');
      await replier.sendMsg(new Announcement('$.News', 'news'));
      const reply = replyTo(request, 'answer');
      reply.setUrgent();
      await replier.sendMsg(reply);
      expect(await readTexts(requester)).toEqual(['answer', 'news']);
    });

    it('A message sits in the queue once per matching binding.', async () => {
      const ksock = await stage.open();
      for (const name of ['$.a.b', '$.a.b', '$.a.%', '$.a.*', '$.*', '$.other'])
        await ksock.bind(name);
      await ksock.sendMsg(new Announcement('$.a.b'));
      expect(await ksock.numMessages()).toBe(5);
    });

    it('Each copy is tied to its binding.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.bind('$.*');
      await ksock.sendMsg(new Announcement('$.a', '1'));
      await ksock.sendMsg(new Announcement('$.b', '2'));
      await ksock.unbind('$.*');
      expect(await readTexts(ksock)).toEqual(['1']);
    });

    it('A Reply to its requester, and a Status, are tied to no binding.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.Ask', true);
      await requester.bind('$.*');
      const request = await ask(requester, replier, '$.Ask');
      await requester.sendMsg(new Request('$.Ask'));
      await replier.sendMsg(replyTo(request, 'to you'));
      await replier.close();
      await requester.unbind('$.*');
      expect(await readNames(requester)).toEqual(['$.Ask', '$.KBUS.Replier.GoneAway']);
    });

    it.for([
      ['', 0],
      ['New: also when it is URGENT, ', Flag.URGENT],
    ] as const)(
      '%sa Ksock that gets several copies reads the one for the requester before any listener’s copy.',
      async ([, flags]) => {
        const requester = await stage.open();
        const replier = await stage.open();
        await replier.bind('$.Ask', true);
        const request = await ask(requester, replier, '$.Ask');
        await requester.bind('$.Ask');
        const reply = replyTo(request);
        reply.flags |= flags;
        await replier.sendMsg(reply);
        expect(await requester.numMessages()).toBe(2);
        // The first copy was tied to no binding; the other one goes with its binding.
        await next(requester);
        await requester.unbind('$.Ask');
        expect(await requester.numMessages()).toBe(0);
      },
    );

    it.for([
      ['', 0],
      ['New: also when it is URGENT, ', Flag.URGENT],
    ] as const)(
      '%sa Ksock that gets several copies reads the one for the Replier before any listener’s copy.',
      async ([, flags]) => {
        const requester = await stage.open();
        const replier = await stage.open();
        await replier.bind('$.Ask');
        await replier.bind('$.Ask', true);
        await replier.bind('$.*');
        await requester.sendMsg(new Request('$.Ask', null, { flags }));
        const copies = await readAll(replier);
        expect(copies.map((copy) => copy.wantsUsToReply())).toEqual([true, false, false]);
      },
    );

    describe('spec 1 §5.3: Once only', () => {
      it('KBUS drops a listener copy if the last thing queued to that Ksock was the same message id.', async () => {
        const ksock = await stage.open();
        for (const name of ['$.a', '$.a', '$.*']) await ksock.bind(name);
        await ksock.wantMessagesOnce(true);
        await ksock.sendMsg(new Announcement('$.a', '1'));
        await ksock.sendMsg(new Announcement('$.a', '2'));
        await ksock.sendMsg(new Announcement('$.a', 'urgent', URGENT));
        expect(await readTexts(ksock)).toEqual(['urgent', '1', '2']);
      });

      it.for([
        ['', 0],
        [' (URGENT)', Flag.URGENT],
      ] as const)(
        'KBUS never drops the copy for the Replier; it drops its listener copies%s.',
        async ([, flags]) => {
          const requester = await stage.open();
          const replier = await stage.open();
          await replier.bind('$.Ask');
          await replier.bind('$.Ask', true);
          await replier.bind('$.Ask');
          await replier.wantMessagesOnce(true);
          await requester.sendMsg(new Request('$.Ask', null, { flags }));
          expect((await readAll(replier)).map((copy) => copy.wantsUsToReply())).toEqual([true]);
        },
      );

      it.for([
        ['', 0],
        [' (URGENT)', Flag.URGENT],
      ] as const)(
        'KBUS never drops a Reply to its requester; it drops its listener copies%s.',
        async ([, flags]) => {
          const requester = await stage.open();
          const replier = await stage.open();
          await replier.bind('$.Ask', true);
          const request = await ask(requester, replier, '$.Ask');
          await requester.bind('$.Ask');
          await requester.wantMessagesOnce(true);
          const reply = replyTo(request, 'answer');
          reply.flags |= flags;
          await replier.sendMsg(reply);
          await requester.unbind('$.Ask');
          expect(await readTexts(requester)).toEqual(['answer']);
        },
      );

      it.for([
        ['', 0],
        [' (URGENT)', Flag.URGENT],
      ] as const)(
        'Of several matching bindings the newest keeps its copy: the message leaves the queue when that binding goes, and stays when another one does%s.',
        async ([, flags]) => {
          const names = ['$.a.b', '$.a.*', '$.a.%', '$.%.b'];
          // The last one bound, not the most specific one.
          for (const newest of names) {
            const ksock = await stage.open();
            const others = names.filter((name) => name !== newest);
            for (const name of others) await ksock.bind(name);
            await ksock.bind(newest);
            await ksock.wantMessagesOnce(true);
            await ksock.sendMsg(new Announcement('$.a.b', 'stays', { flags }));
            for (const name of others) await ksock.unbind(name);
            expect(await readTexts(ksock), newest).toEqual(['stays']);
            for (const name of others) await ksock.bind(name);
            await ksock.sendMsg(
              new Announcement('$.a.b', 'is tied to one of the others', { flags }),
            );
            await ksock.unbind(newest);
            expect(await ksock.numMessages(), newest).toBe(1);
            await ksock.unbind(others.at(-1) as string);
            expect(await ksock.numMessages(), newest).toBe(0);
            await ksock.close();
          }
        },
      );

      it('Only the last thing queued counts.', async () => {
        const ksock = await stage.open();
        await ksock.bind('$.a');
        await ksock.wantMessagesOnce(true);
        const same = new Announcement('$.a', 'same', { id: new MessageId(9, 9) });
        await ksock.sendMsg(same);
        await ksock.sendMsg(same);
        await ksock.sendMsg(new Announcement('$.a', 'other'));
        await ksock.sendMsg(same);
        expect(await readTexts(ksock)).toEqual(['same', 'other', 'same']);
      });

      it('It is the switch of one Ksock.', async () => {
        const once = await stage.open();
        const often = await stage.open();
        for (const ksock of [once, often]) {
          await ksock.bind('$.a');
          await ksock.bind('$.*');
        }
        await once.wantMessagesOnce(true);
        await once.sendMsg(new Announcement('$.a'));
        expect(await once.numMessages()).toBe(1);
        expect(await often.numMessages()).toBe(2);
      });
    });

    it('A message that a full queue misses is never delivered later.', async () => {
      const sender = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.a');
      await fill(listener, sender);
      await sender.sendMsg(new Announcement('$.a'));
      await listener.setMaxMessages(100);
      expect(await readNames(listener)).toEqual(['$.Filler']);
    });
  });
}
