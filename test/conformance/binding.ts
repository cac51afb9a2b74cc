import { describe, expect, it } from 'vitest';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { refused } from '../support/refused.ts';
import { ask, next, readAll, readNames, readTexts } from './reading.ts';
import type { Stage } from './transport.ts';

export function binding(stage: Stage): void {
  describe('spec 1 §7: Binding', () => {
    it('Any number of listeners may bind one name. The same Ksock may do so twice, and then gets two copies.', async () => {
      const sender = await stage.open();
      const [one, two] = [await stage.open(), await stage.open()];
      await one.bind('$.a');
      await one.bind('$.a');
      await two.bind('$.a');
      await sender.sendMsg(new Announcement('$.a'));
      expect(await readNames(one)).toEqual(['$.a', '$.a']);
      expect(await readNames(two)).toEqual(['$.a']);
    });

    it('There is at most one Replier binding per *binding name*. A second one gets EADDRINUSE, even from the same Ksock.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      for (const name of ['$.a', '$.a.*', '$.a.%']) {
        await one.bind(name, true);
        await refused(two.bind(name, true), 'EADDRINUSE');
        await refused(one.bind(name, true), 'EADDRINUSE');
        // That does not apply to Listeners.
        await two.bind(name);
      }
      await one.unbind('$.a', true);
      await two.bind('$.a', true);
    });

    it('Binding `$.KBUS.ReplierBindEvent` as Replier gets EBADMSG.', async () => {
      const ksock = await stage.open();
      await refused(ksock.bind('$.KBUS.ReplierBindEvent', true), 'EBADMSG');
      await ksock.bind('$.KBUS.ReplierBindEvent');
      await ksock.bind('$.KBUS.*', true);
    });

    it('Which Replier gets a Request: an exact name comes first, then `%`, then `*`.', async () => {
      const requester = await stage.open();
      const exact = await stage.open();
      const one = await stage.open();
      const any = await stage.open();
      await any.bind('$.a.*', true);
      await one.bind('$.a.%', true);
      await exact.bind('$.a.b', true);
      for (const name of ['$.a.b', '$.a.c', '$.a.b.c']) await requester.sendMsg(new Request(name));
      expect(await readNames(exact)).toEqual(['$.a.b']);
      expect(await readNames(one)).toEqual(['$.a.c']);
      expect(await readNames(any)).toEqual(['$.a.b.c']);
    });

    it('KBUS compares binding names word by word from the left: a word beats `%`, and `%` beats `*`.', async () => {
      const requester = await stage.open();
      const names = [
        '$.*',
        '$.%.*',
        '$.%.b.*',
        '$.a.*',
        '$.a.%.c',
        '$.a.b.*',
        '$.a.b.%',
        '$.a.b.c',
      ];
      const repliers: Awaited<ReturnType<typeof stage.open>>[] = [];
      // Neither the oldest nor the newest is the most specific.
      for (const at of [3, 1, 7, 4, 2, 0, 6, 5]) {
        const replier = await stage.open();
        await replier.bind(names[at] as string, true);
        repliers[at] = replier;
      }
      for (let at = names.length - 1; at >= 0; at--) {
        await requester.sendMsg(new Request('$.a.b.c'));
        const replier = repliers[at] as (typeof repliers)[number];
        expect(await replier.numMessages(), names[at]).toBe(1);
        await replier.unbind(names[at] as string, true);
      }
    });

    it.for([
      ['bound first', ['$.a.b.*', '$.a.*', '$.*']],
      ['bound last', ['$.*', '$.a.*', '$.a.b.*']],
    ] as const)('New: among several `*`, the longest prefix wins: %s.', async ([, order]) => {
      const requester = await stage.open();
      const repliers = new Map<string, Awaited<ReturnType<typeof stage.open>>>();
      for (const name of order) {
        const replier = await stage.open();
        await replier.bind(name, true);
        repliers.set(name, replier);
      }
      for (const name of ['$.a.b.c', '$.a.b.c.d', '$.a.b', '$.a.x.y', '$.z']) {
        await requester.sendMsg(new Request(name));
      }
      const got = async (name: string) => readNames(repliers.get(name)!);
      expect(await got('$.a.b.*')).toEqual(['$.a.b.c', '$.a.b.c.d']);
      expect(await got('$.a.*')).toEqual(['$.a.b', '$.a.x.y']);
      expect(await got('$.*')).toEqual(['$.z']);
    });

    it('When the closest Replier goes, the next one gets the Requests.', async () => {
      const requester = await stage.open();
      const exact = await stage.open();
      const any = await stage.open();
      await any.bind('$.*', true);
      await exact.bind('$.a', true);
      await requester.sendMsg(new Request('$.a', '1'));
      await exact.unbind('$.a', true);
      await requester.sendMsg(new Request('$.a', '2'));
      await exact.bind('$.a', true);
      await requester.sendMsg(new Request('$.a', '3'));
      expect(await readTexts(any)).toEqual(['2']);
      expect(await readTexts(exact)).toEqual(['3']);
    });

    it('The arguments of unbind(name, replier) must match a binding of this Ksock exactly; otherwise the call gets EINVAL.', async () => {
      const [one, two] = [await stage.open(), await stage.open()];
      await one.bind('$.a');
      await one.bind('$.b', true);
      await one.bind('$.c.*');
      await refused(one.unbind('$.a', true), 'EINVAL');
      await refused(one.unbind('$.b'), 'EINVAL');
      await refused(one.unbind('$.c.d'), 'EINVAL');
      await refused(one.unbind('$.c.%'), 'EINVAL');
      await refused(two.unbind('$.a'), 'EINVAL');
      await one.unbind('$.a');
      await refused(one.unbind('$.a'), 'EINVAL');
      await one.unbind('$.b', true);
      await one.unbind('$.c.*');
    });

    it('With duplicates, one binding goes: the newest.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', 'by the older'));
      await ksock.bind('$.a');
      await ksock.unbind('$.a');
      // The messages of the older binding stay, and it still listens.
      await ksock.sendMsg(new Announcement('$.a', 'by the older too'));
      expect(await readTexts(ksock)).toEqual(['by the older', 'by the older too']);
      await ksock.bind('$.a');
      await ksock.sendMsg(new Announcement('$.a', 'by both'));
      await ksock.unbind('$.a');
      expect(await readTexts(ksock)).toEqual(['by both']);
      await ksock.unbind('$.a');
      await refused(ksock.unbind('$.a'), 'EINVAL');
    });

    it('Unread messages tied to that binding leave the queue.', async () => {
      const ksock = await stage.open();
      await ksock.bind('$.a');
      await ksock.bind('$.b');
      for (const name of ['$.a', '$.b', '$.a', '$.b']) {
        await ksock.sendMsg(new Announcement(name));
      }
      await next(ksock);
      await ksock.unbind('$.a');
      expect(await readNames(ksock)).toEqual(['$.b', '$.b']);
    });

    it('Each Request among them gets the Status `$.KBUS.Replier.Unbound`, with from the Replier.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const ids = [
        await requester.sendMsg(new Request('$.a')),
        await requester.sendMsg(new Request('$.a')),
      ];
      await replier.unbind('$.a', true);
      const statuses = await readAll(requester);
      expect(statuses.map((status) => [status.name, status.from, status.inReplyTo])).toEqual(
        ids.map((id) => ['$.KBUS.Replier.Unbound', replier.id, id]),
      );
      expect(await replier.numMessages()).toBe(0);
    });

    it("A listener's copy of a Request leaves without a Status.", async () => {
      const requester = await stage.open();
      const both = await stage.open();
      await both.bind('$.a', true);
      await both.bind('$.a');
      await requester.sendMsg(new Request('$.a'));
      await both.unbind('$.a');
      expect(await requester.numMessages()).toBe(0);
      expect((await readAll(both)).map((copy) => copy.wantsUsToReply())).toEqual([true]);
    });

    it('The Replier can still answer Requests that it has already read.', async () => {
      const requester = await stage.open();
      const replier = await stage.open();
      await replier.bind('$.a', true);
      const request = await ask(requester, replier, '$.a');
      await replier.unbind('$.a', true);
      expect(await requester.numMessages()).toBe(0);
      await replier.sendMsg(replyTo(request, 'after all'));
      expect(await readTexts(requester)).toEqual(['after all']);
    });

    it('find_replier(name) returns the id of the Ksock that is bound as Replier to exactly that binding name, or nothing. It does no matching.', async () => {
      const ksock = await stage.open();
      const other = await stage.open();
      await other.bind('$.a.*', true);
      await other.bind('$.b');
      expect(await ksock.findReplier('$.a.*')).toBe(other.id);
      expect(await ksock.findReplier('$.a.b')).toBeNull();
      expect(await ksock.findReplier('$.a.%')).toBeNull();
      expect(await ksock.findReplier('$.b')).toBeNull();
      expect(await ksock.findReplier('$.c')).toBeNull();
    });

    it('A read-only Ksock may bind, unbind, discard and change settings. It cannot write.', async () => {
      const reader = await stage.open('r');
      expect(reader.mode).toBe('r');
      await reader.bind('$.a');
      await reader.unbind('$.a');
      await reader.discard();
      await reader.setMaxMessages(5);
      await reader.wantMessagesOnce(true);
      await refused(reader.sendMsg(new Announcement('$.a')), 'EBADF');
    });

    it('spec 1 §13.3: A read-only Ksock over a socket cannot bind as Replier (EBADF). Device files keep the rules of the module (spec 1 §7.5).', async () => {
      const reader = await stage.open('r');
      const requester = await stage.open();
      if (!stage.transport.readOnlyReplies) {
        await refused(reader.bind('$.b', true), 'EBADF');
        expect(await requester.findReplier('$.b')).toBeNull();
        return;
      }
      await reader.bind('$.b', true);
      const request = await ask(requester, reader, '$.b');
      await refused(reader.sendMsg(replyTo(request)), 'EBADF');
      await reader.close();
      expect(await readNames(requester)).toEqual(['$.KBUS.Replier.Ignored']);
    });
  });
}
