import { expect, it } from 'vitest';
import { Announcement, Request } from '../../src/message/message.ts';
import { fill, readNames } from '../conformance/reading.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

everywhere('close', (stage) => {
  it('ends all waiting calls.', async () => {
    const ksock = await stage.open();
    const listener = await stage.open();
    const replier = await stage.open();
    await listener.bind('$.News');
    await replier.bind('$.Ask', true);
    await fill(listener, replier);
    const news = (): Announcement => new Announcement('$.News');
    const iterate = async (): Promise<string> => {
      for await (const _message of ksock) return 'a message';
      return 'done';
    };
    const loop = iterate();
    const waits = {
      waitForMsg: ksock.waitForMsg(),
      'waitForMsg with a timeout': ksock.waitForMsg({ timeout: 60_000 }),
      request: ksock.request('$.Ask'),
      'request with a timeout': ksock.request('$.Ask', '', { timeout: 60_000 }),
      'a send that waits': ksock.sendMsg(news(), { wait: true }),
      'a send behind it': ksock.sendMsg(news()),
      'a request behind it': ksock.request('$.Ask'),
      sendAll: ksock.sendAll([news(), news()], { wait: true }),
      waitWritable: ksock.waitWritable(),
    };
    const refusals = Object.values(waits).map((wait) => refused(wait, 'EBADF'));
    await settled();
    await ksock.close();
    await Promise.all(refusals);
    expect(await loop).toBe('done');
    expect(await readNames(listener)).toEqual(['$.Filler']);
  });

  it('ends the loop that calls it, and the messages not consumed stay unread.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.bind('$.Ask', true);
    for (let at = 0; at < 3; at++) await requester.sendMsg(new Request('$.Ask', String(at)));
    const got: string[] = [];
    let closing: Promise<void> | null = null;
    for await (const message of ksock) {
      got.push(message.text());
      closing ??= ksock.close();
    }
    await closing;
    expect(got).toEqual(['0']);
    const statuses = await readNames(requester);
    expect(statuses.map((name) => name.replace('$.KBUS.Replier.', ''))).toEqual([
      'GoneAway',
      'GoneAway',
      'Ignored',
    ]);
  });

  it('may be called several times, also at once.', async () => {
    const ksock = await stage.open();
    await Promise.all([ksock.close(), ksock.close()]);
    await ksock.close();
    await ksock[Symbol.asyncDispose]();
    expect(ksock.isConnected).toBe(false);
  });

  it('makes all later calls reject: EBADF.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await ksock.sendMsg(new Announcement('$.a'));
    await ksock.close();
    const calls = {
      bind: () => ksock.bind('$.a'),
      unbind: () => ksock.unbind('$.a'),
      findReplier: () => ksock.findReplier('$.a'),
      sendMsg: () => ksock.sendMsg(new Announcement('$.a')),
      'sendMsg that waits': () => ksock.sendMsg(new Announcement('$.a'), { wait: true }),
      sendAll: () => ksock.sendAll([new Announcement('$.a')]),
      request: () => ksock.request('$.a'),
      writeMsg: () => ksock.writeMsg(new Announcement('$.a')),
      discard: () => ksock.discard(),
      waitWritable: () => ksock.waitWritable(),
      readNextMsg: () => ksock.readNextMsg(),
      waitForMsg: () => ksock.waitForMsg(),
      nextMsg: () => ksock.nextMsg(),
      numMessages: () => ksock.numMessages(),
      numUnrepliedTo: () => ksock.numUnrepliedTo(),
      lastMsgId: () => ksock.lastMsgId(),
      setMaxMessages: () => ksock.setMaxMessages(5),
      maxMessageSize: () => ksock.maxMessageSize(),
      wantMessagesOnce: () => ksock.wantMessagesOnce(true),
      reportReplierBinds: () => ksock.reportReplierBinds(),
      verbose: () => ksock.verbose(),
      newDevice: () => ksock.newDevice(),
      readBindings: () => ksock.readBindings(),
      stats: () => ksock.stats(),
      replier: () => ksock.replier('$.a', () => 'x'),
    };
    for (const [name, call] of Object.entries(calls)) {
      const error = await refused(call(), 'EBADF');
      expect(error.message, name).toContain('this Ksock is closed');
    }
    for await (const _message of ksock) expect.fail('there is nothing to be read');
    for await (const _message of ksock.drain().return?.() ? [] : []) expect.fail('nor here');
  });

  it('carries out the calls made before it.', async () => {
    const ksock = await stage.open();
    const listener = await stage.open();
    await listener.bind('$.a');
    await listener.setMaxMessages(5000);
    const sends = Array.from({ length: 2000 }, () => ksock.sendMsg(new Announcement('$.a')));
    const closed = ksock.close();
    await Promise.all([...sends, closed]);
    expect(await listener.numMessages()).toBe(2000);
  });

  it('has removed the Ksock when it resolves: a later call of another Ksock sees that.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.a', true);
    await requester.sendMsg(new Request('$.a'));
    await replier.close();
    expect(await requester.findReplier('$.a')).toBeNull();
    expect(await readNames(requester)).toEqual(['$.KBUS.Replier.GoneAway']);
  });

  it('drops a partly written message.', async () => {
    const ksock = await stage.open();
    await ksock.writeMsg(new Announcement('$.a'));
    await ksock.close();
    expect(await failed(ksock.send())).toMatchObject({ code: 'EBADF' });
  });
});
