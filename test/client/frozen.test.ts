import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, Request, replyTo } from '../../src/message/message.ts';
import { fill, next, readTexts } from '../conformance/reading.ts';
import { FrameHost } from '../support/frame-host.ts';
import type { PipeEnd } from '../support/pipe.ts';
import { failed, refused } from '../support/refused.ts';
import { settled } from './everywhere.ts';

let host: FrameHost;
let ksock: Ksock;
let sender: Ksock;
/** The ends of the connection: while one is paused, bytes of the other end stay on their way. */
let clientEnd: PipeEnd;
let daemonEnd: PipeEnd;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  host = new FrameHost();
  ksock = await host.open();
  daemonEnd = host.ends[0] as PipeEnd;
  const { reconnecting } = ksock as unknown as {
    reconnecting: { port: { channel: PipeEnd } };
  };
  clientEnd = reconnecting.port.channel;
  sender = await host.open();
  await ksock.bind('$.a');
});
afterEach(async () => {
  daemonEnd.resume();
  await host.close();
  vi.useRealTimers();
});

const freeze = (): void => daemonEnd.pause();
const thaw = (): void => daemonEnd.resume();

/** A wait that the program cancelled while its message was on the way. */
async function giveUpTooLate(text: string): Promise<void> {
  const controller = new AbortController();
  const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
  await settled();
  clientEnd.pause();
  await sender.sendMsg(new Announcement('$.a', text));
  controller.abort('enough');
  expect(await waiting).toBe('enough');
  clientEnd.resume();
}

describe('A wait for a message, when the daemon does not answer,', () => {
  it('ends after its timeout, or after the second that the daemon has to answer.', async () => {
    freeze();
    const short = ksock.waitForMsg({ timeout: 10 });
    const long = ksock.waitForMsg({ timeout: 5000 });
    const ended: string[] = [];
    const note = (what: string) => (): void => void ended.push(what);
    void short.then(note('short'));
    void long.then(note('long'));
    await vi.advanceTimersByTimeAsync(999);
    expect(ended).toEqual([]);
    await vi.advanceTimersByTimeAsync(2);
    expect(ended).toEqual(['short']);
    await vi.advanceTimersByTimeAsync(3990);
    expect(ended).toEqual(['short']);
    await vi.advanceTimersByTimeAsync(20);
    expect(ended).toEqual(['short', 'long']);
    expect([await short, await long]).toEqual([null, null]);
  });

  it('ends at once when the program aborts it, even after its timeout.', async () => {
    freeze();
    const controller = new AbortController();
    const { signal } = controller;
    const waits = [
      failed(ksock.waitForMsg({ timeout: 10, signal })),
      failed(ksock.waitWritable({ timeout: 10, signal })),
    ];
    await vi.advanceTimersByTimeAsync(20);
    controller.abort('enough');
    expect(await Promise.all(waits)).toEqual(['enough', 'enough']);
  });

  it('leaves no state behind if it began after a cancelled one.', async () => {
    freeze();
    const controller = new AbortController();
    const given = failed(ksock.waitForMsg({ signal: controller.signal }));
    controller.abort('enough');
    await given;
    const timed = ksock.waitForMsg({ timeout: 10 });
    await vi.advanceTimersByTimeAsync(20);
    thaw();
    expect(await timed).toBeNull();
    expect(await ksock.readNextMsg()).toBeNull();
    await sender.sendMsg(new Announcement('$.a', 'kept'));
    expect(await readTexts(ksock)).toEqual(['kept']);
  });

  it('ends at once when the program aborts it, each time; all waits together send one TAKE.', async () => {
    freeze();
    for (let time = 0; time < 50; time++) {
      const controller = new AbortController();
      const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
      controller.abort(time);
      expect(await waiting).toBe(time);
    }
    await settled();
    expect(clientEnd.backlog).toBeLessThan(100);
    thaw();
    await sender.sendMsg(new Announcement('$.a', 'kept'));
    expect(await readTexts(ksock)).toEqual(['kept']);
  });
});

