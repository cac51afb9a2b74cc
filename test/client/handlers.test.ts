import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request } from '../../src/message/message.ts';
import { ReplierError } from '../../src/message/request-error.ts';
import { fill, next, readAll, readNames } from '../conformance/reading.ts';
import { failed, refused } from '../support/refused.ts';
import { catchReports } from '../support/reports.ts';
import { everywhere, settled } from './everywhere.ts';

const reported = catchReports();

everywhere('Handlers', (stage) => {
  it('a listener gets each message of its name, in order.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: string[] = [];
    await ksock.listener('$.a.*', (message) => heard.push(`${message.name} ${message.text()}`));
    for (const name of ['$.a.b', '$.a', '$.a.c.d']) {
      await sender.sendMsg(new Announcement(name, 'x'));
    }
    await settled();
    expect(heard).toEqual(['$.a.b x', '$.a.c.d x']);
  });

  it('a listener gets all messages, also if there are more than the credit.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const COUNT = 20_000;
    let heard = 0;
    const all = new Promise<void>((resolve) => {
      void ksock.listener('$.a', (message) => {
        if (message.text() === String(heard) && ++heard === COUNT) resolve();
      });
    });
    await ksock.numMessages();
    function* messages(): Generator<Message> {
      for (let at = 0; at < COUNT; at++) yield new Announcement('$.a', String(at));
    }
    expect(await sender.sendAll(messages(), { wait: true })).toBe(COUNT);
    await all;
  });

  it.for([0, 1, 5, 64, 70_000])(
    '`bytes` and `data` agree for %d bytes, whichever is read first.',
    async (length) => {
      const ksock = await stage.open();
      const sender = await stage.open();
      const inPlace = ({ bytes, dataAt, dataLength }: Message): number[] => [
        ...bytes.subarray(dataAt, dataAt + dataLength),
      ];
      const expected: number[][] = [];
      const heard: number[][] = [];
      await ksock.listener('$.a', (message) => {
        expect(message.dataLength).toBe(length);
        heard.push(inPlace(message));
        expect([...message.data]).toEqual(heard.at(-1));
        expect(message.data).toBe(message.data);
        expect(inPlace(message)).toEqual(heard.at(-1));
      });
      for (let at = 1; at <= 5; at++) {
        const data = new Uint8Array(length).fill(at);
        expected.push([...data]);
        await sender.post(new Announcement('$.a', data), { wait: true });
      }
      await sender.flush();
      await settled();
      expect(heard).toEqual(expected);
    },
  );

  it('several handlers on one Ksock each get their own copies.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: string[] = [];
    await ksock.listener('$.a', () => heard.push('first'));
    await ksock.listener('$.*', () => heard.push('any'));
    await ksock.listener('$.a', () => heard.push('second'));
    await sender.sendMsg(new Announcement('$.a'));
    await sender.sendMsg(new Announcement('$.b'));
    await settled();
    expect(heard).toHaveLength(4);
    expect(heard.slice(0, 3).sort()).toEqual(['any', 'first', 'second']);
    expect(heard[3]).toBe('any');
  });

  it('a Request goes to the Replier’s handler to be answered, and to listeners’ handlers.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const heard: string[] = [];
    await ksock.listener('$.a', (message) => heard.push(message.kind));
    await ksock.replier('$.a', (request) => request.text().toUpperCase());
    expect((await requester.request('$.a', 'loud')).text()).toBe('LOUD');
    await settled();
    expect(heard).toEqual(['Request', 'Reply']);
  });

  it('of several Repliers on one Ksock, the one with the most specific name answers.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    for (const name of ['$.*', '$.a.*', '$.a.%', '$.a.b']) await ksock.replier(name, () => name);
    for (const [name, by] of [
      ['$.a.b', '$.a.b'],
      ['$.a.c', '$.a.%'],
      ['$.a.c.d', '$.a.*'],
      ['$.z', '$.*'],
    ] as const) {
      expect((await requester.request(name)).text()).toBe(by);
    }
  });

  it('an async handler works on several Requests at once.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const going: (() => void)[] = [];
    await ksock.replier('$.a', async (request) => {
      await new Promise<void>((resolve) => going.push(resolve));
      return request.text();
    });
    const answers = ['1', '2', '3'].map((text) => requester.request('$.a', text));
    while (going.length < 3) await settled();
    for (const go of going.reverse()) go();
    expect((await Promise.all(answers)).map((reply) => reply.text())).toEqual(['1', '2', '3']);
  });

  it('a Replier that returns a wrong type sends an error.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.replier('$.a', () => ({ no: 'data' }) as never);
    const error = (await failed(requester.request('$.a'))) as ReplierError;
    expect(error).toBeInstanceOf(ReplierError);
    expect(error.message).toContain('data must be a string or a Uint8Array');
  });

  it('a Replier that returns more data than the bus allows sends an error: the requester does not wait forever.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.replier('$.a', (request) => new Uint8Array(Number(request.text())));
    await requester.setMaxMessageSize(300);
    for (const length of ['300', '1000000', String(20 * 1024 * 1024)]) {
      const error = (await failed(requester.request('$.a', length))) as ReplierError;
      expect(error).toBeInstanceOf(ReplierError);
      expect(error.message).toContain('the Reply is larger than this bus allows');
    }
    expect((await requester.request('$.a', '10')).dataLength).toBe(10);
    expect(await ksock.numUnrepliedTo()).toBe(0);
  });

  it('on a bus that allows no more than 100 bytes, each of many Requests gets one error, and no more is sent.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.replier('$.a', () => new Uint8Array(200));
    await requester.setMaxMessageSize(100);
    // More than any table of refusals remembers.
    const asked = Array.from({ length: 3000 }, () => failed(requester.request('$.a')));
    for (const error of await Promise.all(asked)) {
      expect(error).toBeInstanceOf(ReplierError);
      expect((error as Error).message).toContain('the Reply is larger than this bus allows');
    }
    expect(await ksock.numUnrepliedTo()).toBe(0);
    expect(reported.splice(0)).toHaveLength(3000);
  });

  it('a Replier that throws another value than an Error sends its text.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.replier('$.a', () => {
      throw 'just text';
    });
    const error = (await failed(requester.request('$.a'))) as ReplierError;
    expect(error.message).toBe("send Request '$.a': the Replier failed to answer: just text");
  });

  it.for([1, 100_000])(
    'a Replier may reuse the memory of its Reply (%i bytes) at once, whatever delays the Reply.',
    async (length) => {
      const ksock = await stage.open();
      const requester = await stage.open();
      const listener = await stage.open();
      const memory = new Uint8Array(length);
      await ksock.replier('$.a', (request) => memory.fill(Number(request.text())));
      const ask = async (text: string): Promise<number | undefined> =>
        (await requester.request('$.a', text)).data.at(-1);
      expect(await Promise.all(['1', '2', '3'].map(ask))).toEqual([1, 2, 3]);
      // While a message of its Ksock waits to be sent, the bus refuses Replies.
      await listener.bind('$.News');
      await fill(listener, requester);
      const waits = new Announcement('$.News', '', { flags: Flag.ALL_OR_WAIT });
      await refused(ksock.sendMsg(waits), 'EAGAIN');
      const answers = Promise.all(['4', '5', '6'].map(ask));
      await settled();
      await readAll(listener);
      expect(await answers).toEqual([4, 5, 6]);
    },
  );

  it('a Replier answers even if another message of its Ksock waits to be sent.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const listener = await stage.open();
    await ksock.replier('$.a', () => 'answered');
    await listener.bind('$.News');
    await fill(listener, requester);
    const waits = new Announcement('$.News', 'waits', { flags: Flag.ALL_OR_WAIT });
    await refused(ksock.sendMsg(waits), 'EAGAIN');
    const answer = requester.request('$.a');
    await settled();
    await next(listener);
    expect((await answer).text()).toBe('answered');
    expect((await next(listener)).text()).toBe('waits');
  });

  it('a Replier answers even if sends of its Ksock queue behind a waiting one.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const listener = await stage.open();
    await ksock.replier('$.a', () => 'answered');
    await listener.bind('$.News');
    await fill(listener, requester);
    const waits = ksock.sendMsg(new Announcement('$.News', 'waits'), { wait: true });
    const answer = requester.request('$.a');
    await settled();
    await next(listener);
    await waits;
    expect((await answer).text()).toBe('answered');
  });

  it('an error of a listener is reported, and the next listeners are called.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: string[] = [];
    await ksock.listener('$.a', (message) => {
      heard.push(message.text());
      if (message.text() === '1') throw new Error('thrown by a listener');
    });
    await ksock.replier('$.Ask', () => 'still here');
    for (const text of ['1', '2']) await sender.sendMsg(new Announcement('$.a', text));
    expect((await sender.request('$.Ask')).text()).toBe('still here');
    expect(heard).toEqual(['1', '2']);
    expect(reported.splice(0).map(String)).toEqual(['Error: thrown by a listener']);
  });

  it('one that stops, in its own call or in that of another, loses no message of the others.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: Record<string, string[]> = { itself: [], other: [], same: [], stopped: [] };
    const note = (who: string, message: Message): void => void heard[who]?.push(message.text());
    const itself = await ksock.listener('$.a.*', (message) => {
      note('itself', message);
      void itself.stop();
      void stopped.stop();
    });
    await ksock.listener('$.a.b', (message) => note('other', message));
    await ksock.listener('$.a.*', (message) => note('same', message));
    const stopped = await ksock.listener('$.a.%', (message) => note('stopped', message));
    for (const text of ['1', '2', '3']) await sender.sendMsg(new Announcement('$.a.b', text));
    await Promise.all([itself.stop(), itself.stop(), stopped.stop()]);
    await sender.sendMsg(new Announcement('$.a.b', '4'));
    await settled();
    expect(heard).toEqual({
      itself: ['1'],
      other: ['1', '2', '3', '4'],
      same: ['1', '2', '3', '4'],
      stopped: [],
    });
    expect((await ksock.readBindings()).map(({ name }) => name)).toEqual(['$.a.b', '$.a.*']);
  });

  it('all get each message once if the Ksock wants messages once, also after one has stopped.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    await ksock.wantMessagesOnce(true);
    const heard: string[] = [];
    await ksock.listener('$.*', (message) => void heard.push(`all ${message.text()}`));
    const one = await ksock.listener('$.a', (message) => void heard.push(`one ${message.text()}`));
    await sender.sendMsg(new Announcement('$.a', '1'));
    await settled();
    const sent = sender.sendMsg(new Announcement('$.a', '2'));
    await one.stop();
    await sent;
    await settled();
    await ksock.listener('$.a', (message) => void heard.push(`new ${message.text()}`));
    await sender.sendMsg(new Announcement('$.a', '3'));
    await settled();
    expect(heard.filter((text) => !text.startsWith('one 2'))).toEqual([
      'all 1',
      'one 1',
      'all 2',
      'all 3',
      'new 3',
    ]);
  });

  it('answer the requester whatever they throw, or reject with.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const getter = Object.defineProperty(new Error('x'), 'message', {
      get: () => {
        throw new Error('no message');
      },
    });
    const odd: unknown[] = [
      null,
      undefined,
      7,
      Symbol('s'),
      Object.create(null),
      Object.assign(new Error('x'), { message: 42 }),
      Object.assign(new Error('x'), { message: Object.create(null) }),
      new Error('long '.repeat(1_000_000)),
      getter,
    ];
    for (const [at, thrown] of odd.entries()) {
      await ksock.replier(`$.Throws.${at}`, () => {
        throw thrown;
      });
      await ksock.replier(`$.Rejects.${at}`, async () => {
        throw thrown;
      });
      for (const name of [`$.Throws.${at}`, `$.Rejects.${at}`]) {
        expect(await failed(requester.request(name))).toBeInstanceOf(ReplierError);
      }
    }
    expect(reported.splice(0).length).toBe(2 * odd.length);
  });

  it('may return a promise of another realm, or any thenable.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    const theirs = runInNewContext('async () => "theirs"') as () => Promise<string>;
    await ksock.replier('$.Theirs', theirs);
    const like = Object.fromEntries([['then', (done: (text: string) => void) => done('like')]]);
    await ksock.replier('$.Like', () => like as never);
    expect((await requester.request('$.Theirs')).text()).toBe('theirs');
    expect((await requester.request('$.Like')).text()).toBe('like');
  });

  it.for([16, 16_384, 100_000])(
    'may reuse the memory of a Reply of %d bytes at once.',
    async (size) => {
      const ksock = await stage.open();
      const requester = await stage.open();
      const scratch = new Uint8Array(size);
      await ksock.replier('$.Fill', (request) => scratch.fill(Number(request.text())));
      const asked = Array.from({ length: 8 }, (_, at) =>
        requester.request('$.Fill', String(at + 1)),
      );
      for (const [at, reply] of (await Promise.all(asked)).entries()) {
        expect(reply.data.length).toBe(size);
        expect(reply.data.every((byte) => byte === at + 1)).toBe(true);
      }
    },
  );

  it('have at most `concurrency` pending calls; further messages stay in the queue.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const going: (() => void)[] = [];
    let most = 0;
    let heard = 0;
    await ksock.listener(
      '$.Job',
      async () => {
        heard++;
        await new Promise<void>((resolve) => {
          most = Math.max(most, going.push(resolve));
        });
      },
      { concurrency: 3 },
    );
    for (let at = 0; at < 10; at++) await sender.sendMsg(new Announcement('$.Job'));
    await settled();
    expect([heard, await ksock.numMessages()]).toEqual([3, 7]);
    for (let at = 0; at < 10; at++) {
      while (going.length === 0) await settled();
      going.shift()?.();
      await settled();
    }
    expect([heard, most, await ksock.numMessages()]).toEqual([10, 3, 0]);
  });

  it('finish their pending calls, and answer them, when their Ksock is closed with `finish`.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    let go = (): void => {};
    await ksock.replier('$.Ask', async () => {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return 'finished';
    });
    const answer = requester.request('$.Ask');
    await settled();
    const closed = ksock.close({ finish: true });
    await refused(requester.request('$.Ask'), 'EADDRNOTAVAIL');
    go();
    expect((await answer).text()).toBe('finished');
    await closed;
    await refused(ksock.numMessages(), 'EBADF');
  });

  it('`stop` unbinds the name; unread Requests get Unbound, and pending calls are still answered.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    let go = (): void => {};
    const handling = await ksock.replier('$.a', async () => {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
      return 'after all';
    });
    expect(handling.name).toBe('$.a');
    const answer = requester.request('$.a');
    await settled();
    let isStopped = false;
    const stopped = handling.stop().then(() => {
      isStopped = true;
    });
    expect(handling.stop()).toBe(handling.stop());
    await refused(requester.request('$.a'), 'EADDRNOTAVAIL');
    await settled();
    expect(isStopped).toBe(false);
    go();
    expect((await answer).text()).toBe('after all');
    await stopped;
  });

  it('when the last one has stopped, the program may read the Ksock itself; no message is lost.', async () => {
    const ksock = await stage.open();
    const sender = await stage.open();
    const heard: string[] = [];
    await ksock.bind('$.b');
    const handling = await ksock.listener('$.a', (message) => {
      heard.push(message.text());
      if (message.text() === '3') void handling.stop();
    });
    for (let at = 1; at < 6; at++) await sender.sendMsg(new Announcement('$.a', String(at)));
    for (let round = 0; round < 10; round++) {
      await sender.sendMsg(new Announcement('$.b', String(round)));
      await settled();
    }
    await handling.stop();
    // Until then, the handlers have also read messages of names without a handler.
    const rest = (await readNames(ksock)).length;
    await sender.sendMsg(new Announcement('$.b', 'by hand'));
    expect(((await ksock.waitForMsg()) as Message).text()).toBe('by hand');
    expect(heard.slice(0, 3)).toEqual(['1', '2', '3']);
    expect(rest).toBeLessThanOrEqual(10);
  });

  it('handlers may be stopped and started again, at once, any number of times.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    for (let round = 0; round < 10; round++) {
      const handling = await ksock.replier('$.a', () => String(round));
      const outcome = requester.request('$.a').then(
        (reply) => reply.text(),
        (error) => error.code,
      );
      if (round % 2 === 0) expect(await outcome).toBe(String(round));
      await handling.stop();
      expect([String(round), 'STATUS', 'EADDRNOTAVAIL']).toContain(await outcome);
    }
    expect(await ksock.readNextMsg()).toBeNull();
  });

  it('a refused bind leaves no handler behind.', async () => {
    const ksock = await stage.open();
    const other = await stage.open();
    await other.bind('$.a', true);
    await refused(
      ksock.replier('$.a', () => 'x'),
      'EADDRINUSE',
    );
    await refused(
      ksock.listener('a', () => {}),
      'EBADMSG',
    );
    await ksock.bind('$.b');
    await ksock.sendMsg(new Announcement('$.b', 'by hand'));
    expect((await next(ksock)).text()).toBe('by hand');
    await using handling = await ksock.replier('$.b', () => 'x');
    await refused(
      ksock.replier('$.b', () => 'y'),
      'EADDRINUSE',
    );
    expect((await other.request('$.b')).text()).toBe('x');
    expect(handling.name).toBe('$.b');
  });

  it('closing the Ksock ends them; Requests of pending calls get Ignored.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    let go = (): void => {};
    await ksock.replier('$.a', async () => {
      await new Promise<void>((resolve) => {
        go = resolve;
      });
    });
    const asked = failed(requester.request('$.a'));
    await settled();
    await ksock.close();
    expect(String(await asked)).toContain('$.KBUS.Replier.Ignored');
    // Its result is dropped.
    go();
    await settled();
  });

  it('a handler may use its own Ksock.', async () => {
    const ksock = await stage.open();
    const requester = await stage.open();
    await ksock.replier('$.inner', (request) => `<${request.text()}>`);
    await ksock.replier('$.outer', async (request) => {
      await ksock.sendMsg(new Announcement('$.heard', request.text()));
      return (await ksock.request('$.inner', request.text())).data;
    });
    expect((await requester.request('$.outer', 'x')).text()).toBe('<x>');
  });

  it('a listener does not answer a Request: it is marked for its Replier.', async () => {
    const listener = await stage.open();
    const replier = await stage.open();
    const requester = await stage.open();
    const heard: boolean[] = [];
    await listener.listener('$.a', (message) => heard.push(message.wantsUsToReply()));
    await replier.bind('$.a', true);
    await requester.sendMsg(new Request('$.a'));
    await settled();
    expect(heard).toEqual([false]);
    expect(await replier.numMessages()).toBe(1);
  });
});
