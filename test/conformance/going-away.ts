import { describe, expect, it } from 'vitest';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, next, readAll, readNames } from './reading.ts';
import type { Stage } from './transport.ts';

export function goingAway(stage: Stage): void {
  describe('spec 1 §8: Going away', () => {
    it('In this order: every unread Request gets GoneAway, the bindings go, every Request that it read and did not answer gets Ignored, the last read first.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const ids: string[] = [];
      for (let at = 0; at < 5; at++) ids.push(String(await requester.sendMsg(new Request('$.a'))));
      for (let at = 0; at < 3; at++) await next(replier);
      await replier.close();
      const statuses = await readAll(requester);
      expect(statuses.map((status) => [status.name, String(status.inReplyTo)])).toEqual([
        ['$.KBUS.Replier.GoneAway', ids[3]],
        ['$.KBUS.Replier.GoneAway', ids[4]],
        ['$.KBUS.Replier.Ignored', ids[2]],
        ['$.KBUS.Replier.Ignored', ids[1]],
        ['$.KBUS.Replier.Ignored', ids[0]],
      ]);
      expect(statuses.map(({ from }) => from)).toEqual(Array(5).fill(replier.id));
      expect(await requester.findReplier('$.a')).toBeNull();
    });

    it('The bindings go between the two: the events of the unbinds come after GoneAway and before Ignored.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await requester.bind('$.KBUS.ReplierBindEvent');
      await replier.bind('$.a', true);
      await requester.reportReplierBinds(true);
      await readAll(requester);
      await ask(requester, replier, '$.a');
      await requester.sendMsg(new Request('$.a'));
      await replier.close();
      expect(await readNames(requester)).toEqual([
        '$.KBUS.Replier.GoneAway',
        '$.KBUS.ReplierBindEvent',
        '$.KBUS.Replier.Ignored',
      ]);
    });

    it('The order is that in which the Requests were read, not that in which they were sent.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const first = await requester.sendMsg(new Request('$.a'));
      const urgent = new Request('$.a');
      urgent.setUrgent();
      const second = await requester.sendMsg(urgent);
      expect((await next(replier)).id).toEqual(second);
      expect((await next(replier)).id).toEqual(first);
      await replier.close();
      expect((await readAll(requester)).map(({ inReplyTo }) => inReplyTo)).toEqual([first, second]);
    });

    it('KBUS forgets the outstanding Requests that the Ksock itself sent. Their Repliers get EADDRNOTAVAIL when they answer, and are told nothing before.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const read = await ask(requester, replier, '$.a', 'read before');
      await requester.sendMsg(new Request('$.a', 'unread'));
      await requester.close();
      expect(await replier.numMessages()).toBe(1);
      await refused(replier.sendMsg(replyTo(read)), 'EADDRNOTAVAIL');
      const unread = await next(replier);
      expect(unread.wantsUsToReply()).toBe(true);
      await refused(replier.sendMsg(replyTo(unread)), 'EADDRNOTAVAIL');
    });

    it('Requests whose requester has closed no longer count as unreplied to.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      await ask(requester, replier, '$.a');
      await requester.close();
      expect(await replier.numUnrepliedTo()).toBe(0);
    });

    it('New: a *stateful* Request lost this way gets its Status.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const read = await requester.sendMsg(new Request('$.a', null, { to: replier.id }));
      await next(replier);
      const unread = await requester.sendMsg(new Request('$.a', null, { to: replier.id }));
      await replier.close();
      expect((await readAll(requester)).map(({ name, inReplyTo }) => [name, inReplyTo])).toEqual([
        ['$.KBUS.Replier.GoneAway', unread],
        ['$.KBUS.Replier.Ignored', read],
      ]);
    });

    it('New: KBUS does not answer a Request twice (answered before it was read, then closed).', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      await replier.bind('$.a');
      const id = await requester.sendMsg(new Request('$.a'));
      await replier.unbind('$.a');
      const reply = replyTo(
        new Request('$.a', null, { id, from: requester.id, flags: 3 }),
        'before reading',
      );
      await replier.sendMsg(reply);
      await replier.close();
      expect(await readNames(requester)).toEqual(['$.a']);
    });

    it('New: KBUS feeds no Statuses to the closing Ksock itself.', async () => {
      const alone = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.KBUS.*');
      await alone.bind('$.a', true);
      await alone.sendMsg(new Request('$.a'));
      await alone.sendMsg(new Request('$.a'));
      await next(alone);
      await alone.close();
      expect(await readAll(listener)).toEqual([]);
      // It used no serial, either.
      expect(String(await listener.sendMsg(new Announcement('$.b')))).toBe('[0:3]');
    });

    it('A Status goes to its requester only.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.KBUS.*');
      await replier.bind('$.a', true);
      await requester.sendMsg(new Request('$.a'));
      await replier.close();
      expect(await readNames(requester)).toEqual(['$.KBUS.Replier.GoneAway']);
      expect(await readAll(listener)).toEqual([]);
    });

    it('Any further attempt to use a closed Ksock is refused: EBADF.', async () => {
      const ksock = await stage.open();
      await ksock.close();
      await refused(ksock.bind('$.a'), 'EBADF');
      await refused(ksock.sendMsg(new Announcement('$.a')), 'EBADF');
      await refused(ksock.readNextMsg(), 'EBADF');
      await refused(ksock.numMessages(), 'EBADF');
      await ksock.close();
    });
  });
}
