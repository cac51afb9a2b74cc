import { expect, it } from 'vitest';
import type { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request } from '../../src/message/message.ts';
import { fill, next, readAll, readNames, readTexts } from '../conformance/reading.ts';
import type { Stage } from '../conformance/transport.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

const news = (text: string, flags = 0): Announcement => new Announcement('$.News', text, { flags });
const WAIT = { wait: true };

/** A sender, and a listener to `$.News` whose queue is full. */
async function crowded(stage: Stage<Ksock>): Promise<[Ksock, Ksock, Ksock]> {
  const sender = await stage.open();
  const listener = await stage.open();
  const other = await stage.open();
  await listener.bind('$.News');
  await fill(listener, other);
  return [sender, listener, other];
}

/** Whether a promise is still pending after all other calls have taken effect. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol();
  await settled();
  const first = await Promise.race([
    promise.then(
      () => null,
      () => null,
    ),
    Promise.resolve(open),
  ]);
  return first === open;
}

async function* each<T>(values: readonly T[]): AsyncGenerator<T> {
  for (const value of values) yield value;
}

everywhere('sendMsg with `wait`', (stage) => {
  it('resolves at once if no queue is full.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const id = await ksock.sendMsg(news('x'), WAIT);
    const got = await next(ksock);
    expect([got.text(), got.id]).toEqual(['x', id]);
  });

  it('resolves when the message was delivered to all recipients: the reader sets the pace.', async () => {
    const [sender, listener] = await crowded(stage);
    const sent = sender.sendMsg(news('waited'), WAIT);
    expect(await isOpen(sent)).toBe(true);
    expect(await listener.numMessages()).toBe(1);
    await next(listener);
    const id = await sent;
    const got = await next(listener);
    expect([got.text(), got.id]).toEqual(['waited', id]);
  });

  it('holds back later sends, which arrive in order; none is lost.', async () => {
    const [sender, listener] = await crowded(stage);
    await listener.setMaxMessages(2);
    const sends = Array.from({ length: 50 }, (_, at) =>
      sender.sendMsg(news(String(at)), at % 3 === 0 ? {} : WAIT),
    );
    // Sends without `wait` keep the order, too; then they are refused, or the listener misses them.
    const heard: string[] = [];
    while (heard.at(-1) !== '49') {
      const message = (await listener.waitForMsg()) as Message;
      if (message.name === '$.News') heard.push(message.text());
    }
    await Promise.all(sends);
    const waited = heard.filter((text) => Number(text) % 3 !== 0);
    expect(waited).toEqual(
      Array.from({ length: 50 }, (_, at) => String(at)).filter((text) => Number(text) % 3 !== 0),
    );
    expect(heard).toEqual([...heard].sort((a, b) => Number(a) - Number(b)));
  });

  it('gives ids in the order of the sends.', async () => {
    const [sender, listener] = await crowded(stage);
    const sends = [1, 2, 3].map((at) => sender.sendMsg(news(String(at)), WAIT));
    await settled();
    await listener.setMaxMessages(100);
    const serials = (await Promise.all(sends)).map((id) => id.serialNum);
    expect(serials).toEqual([2, 3, 4]);
  });

  it('does not hold back reads, binds and other calls; closing ends it: EBADF.', async () => {
    const [sender, , other] = await crowded(stage);
    const sent = sender.sendMsg(news('waits'), WAIT);
    const behind = sender.sendMsg(news('behind'));
    await sender.bind('$.Mine');
    await other.sendMsg(new Announcement('$.Mine', 'read'));
    expect((await next(sender)).text()).toBe('read');
    expect(await sender.numMessages()).toBe(0);
    const refusals = [refused(sent, 'EBADF'), refused(behind, 'EBADF')];
    await sender.close();
    await Promise.all(refusals);
  });

  it('is cancelled by its signal: the message is not sent, and later sends go on.', async () => {
    const [sender, listener] = await crowded(stage);
    const controller = new AbortController();
    const sent = failed(
      sender.sendMsg(news('given up'), { wait: true, signal: controller.signal }),
    );
    const behind = sender.sendMsg(news('behind'), WAIT);
    const missed = sender.sendMsg(news('neither'));
    await settled();
    controller.abort('enough');
    expect(await sent).toBe('enough');
    expect(await isOpen(behind)).toBe(true);
    await next(listener);
    await Promise.all([behind, missed]);
    expect((await readTexts(listener))[0]).toBe('behind');
  });

  it('cancels only the later send whose signal aborts.', async () => {
    const [sender, listener] = await crowded(stage);
    const controller = new AbortController();
    const { signal } = controller;
    const first = sender.sendMsg(news('first'), WAIT);
    const second = failed(sender.sendMsg(news('second'), { wait: true, signal }));
    const third = sender.sendMsg(news('third'), WAIT);
    const fourth = failed(sender.sendMsg(news('fourth'), { signal }));
    await settled();
    controller.abort('enough');
    expect(await second).toBe('enough');
    expect(await fourth).toBe('enough');
    await listener.setMaxMessages(100);
    const ids = await Promise.all([first, third]);
    const heard = (await readAll(listener)).slice(1);
    expect(heard.map((message) => [message.text(), message.id])).toEqual([
      ['first', ids[0]],
      ['third', ids[1]],
    ]);
    // The state of the Ksock has not changed.
    await sender.sendMsg(news('after'));
    expect(await readTexts(listener)).toEqual(['after']);
  });

  it('sends nothing if its signal has aborted before; a later abort changes nothing.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const reason = new Error('before');
    const signal = AbortSignal.abort(reason);
    expect(await failed(ksock.sendMsg(news('x'), { wait: true, signal }))).toBe(reason);
    const controller = new AbortController();
    await ksock.sendMsg(news('sent'), { wait: true, signal: controller.signal });
    controller.abort();
    await ksock.sendMsg(news('and more'), WAIT);
    expect(await readTexts(ksock)).toEqual(['sent', 'and more']);
  });

  it('is cancelled by `discard`: ECANCELED.', async () => {
    const [sender, listener] = await crowded(stage);
    const sent = refused(sender.sendMsg(news('thrown away'), WAIT), 'ECANCELED');
    await sender.discard();
    await sent;
    await next(listener);
    expect(await readAll(listener)).toEqual([]);
  });

  it('rejects, even after waiting, when the bus refuses the message: a Request whose Replier has closed.', async () => {
    const [sender] = await crowded(stage);
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    await fill(replier, sender);
    const asked = refused(sender.sendMsg(new Request('$.Ask'), WAIT), 'EADDRNOTAVAIL');
    const behind = sender.sendMsg(news('behind'));
    await settled();
    await replier.close();
    await asked;
    await behind;
    expect(await readNames(sender)).toEqual([]);
  });

  it('`waitWritable` waits for all of them.', async () => {
    const [sender, listener] = await crowded(stage);
    const sends = [sender.sendMsg(news('1'), WAIT), sender.sendMsg(news('2'), WAIT)];
    const writable = sender.waitWritable();
    expect(await sender.waitWritable({ timeout: 0 })).toBe(false);
    await next(listener);
    expect(await isOpen(writable)).toBe(true);
    expect((await next(listener)).text()).toBe('1');
    expect(await writable).toBe(true);
    await Promise.all(sends);
  });

  it('rejects while a message waits after EAGAIN: EALREADY.', async () => {
    const [sender] = await crowded(stage);
    await refused(sender.sendMsg(news('left', Flag.ALL_OR_WAIT)), 'EAGAIN');
    await refused(sender.sendMsg(news('x'), WAIT), 'EALREADY');
    await refused(sender.sendAll([news('x')]), 'EALREADY');
    await refused(sender.request('$.Ask'), 'EALREADY');
  });
});

everywhere('sendAll, post and flush', (stage) => {
  it('sendAll sends the messages of any iterable in order, and resolves with their number.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const three = ['1', '2', '3'].map((text) => news(text));
    expect(await ksock.sendAll(three)).toBe(3);
    expect(await ksock.sendAll(each(three))).toBe(3);
    expect(await ksock.sendAll(new Set(three))).toBe(3);
    expect(await ksock.sendAll([])).toBe(0);
    expect(await readTexts(ksock)).toEqual(['1', '2', '3', '1', '2', '3', '1', '2', '3']);
  });

  it('sendAll with `wait` loses no message, however slow the reader is.', async () => {
    const sender = await stage.open();
    const listener = await stage.open();
    await listener.bind('$.News');
    await listener.setMaxMessages(7);
    const sent = sender.sendAll(
      (function* () {
        for (let at = 0; at < 1000; at++) yield news(String(at));
      })(),
      WAIT,
    );
    const heard: string[] = [];
    for await (const message of listener) if (heard.push(message.text()) === 1000) break;
    expect(await sent).toBe(1000);
    expect(heard).toEqual(Array.from({ length: 1000 }, (_, at) => String(at)));
  });

  it('sendAll reads its source only as fast as it sends: the sends in flight have a limit.', async () => {
    const [sender, listener] = await crowded(stage);
    let taken = 0;
    const endless = (function* () {
      for (;;) {
        taken++;
        yield news('x'.repeat(1000));
      }
    })();
    const controller = new AbortController();
    const sent = failed(sender.sendAll(endless, { wait: true, signal: controller.signal }));
    await settled();
    let before = -1;
    while (taken !== before) {
      before = taken;
      await settled();
    }
    expect(taken).toBeLessThan(20_000);
    // No program reads, and sendAll ends nevertheless: here, and while it waits for the last sends.
    controller.abort('enough');
    expect(await sent).toBe('enough');
    const second = new AbortController();
    const three = failed(
      sender.sendAll([news('1'), news('2'), news('3')], { wait: true, signal: second.signal }),
    );
    await settled();
    second.abort('at the end');
    expect(await three).toBe('at the end');
    expect(await listener.numMessages()).toBe(1);
  });

  it('sendAll rejects with the first refusal, and sends no further message.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const messages = [news('1'), new Request('$.Nobody'), news('2')];
    const error = await refused(ksock.sendAll(messages), 'EADDRNOTAVAIL');
    expect(error.message).toContain("send Request '$.Nobody'");
    await refused(ksock.sendAll([news('3'), new Announcement('$.*')]), 'EBADMSG');
    await readAll(ksock);
    expect(await ksock.sendAll([news('4')])).toBe(1);
    expect(await readTexts(ksock)).toEqual(['4']);
  });

  it('sendAll rejects with the error of its source; the messages before it are sent.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const fails = (function* () {
      yield news('1');
      throw new RangeError('no more');
    })();
    await expect(ksock.sendAll(fails)).rejects.toThrow('no more');
    await ksock.flush();
    expect(await readTexts(ksock)).toEqual(['1']);
  });

  it('sendAll rejects with the reason of its signal.', async () => {
    const ksock = await stage.open();
    const reason = new Error('stop');
    const signal = AbortSignal.abort(reason);
    expect(await failed(ksock.sendAll([news('1')], { signal }))).toBe(reason);
    const controller = new AbortController();
    const stopsItself = (function* () {
      yield news('1');
      controller.abort(reason);
      yield news('2');
    })();
    expect(await failed(ksock.sendAll(stopsItself, { signal: controller.signal }))).toBe(reason);
  });

  it('`post` says when to wait, and `flush` reports the outcome.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    await ksock.setMaxMessages(10_000);
    for (let at = 0; at < 5000; at++) await ksock.post(news(String(at)));
    await ksock.flush();
    expect(await ksock.numMessages()).toBe(5000);
    await Promise.resolve(ksock.post(new Request('$.Nobody'))).catch(() => {});
    void Promise.resolve(ksock.post(new Request('$.Nobody'))).catch(() => {});
    await ksock.flush().catch((error) => expect(error.code).toBe('EADDRNOTAVAIL'));
    await ksock.flush();
  });

  it('closing the Ksock ends sendAll: EBADF.', async () => {
    const [sender] = await crowded(stage);
    const sent = refused(sender.sendAll([news('1'), news('2'), news('3')], WAIT), 'EBADF');
    await settled();
    await sender.close();
    await sent;
    await refused(sender.sendAll([news('1')]), 'EBADF');
    await refused(sender.flush(), 'EBADF').catch(() => {});
  });

  it('a large message can be posted after smaller ones that are not acknowledged.', async () => {
    const ksock = await stage.open();
    const sizes = [200_000, 900_000, 10, 900_000, 240_000, 1_100_000];
    for (const size of sizes) await ksock.post(new Announcement('$.News', new Uint8Array(size)));
    await ksock.flush();
    expect((await ksock.lastMsgId()).serialNum).toBe(sizes.length);
  });

  it('a posted message that waits after EAGAIN can be sent again or discarded.', async () => {
    const [sender, listener] = await crowded(stage);
    await refused(sender.sendAll([news('left', Flag.ALL_OR_WAIT)], { wait: false }), 'EAGAIN');
    await refused(sender.sendMsg(news('x')), 'EALREADY');
    await next(listener);
    await sender.send();
    expect(await readTexts(listener)).toEqual(['left']);
  });

  it('a posted Request gets its Reply through the queue.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.replier('$.Ask', (request) => request.text());
    await requester.sendAll(['1', '2', '3'].map((text) => new Request('$.Ask', text)));
    const answers = [];
    while (answers.length < 3) answers.push(((await requester.waitForMsg()) as Message).text());
    expect(answers).toEqual(['1', '2', '3']);
  });
});

everywhere('Large messages', (stage) => {
  it.for([4000, 4096, 16_383, 16_384, 16_385, 65_536, 1_000_003])(
    'of %i bytes arrive unchanged, among small ones, at a listener and a Replier.',
    async (length) => {
      const sender = await stage.open();
      const replier = await stage.open();
      const listener = await stage.open();
      await listener.bind('$.*');
      await replier.bind('$.Ask', true);
      const large = Uint8Array.from({ length }, (_, at) => (at * 7 + length) & 0xff);
      const sends = [
        sender.sendMsg(news('small')),
        sender.sendMsg(new Announcement('$.News', large)),
        sender.sendMsg(news('small')),
        sender.sendMsg(new Request('$.Ask', large)),
        sender.sendMsg(news('small')),
      ];
      await Promise.all(sends);
      expect(Buffer.from((await next(replier)).data).equals(large)).toBe(true);
      const heard = await readAll(listener);
      expect(heard.map(({ dataLength }) => dataLength)).toEqual([5, length, 5, length, 5]);
      expect(Buffer.from(heard[1]!.data).equals(large)).toBe(true);
      expect(Buffer.from(heard[3]!.data).equals(large)).toBe(true);
    },
  );

  it('that are too large are refused before they are sent, without effect on others.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    const tooLarge = new Announcement('$.News', new Uint8Array(16 * 1024 * 1024));
    const sends = [
      ksock.sendMsg(news('before')),
      refused(ksock.sendMsg(tooLarge), 'EMSGSIZE'),
      refused(ksock.sendMsg(tooLarge, WAIT), 'EMSGSIZE'),
      refused(ksock.sendAll([tooLarge]), 'EMSGSIZE'),
      ksock.sendMsg(news('after')),
    ];
    await Promise.all(sends);
    expect(await readTexts(ksock)).toEqual(['before', 'after']);
  });

  it('above a lowered maximum are refused, without effect on others in the same frame.', async () => {
    const ksock = await stage.open();
    await ksock.bind('$.News');
    await ksock.setMaxMessageSize(200);
    const sends = [
      ksock.sendMsg(news('before')),
      refused(ksock.sendMsg(news('x'.repeat(200))), 'EMSGSIZE'),
      ksock.sendMsg(news('after')),
    ];
    await Promise.all(sends);
    expect(await readTexts(ksock)).toEqual(['before', 'after']);
  });
});
