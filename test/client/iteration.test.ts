import { describe, expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request, replyTo } from '../../src/message/message.ts';
import { next, readAll, readTexts } from '../conformance/reading.ts';
import { FrameHost } from '../support/frame-host.ts';
import { refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

async function announce(ksock: Ksock, count: number, name = '$.a', from = 0): Promise<void> {
  for (let at = from; at < from + count; at++) {
    await ksock.sendMsg(new Announcement(name, String(at)));
  }
}

const texts = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, at) => String(from + at));

/** Takes `count` messages of an iteration, and leaves it. */
async function some(ksock: Ksock, count: number): Promise<string[]> {
  const heard: string[] = [];
  for await (const message of ksock) {
    heard.push(message.text());
    if (heard.length === count) break;
  }
  return heard;
}

everywhere('Iteration', (stage) => {
  it('after a break, the messages not consumed are still unread, in order.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await announce(ksock, 20);
    expect(await some(ksock, 3)).toEqual(texts(0, 3));
    expect(await ksock.numMessages()).toBe(17);
    expect((await next(ksock)).text()).toBe('3');
    expect(await some(ksock, 2)).toEqual(texts(4, 6));
    expect((await ksock.waitForMsg())?.text()).toBe('6');
    expect((await ksock.waitForMsg({ timeout: 0 }))?.text()).toBe('7');
    expect(await readTexts(ksock)).toEqual(texts(8, 20));
  });

  it('mixes with reads of single messages in the middle of the loop.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.bind('$.a');
    await announce(sender, 12);
    const heard: string[] = [];
    for await (const message of ksock) {
      heard.push(message.text());
      if (heard.length % 3 === 1) heard.push((await next(ksock)).text());
      if (heard.length >= 12) break;
    }
    expect(heard).toEqual(texts(0, 12));
    expect(await ksock.numMessages()).toBe(0);
  });

  it('counts the messages not consumed as unread, while it goes on.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await announce(ksock, 10);
    const counts: number[] = [];
    for await (const _message of ksock) {
      counts.push(await ksock.numMessages());
      if (counts.length === 10) break;
    }
    expect(counts).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  });

  it('keeps the queue full: a message not consumed has its place.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.bind('$.a');
    await ksock.setMaxMessages(5);
    await announce(sender, 5);
    const iterator = ksock[Symbol.asyncIterator]();
    expect((await iterator.next()).value?.text()).toBe('0');
    // The program has consumed one: one slot is free.
    await ksock.numMessages();
    const orFail = (text: string): Announcement =>
      new Announcement('$.a', text, { flags: Flag.ALL_OR_FAIL });
    await sender.sendMsg(orFail('5'));
    await refused(sender.sendMsg(orFail('6')), 'EBUSY');
    for (const text of texts(1, 6)) expect((await iterator.next()).value?.text()).toBe(text);
  });

  it('an unbind in the middle removes the messages not consumed, and no others.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await ksock.bind('$.b');
    for (let at = 0; at < 6; at++) await announce(ksock, 1, at % 2 === 0 ? '$.a' : '$.b', at);
    const heard: string[] = [];
    for await (const message of ksock) {
      heard.push(message.text());
      if (heard.length === 1) await ksock.unbind('$.a');
      if (heard.length === 4) break;
    }
    expect(heard).toEqual(['0', '1', '3', '5']);
    expect(await ksock.numMessages()).toBe(0);
  });

  it('after an unbind in the middle, unread Requests get Unbound; consumed ones can be answered.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    for (let at = 0; at < 10; at++) await requester.sendMsg(new Request('$.a', String(at)));
    const read: Message[] = [];
    for await (const message of replier) {
      read.push(message);
      if (read.length === 3) break;
    }
    await replier.unbind('$.a', true);
    for (const request of read) await replier.sendMsg(replyTo(request, request.text()));
    const answers = await readAll(requester);
    expect(answers.map(({ name }) => name)).toEqual([
      ...Array(7).fill('$.KBUS.Replier.Unbound'),
      ...Array(3).fill('$.a'),
    ]);
    expect(await replier.numUnrepliedTo()).toBe(0);
  });

  it('an unbind in the middle of the loop itself does the same.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    for (let at = 0; at < 10; at++) await requester.sendMsg(new Request('$.a', String(at)));
    let read = 0;
    for await (const message of replier) {
      await replier.sendMsg(replyTo(message));
      if (++read < 4) continue;
      void replier.unbind('$.a', true);
      await replier.bind('$.News');
      await requester.sendMsg(new Announcement('$.News'));
      for await (const news of replier) {
        expect(news.name).toBe('$.News');
        break;
      }
      break;
    }
    expect((await readAll(requester)).map(({ name }) => name)).toEqual([
      ...Array(4).fill('$.a'),
      ...Array(6).fill('$.KBUS.Replier.Unbound'),
    ]);
  });

  it('after a close in the middle, consumed Requests get Ignored, and the others GoneAway.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    const ids: string[] = [];
    for (let at = 0; at < 5; at++) ids.push(String(await requester.sendMsg(new Request('$.a'))));
    let read = 0;
    for await (const _message of replier) if (++read === 2) break;
    await replier.close();
    const statuses = await readAll(requester);
    expect(statuses.map(({ name, inReplyTo }) => [name, String(inReplyTo)])).toEqual([
      ['$.KBUS.Replier.GoneAway', ids[2]],
      ['$.KBUS.Replier.GoneAway', ids[3]],
      ['$.KBUS.Replier.GoneAway', ids[4]],
      ['$.KBUS.Replier.Ignored', ids[1]],
      ['$.KBUS.Replier.Ignored', ids[0]],
    ]);
  });

  it('a close in the middle of the loop itself does the same, and ends the loop.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    for (let at = 0; at < 5; at++) await requester.sendMsg(new Request('$.a'));
    let read = 0;
    for await (const _message of replier) if (++read === 2) await replier.close();
    expect(read).toBe(2);
    expect((await readAll(requester)).map(({ name }) => name)).toEqual([
      ...Array(3).fill('$.KBUS.Replier.GoneAway'),
      ...Array(2).fill('$.KBUS.Replier.Ignored'),
    ]);
  });

  it('urgent messages overtake the messages not consumed.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.bind('$.a');
    await announce(sender, 6);
    const urgent = (text: string): Promise<unknown> =>
      sender.sendMsg(new Announcement('$.a', text, { flags: Flag.URGENT }));
    const heard: string[] = [];
    for await (const message of ksock) {
      heard.push(message.text());
      if (heard.length === 2) {
        await urgent('urgent 1');
        await urgent('urgent 2');
        await settled();
      }
      if (heard.length === 5) {
        await urgent('urgent 3');
        await settled();
      }
      if (heard.length === 9) break;
    }
    expect(heard).toEqual(['0', '1', 'urgent 2', 'urgent 1', '2', 'urgent 3', '3', '4', '5']);
    expect(await ksock.numMessages()).toBe(0);
  });

  it('an urgent Request that overtook others, and was not consumed, gets Unbound.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    await requester.sendMsg(new Request('$.a', '0'));
    await requester.sendMsg(new Request('$.a', '1'));
    const iterator = replier[Symbol.asyncIterator]();
    await iterator.next();
    const urgent = await requester.sendMsg(new Request('$.a', 'urgent', { flags: Flag.URGENT }));
    await settled();
    await replier.unbind('$.a', true);
    await iterator.return?.();
    const statuses = await readAll(requester);
    expect(statuses.map(({ name }) => name)).toEqual(Array(2).fill('$.KBUS.Replier.Unbound'));
    expect(statuses[0]?.inReplyTo).toEqual(urgent);
    expect(await replier.numUnrepliedTo()).toBe(1);
  });

  it('two loops share the messages; leaving one does not end the other.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.bind('$.a');
    const heard: string[] = [];
    const other = (async () => {
      for await (const message of ksock) {
        heard.push(message.text());
        if (heard.length === 6) break;
      }
    })();
    const left = some(ksock, 2).then((mine) => heard.push(...mine));
    await announce(sender, 2);
    await settled();
    await announce(sender, 4, '$.a', 2);
    await Promise.all([other, left]);
    expect(heard.sort()).toEqual(texts(0, 6));
  });

  it('an iterator gives no message after return().', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    const iterator = ksock[Symbol.asyncIterator]();
    const pending = iterator.next();
    await settled();
    await iterator.return?.();
    expect(await pending).toEqual({ value: undefined, done: true });
    await ksock.sendMsg(new Announcement('$.a', 'mine'));
    expect(await iterator.next()).toEqual({ value: undefined, done: true });
    expect(await readTexts(ksock)).toEqual(['mine']);
  });

  it('goes on over more messages than the credit.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.bind('$.a');
    await ksock.setMaxMessages(20_000);
    const count = 12_000;
    const sending = sender.sendAll(
      (function* () {
        for (let at = 0; at < count; at++) yield new Announcement('$.a', String(at));
      })(),
    );
    let at = 0;
    for await (const message of ksock) {
      if (message.text() !== String(at)) expect.fail(`${message.text()} came for ${at}`);
      if (++at === count) break;
    }
    expect(await sending).toBe(count);
    expect(await ksock.numMessages()).toBe(0);
  });

  it('`drain` gives the messages in the queue, and the loop may be left.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await announce(ksock, 5);
    const heard: string[] = [];
    for await (const message of ksock.drain()) {
      heard.push(message.text());
      if (heard.length === 2) break;
    }
    expect(heard).toEqual(texts(0, 2));
    expect(await ksock.numMessages()).toBe(3);
    for await (const message of ksock.drain()) heard.push(message.text());
    for await (const message of ksock.drain()) heard.push(message.text());
    expect(heard).toEqual(texts(0, 5));
  });

  it('is refused while handlers read.', async () => {
    const ksock = await stage.open();
    await using _handling = await ksock.listener('$.a', () => {});
    expect(() => ksock[Symbol.asyncIterator]()).toThrow(/has handlers/);
    await expect(ksock.readNextMsg()).rejects.toThrow(/has handlers/);
    await expect(ksock.waitForMsg()).rejects.toThrow(/has handlers/);
  });
});

describe('Iteration, over a connection', () => {
  it('an urgent message may arrive when the program has consumed all prefetched ones.', async () => {
    const host = new FrameHost({ maxMessages: 50_000 });
    const ksock = await host.open();
    const sender = await host.open();
    await ksock.bind('$.a');
    // As many as the credit, so that it ends.
    for (const count of [1024, 8192]) {
      for (let at = 0; at < count; at++) void sender.sendMsg(new Announcement('$.a', String(at)));
      await sender.numMessages();
      let at = 0;
      for await (const _message of ksock) if (++at === count) break;
      void sender.sendMsg(new Announcement('$.a', 'urgent', { flags: Flag.URGENT }));
      expect((await ksock.waitForMsg())?.text()).toBe('urgent');
      expect(await ksock.numMessages()).toBe(0);
    }
    await host.close();
    expect(host.warnings).toEqual([]);
  });
});