describe('A request, when the daemon does not answer,', () => {
  it('waits a second after its timeout for the daemon to say whether the Replier has read it.', async () => {
    freeze();
    let error: unknown;
    void failed(ksock.request('$.a', '', { timeout: 10 })).then((reason) => {
      error = reason;
    });
    await vi.advanceTimersByTimeAsync(1005);
    expect(error).toBeUndefined();
    await vi.advanceTimersByTimeAsync(10);
    expect(error).toMatchObject({ code: 'ETIMEDOUT' });
    expect(String(error)).toContain('its Replier may be at work on it');
  });

  it('ends at once when the program aborts it, even after its timeout.', async () => {
    freeze();
    const controller = new AbortController();
    const asked = failed(ksock.request('$.a', '', { timeout: 10, signal: controller.signal }));
    await vi.advanceTimersByTimeAsync(20);
    controller.abort('enough');
    expect(await asked).toBe('enough');
  });
});

describe('A message that arrives after its wait has ended', () => {
  it('goes to the next reader, before later messages, and counts as unread.', async () => {
    await giveUpTooLate('1');
    await sender.sendMsg(new Announcement('$.a', '2'));
    expect(await ksock.numMessages()).toBe(2);
    expect(await readTexts(ksock)).toEqual(['1', '2']);
    expect(await ksock.numMessages()).toBe(0);
  });

  it('goes to a wait that has begun in the meantime.', async () => {
    await giveUpTooLate('1');
    const waiting = [ksock.waitForMsg(), ksock.waitForMsg()];
    expect((await waiting[0])?.text()).toBe('1');
    await sender.sendMsg(new Announcement('$.a', '2'));
    expect((await waiting[1])?.text()).toBe('2');
  });

  it('goes to a wait that began before the other ended, and that wait leaves no state behind.', async () => {
    const controller = new AbortController();
    const first = failed(ksock.waitForMsg({ signal: controller.signal }));
    const second = ksock.waitForMsg();
    await settled();
    clientEnd.pause();
    await sender.sendMsg(new Announcement('$.a', '1'));
    controller.abort('enough');
    expect(await first).toBe('enough');
    clientEnd.resume();
    expect((await second)?.text()).toBe('1');
    await sender.sendMsg(new Announcement('$.a', '2'));
    await sender.sendMsg(new Announcement('$.a', '3'));
    expect(await readTexts(ksock)).toEqual(['2', '3']);
  });

  it('goes to the loop that waits.', async () => {
    const controller = new AbortController();
    const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
    const loop = ksock[Symbol.asyncIterator]();
    const first = loop.next();
    await settled();
    clientEnd.pause();
    await sender.sendMsg(new Announcement('$.a', '1'));
    await sender.sendMsg(new Announcement('$.a', '2'));
    controller.abort('enough');
    expect(await waiting).toBe('enough');
    clientEnd.resume();
    const got = [(await first).value?.text(), (await loop.next()).value?.text()];
    expect(got).toEqual(['1', '2']);
    await loop.return?.();
  });

  it('can be read after the connection was lost, and a Reply counts as received.', async () => {
    await sender.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask', 'answered'));
    await ksock.sendMsg(new Request('$.Ask', 'not answered'));
    const request = await next(sender);
    const controller = new AbortController();
    const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
    await settled();
    clientEnd.pause();
    await sender.sendMsg(replyTo(request, 'yes'));
    controller.abort('enough');
    await waiting;
    clientEnd.resume();
    await settled();
    daemonEnd.break();
    await settled();
    expect((await next(ksock)).text()).toBe('yes');
    expect((await next(ksock)).name).toBe('$.KBUS.Bus.GoneAway');
    await refused(ksock.readNextMsg(), 'ECONNRESET');
  });
});

