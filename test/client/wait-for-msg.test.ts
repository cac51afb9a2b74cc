import { expect, it } from 'vitest';
import { Announcement, type Message } from '../../src/message/message.ts';
import { next, readTexts } from '../conformance/reading.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

everywhere('waitForMsg', (stage) => {
  it('waits for a message without a limit.', async () => {
    const ksock = await stage.open();
    const other = await stage.open();
    await ksock.bind('$.a');
    const waiting = ksock.waitForMsg();
    await settled();
    await other.sendMsg(new Announcement('$.a', 'at last'));
    expect((await waiting)?.text()).toBe('at last');
  });

  it('gives null after its timeout; a later message stays in the queue.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    expect(await ksock.waitForMsg({ timeout: 0 })).toBeNull();
    expect(await ksock.waitForMsg({ timeout: 1 })).toBeNull();
    await ksock.sendMsg(new Announcement('$.a', 'later'));
    expect(await readTexts(ksock)).toEqual(['later']);
  });

  it('loses no message that arrives when a wait ends.', async () => {
    const ksock = await stage.open();
    const other = await stage.open();
    await ksock.bind('$.a');
    const got: string[] = [];
    for (let round = 0; round < 60; round++) {
      const controller = new AbortController();
      const waiting =
        round % 2 === 0
          ? ksock.waitForMsg({ timeout: round % 3 })
          : ksock.waitForMsg({ signal: controller.signal }).catch(() => null);
      const sent = other.sendMsg(new Announcement('$.a', String(round)));
      // The wait ends before the message is sent, while it is on its way, or when it may have arrived.
      if (round % 6 === 1) controller.abort();
      if (round % 6 === 3) await sent;
      setImmediate(() => controller.abort());
      const message: Message = (await waiting) ?? (await sent.then(() => next(ksock)));
      got.push(message.text());
    }
    expect(got).toEqual(Array.from({ length: 60 }, (_, at) => String(at)));
    expect(await ksock.numMessages()).toBe(0);
  });

  it('gives the message if it arrives together with the timeout.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    await ksock.sendMsg(new Announcement('$.a', 'there'));
    expect((await ksock.waitForMsg({ timeout: 0 }))?.text()).toBe('there');
  });

  it('rejects with the reason of its signal, before and during the wait.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    const reason = new Error('enough');
    expect(await failed(ksock.waitForMsg({ signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
    await settled();
    controller.abort(reason);
    expect(await waiting).toBe(reason);
    // After the wait, the signal has no effect.
    const later = new AbortController();
    await ksock.sendMsg(new Announcement('$.a', 'x'));
    const message = await ksock.waitForMsg({ signal: later.signal, timeout: 60_000 });
    later.abort();
    expect(message?.text()).toBe('x');
  });

  it('ends by whichever comes first, its signal or its timeout.', async () => {
    const ksock = await stage.open();
    const { signal } = new AbortController();
    expect(await ksock.waitForMsg({ timeout: 1, signal })).toBeNull();
    const controller = new AbortController();
    const waiting = failed(ksock.waitForMsg({ timeout: 60_000, signal: controller.signal }));
    controller.abort('now');
    expect(await waiting).toBe('now');
  });

  it('leaves no listener on its signal.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...words: Parameters<typeof addEventListener>) => {
      listeners++;
      return addEventListener.apply(signal, words);
    };
    signal.removeEventListener = (...words: Parameters<typeof removeEventListener>) => {
      listeners--;
      return removeEventListener.apply(signal, words);
    };
    await ksock.waitForMsg({ timeout: 1, signal });
    await ksock.sendMsg(new Announcement('$.a'), { signal });
    await ksock.waitForMsg({ signal });
    await ksock.waitWritable({ signal });
    await ksock.replier('$.b', () => 'x');
    await ksock.request('$.b', '', { signal, timeout: 60_000 });
    await ksock.sendMsg(new Announcement('$.a'), { signal, wait: true });
    expect(listeners).toBe(0);
  });

  it('serves several waits in their order.', async () => {
    const ksock = await stage.open();
    const other = await stage.open();
    await ksock.bind('$.a');
    const waits = [ksock.waitForMsg(), ksock.waitForMsg(), ksock.waitForMsg()];
    const sends = [1, 2, 3, 4].map((at) => other.sendMsg(new Announcement('$.a', String(at))));
    // A later wait comes after them.
    const late = ksock.waitForMsg();
    await Promise.all(sends);
    const got = await Promise.all([...waits, late]);
    expect(got.map((message) => message?.text())).toEqual(['1', '2', '3', '4']);
  });

  it('passes its place to the next wait when it is cancelled.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.a');
    const controller = new AbortController();
    const first = failed(ksock.waitForMsg({ signal: controller.signal }));
    const second = ksock.waitForMsg();
    await settled();
    controller.abort();
    await first;
    await ksock.sendMsg(new Announcement('$.a', 'for the second'));
    expect((await second)?.text()).toBe('for the second');
  });

  it('does not hold up other calls.', async () => {
    const ksock = await stage.open();
    const waiting = ksock.waitForMsg();
    await ksock.bind('$.a');
    expect(await ksock.numMessages()).toBe(0);
    expect(await ksock.readNextMsg()).toBeNull();
    await ksock.sendMsg(new Announcement('$.b'));
    await ksock.sendMsg(new Announcement('$.a', 'mine'));
    expect((await waiting)?.text()).toBe('mine');
  });

  it('rejects when the Ksock is closed: EBADF.', async () => {
    const ksock = await stage.open();
    const waits = [ksock.waitForMsg(), ksock.waitForMsg({ timeout: 60_000 })];
    const refusals = waits.map((wait: Promise<Message | null>) => refused(wait, 'EBADF'));
    await ksock.close();
    await Promise.all(refusals);
    await refused(ksock.waitForMsg(), 'EBADF');
    await refused(ksock.waitForMsg({ timeout: 0 }), 'EBADF');
  });
});
