import { describe, expect, it } from 'vitest';
import { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement, type Message, Request, replyTo } from '../../src/message/message.ts';
import { StatusError } from '../../src/message/request-error.ts';
import { fill, next, readAll } from '../conformance/reading.ts';
import { FrameHost } from '../support/frame-host.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere, settled } from './everywhere.ts';

/** The object that makes the tokens of a port: to a daemon, or to a bus in this process. */
interface Numbering {
  readonly tokens?: { next: number };
  readonly sends: { nextToken: number };
}

everywhere('request', (stage) => {
  it('rejects with ETIMEDOUT after its timeout, and drops a later Reply.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const late = failed(requester.request('$.Ask', '', { timeout: 100 }));
    const request = (await replier.waitForMsg()) as Message;
    const error = (await late) as KbusError;
    expect(error).toBeInstanceOf(KbusError);
    expect(error.message).toBe(
      "ETIMEDOUT (110): send Request '$.Ask' within 100 ms: no Reply came in time; the Request is forgotten, though its Replier may be at work on it",
    );
    await refused(replier.sendMsg(replyTo(request, 'late')), 'ECONNREFUSED');
    expect(await requester.numMessages()).toBe(0);
    // The next Request gets its own Reply.
    const answer = requester.request('$.Ask', '', { timeout: 60_000 });
    await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'in time'));
    expect((await answer).text()).toBe('in time');
  });

  it('frees the place of its Reply at once when it is given up.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    await requester.setMaxMessages(1);
    const controller = new AbortController();
    const given = failed(requester.request('$.Ask', '', { signal: controller.signal }));
    const request = (await replier.waitForMsg()) as Message;
    controller.abort('enough');
    await given;
    const answer = requester.request('$.Ask');
    await refused(replier.sendMsg(replyTo(request)), 'ECONNREFUSED');
    await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'again'));
    expect((await answer).text()).toBe('again');
  });

  it('says that the Replier never reads a Request that timed out unread.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const error = (await failed(requester.request('$.Ask', '', { timeout: 0 }))) as KbusError;
    expect(error.message).toBe(
      "ETIMEDOUT (110): send Request '$.Ask' within 0 ms: no Reply came in time; no Replier has read the Request, and none will",
    );
    expect(await replier.numMessages()).toBe(0);
  });

  it('says the same of a Request that timed out while it waited for a full queue.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    await fill(replier, await stage.open());
    const waits = { flags: Flag.ALL_OR_WAIT, timeout: 1 };
    const error = (await failed(requester.request('$.Ask', '', waits))) as KbusError;
    expect(error.meaning).toBe(
      'no Reply came in time; no Replier has read the Request, and none will',
    );
  });

  it('makes the bus refuse a waiting Reply when its Request is given up.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    const listener = await stage.open();
    await replier.bind('$.Ask', true);
    await listener.bind('$.Answer');
    await fill(listener, await stage.open());
    const controller = new AbortController();
    const given = failed(requester.request('$.Ask', '', { signal: controller.signal }));
    const reply = replyTo((await replier.waitForMsg()) as Message);
    reply.name = '$.Answer';
    const sent = replier.sendMsg(reply, { wait: true });
    await settled();
    controller.abort('enough');
    await given;
    await refused(sent, 'ECONNREFUSED');
  });

  it('rejects with the reason of its signal: before, during, and not after.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const reason = new Error('stop');
    const before = AbortSignal.abort(reason);
    expect(await failed(requester.request('$.Ask', '', { signal: before }))).toBe(reason);
    expect(await replier.numMessages()).toBe(0);

    const during = new AbortController();
    const asked = failed(requester.request('$.Ask', '', { signal: during.signal }));
    const request = (await replier.waitForMsg()) as Message;
    during.abort(reason);
    expect(await asked).toBe(reason);
    await refused(replier.sendMsg(replyTo(request, 'dropped')), 'ECONNREFUSED');

    const after = new AbortController();
    const answer = requester.request('$.Ask', '', { signal: after.signal });
    await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'kept'));
    expect((await answer).text()).toBe('kept');
    after.abort();
    await settled();
    expect(await requester.numMessages()).toBe(0);
  });

  it('is never sent if it is given up while it waits for a full queue.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.setMaxMessages(1);
    await replier.bind('$.Ask', true);
    const waiting = { flags: Flag.ALL_OR_WAIT };
    const first = requester.request('$.Ask', 'first', waiting);
    await failed(requester.request('$.Ask', 'late', { ...waiting, timeout: 1 }));
    const controller = new AbortController();
    const aborted = failed(
      requester.request('$.Ask', 'aborted', { ...waiting, signal: controller.signal }),
    );
    controller.abort(new Error('enough'));
    await aborted;
    await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'done'));
    expect((await first).text()).toBe('done');
    await settled();
    expect(await replier.numMessages()).toBe(0);
  });

  it('causes no warning when a hundred of them share a signal.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.replier('$.Ask', () => 'yes');
    const warnings: Error[] = [];
    const warn = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warn);
    const { signal } = new AbortController();
    await Promise.all(
      Array.from({ length: 100 }, () => requester.request('$.Ask', '', { signal })),
    );
    await settled();
    process.off('warning', warn);
    expect(warnings).toEqual([]);
  });

  it('rejects with an error whose stack has the caller’s line.', async () => {
    const requester = await stage.open();
    async function whoAsks(): Promise<void> {
      await requester.request('$.Nobody');
    }
    async function whoSends(): Promise<void> {
      await requester.sendMsg(new Request('$.Nobody'));
    }
    for (const ask of [whoAsks, whoSends]) {
      expect(((await failed(ask())) as Error).stack).toContain(ask.name);
    }
  });

  it('settles once, and leaves no state, if Reply and timeout coincide.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.replier('$.Ask', (request) => request.text());
    for (let round = 0; round < 30; round++) {
      const outcome = await requester
        .request('$.Ask', String(round), { timeout: round % 3 })
        .then((reply) => reply.text())
        .catch((error: KbusError) => error.code);
      expect([String(round), 'ETIMEDOUT']).toContain(outcome);
    }
    expect((await requester.request('$.Ask', 'after')).text()).toBe('after');
    expect(await requester.numMessages()).toBe(0);
  });

  it('rejects with the Status for each way in which a Replier can leave.', async () => {
    const requester = await stage.open();
    const statusOf = async (asked: Promise<unknown>): Promise<string> => {
      const error = (await failed(asked)) as StatusError;
      expect(error).toBeInstanceOf(StatusError);
      return error.status.name;
    };
    const unbinds = await stage.open();
    await unbinds.bind('$.Unbinds', true);
    const unbound = statusOf(requester.request('$.Unbinds'));
    await settled();
    await unbinds.unbind('$.Unbinds', true);
    expect(await unbound).toBe('$.KBUS.Replier.Unbound');

    const leaves = await stage.open();
    await leaves.bind('$.Leaves', true);
    const [ignored, goneAway] = [
      statusOf(requester.request('$.Leaves')),
      statusOf(requester.request('$.Leaves')),
    ];
    await leaves.waitForMsg();
    await settled();
    await leaves.close();
    expect(await ignored).toBe('$.KBUS.Replier.Ignored');
    expect(await goneAway).toBe('$.KBUS.Replier.GoneAway');
    expect(await readAll(requester)).toEqual([]);
  });

  it('with ALL_OR_WAIT, rejects when its Replier closes while it waits.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    await fill(replier, requester);
    const asked = failed(requester.request('$.Ask', '', { flags: Flag.ALL_OR_WAIT }));
    await settled();
    await replier.close();
    expect(((await asked) as KbusError).code).toBe('EADDRNOTAVAIL');
    await requester.sendMsg(new Announcement('$.Other'));
    expect(await readAll(requester)).toEqual([]);
  });

  it('rejects with EBADF when the Ksock is closed, whatever state it is in.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const read = refused(requester.request('$.Ask', '', { timeout: 60_000 }), 'EBADF');
    await replier.waitForMsg();
    const unread = refused(requester.request('$.Ask'), 'EBADF');
    await settled();
    await fill(replier, await stage.open());
    const waiting = refused(requester.request('$.Ask', '', { flags: Flag.ALL_OR_WAIT }), 'EBADF');
    await settled();
    await requester.close();
    await Promise.all([read, unread, waiting]);
    await refused(requester.request('$.Ask'), 'EBADF');
  });

  it('may be answered by its own Ksock.', async () => {
    const ksock = await stage.open();
    await ksock.replier('$.Ask', (request) => `${request.text()}, myself`);
    expect((await ksock.request('$.Ask', 'me')).text()).toBe('me, myself');
  });

  it('with wait: false, rejects one by one when the queue has no slots for the Replies.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    await requester.setMaxMessages(3);
    const asked = Array.from({ length: 5 }, (_, at) =>
      requester.request('$.Ask', String(at), { wait: false }).then(
        (reply) => reply.text(),
        (error: KbusError) => error.code,
      ),
    );
    await settled();
    for (const request of await readAll(replier)) await replier.sendMsg(replyTo(request, 'yes'));
    expect(await Promise.all(asked)).toEqual(['yes', 'yes', 'yes', 'ENOLCK', 'ENOLCK']);
  });

  it('keeps its token when tokens start again, and gets its own Reply.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const first = requester.request('$.Ask', 'first');
    await settled();
    const { port } = (requester as unknown as { reconnecting: { port: Numbering } }).reconnecting;
    // The tokens reach their end within the next few Requests.
    if (port.tokens !== undefined) port.tokens.next = 0xffff_fffd;
    else {
      expect(port.sends.nextToken).toBeTypeOf('number');
      port.sends.nextToken = 0xffff_fffd;
    }
    const texts = ['1', '2', '3', '4', '5', '6', '7'];
    const asked = texts.map((text) => requester.request('$.Ask', text));
    // Other calls take tokens, too.
    const others = [requester.numMessages(), requester.bind('$.News'), requester.readNextMsg()];
    await Promise.all(others);
    for (const text of ['8', '9']) {
      texts.push(text);
      asked.push(requester.request('$.Ask', text));
    }
    const given = new AbortController();
    const forgotten = failed(requester.request('$.Ask', '10', { signal: given.signal }));
    await settled();
    given.abort('enough');
    expect(await forgotten).toBe('enough');
    const requests: Message[] = [];
    while (requests.length < 10) requests.push(await next(replier));
    for (const request of requests.reverse()) {
      await replier.sendMsg(replyTo(request, request.text()));
    }
    expect((await first).text()).toBe('first');
    expect((await Promise.all(asked)).map((reply) => reply.text())).toEqual(texts);
  });

  it('keeps its Reply apart from those to Requests sent with sendMsg.', async () => {
    const requester = await stage.open();
    const replier = await stage.open();
    await replier.bind('$.Ask', true);
    const sent = await requester.sendMsg(new Request('$.Ask', 'sent'));
    const asked = requester.request('$.Ask', 'asked');
    await settled();
    for (const request of await readAll(replier)) {
      await replier.sendMsg(replyTo(request, request.text()));
    }
    expect((await asked).text()).toBe('asked');
    const got = await next(requester);
    expect([got.text(), got.inReplyTo]).toEqual(['sent', sent]);
  });
});

describe('request, over a connection', () => {
  it('keeps its order behind a send that waits.', async () => {
    const host = new FrameHost();
    const [requester, replier, listener] = [
      await host.open(),
      await host.open(),
      await host.open(),
    ];
    await replier.bind('$.Ask', true);
    await listener.bind('$.News');
    await listener.bind('$.Ask');
    await fill(listener, replier);
    const waits = requester.sendMsg(new Announcement('$.News', 'first'), { wait: true });
    const asked = requester.request('$.Ask', 'second');
    const refusedLater = refused(requester.request('$.Nobody'), 'EADDRNOTAVAIL');
    await settled();
    expect(await replier.numMessages()).toBe(0);
    await listener.setMaxMessages(100);
    await waits;
    await refusedLater;
    await replier.sendMsg(replyTo((await replier.waitForMsg()) as Message, 'answer'));
    expect((await asked).text()).toBe('answer');
    expect((await readAll(listener)).slice(1).map((message) => message.text())).toEqual([
      'first',
      'second',
      'answer',
    ]);
    await host.close();
    expect(host.warnings).toEqual([]);
  });
});