describe('A post that waits for the backlog', () => {
  it('ends with the connection, even if no byte was written.', async () => {
    freeze();
    const post = ksock.post(new Announcement('$.a', new Uint8Array(300_000)));
    await settled();
    const next = ksock.post(new Announcement('$.a', 'behind'));
    const ended = Promise.allSettled([post, next]);
    await settled();
    expect(clientEnd.backlog).toBeGreaterThan(300_000);
    daemonEnd.break();
    const [first, second] = await ended;
    expect([first?.status, second?.status].sort()).toContain('rejected');
    await refused(ksock.post(new Announcement('$.a')) as Promise<void>, 'ECONNRESET');
  });
});

describe('A wait to write, when the daemon does not answer,', () => {
  it('ends after its timeout, and the Ksock learns later that the message was sent.', async () => {
    await fill(sender, ksock);
    await refused(
      ksock.sendMsg(new Announcement('$.Filler', 'it', { flags: Flag.ALL_OR_WAIT })),
      'EAGAIN',
    );
    freeze();
    const timed = ksock.waitWritable({ timeout: 10 });
    const controller = new AbortController();
    const given = failed(ksock.waitWritable({ signal: controller.signal }));
    controller.abort('enough');
    expect(await given).toBe('enough');
    await vi.advanceTimersByTimeAsync(1000);
    expect(await timed).toBe(false);
    await next(sender);
    thaw();
    await settled();
    expect(await readTexts(sender)).toEqual(['it']);
    await ksock.sendMsg(new Announcement('$.Other'));
  });
});

describe('close, when the daemon does not answer,', () => {
  it('waits five seconds, and then leaves; waiting calls reject.', async () => {
    freeze();
    const waiting = refused(ksock.waitForMsg(), 'EBADF');
    let isClosed = false;
    const closing = ksock.close().then(() => {
      isClosed = true;
    });
    await vi.advanceTimersByTimeAsync(4999);
    expect(isClosed).toBe(false);
    await vi.advanceTimersByTimeAsync(2);
    await closing;
    await waiting;
    await refused(ksock.numMessages(), 'EBADF');
    thaw();
    await settled();
    expect((await sender.readBindings()).length).toBe(0);
  });

  it('waits as long as the daemon goes on reading.', async () => {
    freeze();
    clientEnd.backlog += 3000;
    let isClosed = false;
    const closing = ksock.close().then(() => {
      isClosed = true;
    });
    await settled();
    await vi.advanceTimersByTimeAsync(4000);
    for (let time = 0; time < 3; time++) {
      clientEnd.backlog -= 1000;
      await vi.advanceTimersByTimeAsync(5000);
      expect(isClosed).toBe(false);
    }
    await vi.advanceTimersByTimeAsync(5000);
    await closing;
  });

  it.for([
    ['before WELCOME', 0],
    ['before it has its bindings', 6],
  ])('closes the port of a reconnection in progress: %s.', async ([, turns]) => {
    const ends: PipeEnd[] = [];
    const back = await Ksock.open(
      (mode, events, signal) => {
        const opening = host.connect()(mode, events, signal);
        ends.push(host.ends.at(-1) as PipeEnd);
        return opening;
      },
      { reconnect: { minDelay: 1, maxDelay: 1 } },
    );
    await back.bind('$.b');
    ends[0]?.break();
    await settled();
    await vi.advanceTimersByTimeAsync(1);
    for (let turn = 0; turn < (turns as number); turn++) {
      // The port has its WELCOME, and no bindings yet.
      if ((await sender.stats()).ksocks.length === 3) break;
    }
    ends[1]?.pause();
    const closing = back.close();
    await vi.advanceTimersByTimeAsync(5001);
    await closing;
    const { peer } = ends[1] as unknown as { peer: { isEnding: boolean } };
    expect(peer.isEnding).toBe(true);
    ends[1]?.resume();
    await settled();
    expect((await sender.stats()).ksocks.length).toBe(2);
  });
});
