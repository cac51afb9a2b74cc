import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { BusSettings } from '../../src/bus/settings.ts';
import { type Connect, Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { BUS_GONE_AWAY, PortError } from '../../src/client/ports/port.ts';
import { splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { Errno } from '../../src/message/errno.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import {
  Announcement,
  type Message,
  Request,
  replyTo,
  statefulRequest,
} from '../../src/message/message.ts';
import type { StatusError } from '../../src/message/request-error.ts';
import { fill, next, readAll, readTexts } from '../conformance/reading.ts';
import { FrameHost } from '../support/frame-host.ts';
import { failed, refused } from '../support/refused.ts';
import { settled } from './everywhere.ts';

const WAITS = { flags: Flag.ALL_OR_WAIT };

/** The place of daemons, which run one after the other. */
class Machine {
  host: FrameHost | null = new FrameHost();
  attempts = 0;
  private readonly ksocks: Ksock[] = [];

  readonly connect: Connect = async (mode, events, signal) => {
    this.attempts++;
    if (this.host === null) throw new PortError(Errno.ENOENT, 'nobody answers');
    return this.host.connect()(mode, events, signal);
  };

  async open(options: KsockOptions = {}): Promise<Ksock> {
    const ksock = await Ksock.open(this.connect, options);
    this.ksocks.push(ksock);
    return ksock;
  }

  /** The daemon dies without a farewell, and its connections are lost. */
  async crash(): Promise<void> {
    const { ends } = this.host as FrameHost;
    this.host = null;
    for (const end of ends) end.break();
    await settled();
  }

  /** A daemon to which other clients connect before the reconnecting ones. */
  async startWith(
    others: (host: FrameHost) => Promise<void>,
    settings: Partial<BusSettings> = {},
  ): Promise<void> {
    const host = new FrameHost(settings);
    await others(host);
    this.host = host;
  }

  start(): FrameHost {
    this.host = new FrameHost();
    return this.host;
  }

  async close(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
  }
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let settle: Omit<PromiseWithResolvers<T>, 'promise'> | undefined;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...(settle as Omit<PromiseWithResolvers<T>, 'promise'>) };
}

let machine: Machine;
beforeEach(() => {
  machine = new Machine();
});
afterEach(() => machine.close());

const statuses = (messages: readonly Message[]): string[][] =>
  messages.map(({ name, inReplyTo }) => [name, String(inReplyTo)]);

describe('When the connection is lost', () => {
  it.for(['readNextMsg', 'waitForMsg', 'for await'] as const)(
    'every outstanding Request ends with a Status `$.KBUS.Bus.GoneAway`: read with %s.',
    async (how) => {
      const requester = await machine.open();
      const replier = await machine.open();
      await replier.bind('$.a', true);
      const ids: string[] = [];
      for (let at = 0; at < 5; at++) ids.push(String(await requester.sendMsg(new Request('$.a'))));
      // A Request is outstanding whether the Replier has read it or not, until its Reply is read or the bus refuses it.
      await replier.sendMsg(replyTo(await next(replier)));
      await next(replier);
      await next(requester);
      await failed(requester.sendMsg(new Request('$.nobody')));
      await machine.crash();
      const got: Message[] = [];
      if (how === 'for await') {
        const loop = (async () => {
          for await (const message of requester) got.push(message);
        })();
        await refused(loop, 'ECONNRESET');
      } else {
        for (let at = 0; at < 4; at++) got.push((await requester[how]()) as Message);
      }
      expect(statuses(got)).toEqual(ids.slice(1).map((id) => [BUS_GONE_AWAY, id]));
      for (const status of got) {
        expect([status.kind, status.to, status.from]).toEqual(['Status', requester.id, 0]);
      }
      await refused(requester.readNextMsg(), 'ECONNRESET');
      await refused(requester.waitForMsg(), 'ECONNRESET');
    },
  );

  it('a pending wait gets the Status.', async () => {
    const requester = await machine.open();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    const id = await requester.sendMsg(new Request('$.a'));
    const waits = [requester.waitForMsg(), requester.waitForMsg()];
    const second = refused(waits[1] as Promise<unknown>, 'ECONNRESET');
    await machine.crash();
    expect((await waits[0])?.inReplyTo).toEqual(id);
    await second;
  });

  it('a prefetched, unread Reply counts as lost: the only answer is the Status.', async () => {
    const requester = await machine.open();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    await requester.bind('$.News');
    // The Reply is prefetched together with the message that the program reads.
    const ids: string[] = [];
    for (let at = 0; at < 3; at++) {
      ids.push(String(await requester.sendMsg(new Request('$.a'))));
      await replier.sendMsg(replyTo(await next(replier), String(at)));
    }
    const iterator = requester[Symbol.asyncIterator]();
    const first = await iterator.next();
    expect(first.value?.text()).toBe('0');
    await settled();
    await machine.crash();
    const rest = [await iterator.next(), await iterator.next()].map(({ value }) => value);
    expect(statuses(rest as Message[])).toEqual([
      [BUS_GONE_AWAY, ids[1]],
      [BUS_GONE_AWAY, ids[2]],
    ]);
    await refused(iterator.next(), 'ECONNRESET');
  });

  it.for<[string, (requester: Ksock) => Promise<unknown>]>([
    ['send', (requester) => requester.send()],
    ['poll', (requester) => requester.waitWritable()],
  ])(
    'a Request that waited for a full queue is outstanding once it was sent: by %s.',
    async ([, send]) => {
      const requester = await machine.open();
      const replier = await machine.open();
      await replier.bind('$.a', true);
      await fill(replier, requester);
      await refused(requester.sendMsg(new Request('$.a', '', WAITS)), 'EAGAIN');
      const id = String(await requester.lastMsgId());
      await next(replier);
      await send(requester);
      await machine.crash();
      expect(statuses([await next(requester)])).toEqual([[BUS_GONE_AWAY, id]]);
      await refused(requester.readNextMsg(), 'ECONNRESET');
    },
  );

  it.for<[string, (requester: Ksock) => Promise<unknown>]>([
    ['waits still', async () => {}],
    ['was discarded', (requester) => requester.discard()],
  ])('a Request that %s gets no Status.', async ([, act]) => {
    const requester = await machine.open();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    await fill(replier, requester);
    await refused(requester.sendMsg(new Request('$.a', '', WAITS)), 'EAGAIN');
    await act(requester);
    await machine.crash();
    await refused(requester.readNextMsg(), 'ECONNRESET');
  });

  it('each of several Requests with the same id, as Limpets may send them, gets its own Status.', async () => {
    const requester = await machine.open();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    const id = new MessageId(7, 5);
    for (let at = 0; at < 3; at++) await requester.sendMsg(new Request('$.a', '', { id }));
    await replier.sendMsg(replyTo(await next(replier)));
    expect((await next(requester)).inReplyTo).toEqual(id);
    await machine.crash();
    const got = [await next(requester), await next(requester)];
    expect(statuses(got)).toEqual([
      [BUS_GONE_AWAY, '[7:5]'],
      [BUS_GONE_AWAY, '[7:5]'],
    ]);
    await refused(requester.readNextMsg(), 'ECONNRESET');
  });

  it('a request rejects with a StatusError that has the Status.', async () => {
    const requester = await machine.open();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    const asked = [
      failed(requester.request('$.a')),
      failed(requester.request('$.a', '', { timeout: 1e6 })),
    ];
    await settled();
    await machine.crash();
    for (const error of (await Promise.all(asked)) as StatusError[]) {
      expect(error.code).toBe('STATUS');
      expect(error.status.name).toBe(BUS_GONE_AWAY);
      expect(error.message).toContain('the bus went away before the Request was answered');
    }
    await refused(requester.request('$.a'), 'ECONNRESET');
  });

  it('waiting calls reject.', async () => {
    const ksock = await machine.open();
    const listener = await machine.open();
    await listener.bind('$.News');
    await fill(listener, ksock);
    const news = (): Announcement => new Announcement('$.News');
    const waits: Record<string, Promise<unknown>> = {
      waitForMsg: ksock.waitForMsg(),
      'waitForMsg with a timeout': ksock.waitForMsg({ timeout: 1e6 }),
      'a send that waits': ksock.sendMsg(news(), { wait: true }),
      'a send behind it': ksock.sendMsg(news()),
      sendAll: ksock.sendAll([news(), news()], { wait: true }),
      waitWritable: ksock.waitWritable(),
      'waitWritable with a timeout': ksock.waitWritable({ timeout: 1e6 }),
    };
    const refusals = Object.values(waits).map((wait) => refused(wait, 'ECONNRESET'));
    await settled();
    await machine.crash();
    await Promise.all(refusals);
    const calls: Record<string, () => Promise<unknown>> = {
      bind: () => ksock.bind('$.a'),
      sendMsg: () => ksock.sendMsg(news()),
      'sendMsg that waits': () => ksock.sendMsg(news(), { wait: true }),
      sendAll: () => ksock.sendAll([news()]),
      numMessages: () => ksock.numMessages(),
      waitWritable: () => ksock.waitWritable(),
      replier: () => ksock.replier('$.a', () => 'x'),
    };
    for (const call of Object.values(calls)) await refused(call(), 'ECONNRESET');
    expect(ksock.isConnected).toBe(false);
    await ksock.close();
    await refused(ksock.numMessages(), 'EBADF');
  });

  it('onDisconnected is called once.', async () => {
    const told: KbusError[] = [];
    await machine.open({ onDisconnected: (error) => told.push(error) });
    await machine.crash();
    await settled();
    expect(told.map(({ code, call }) => [code, call])).toEqual([['ECONNRESET', 'open']]);
    expect(machine.attempts).toBe(1);
  });

  it('a Ksock that its program closes calls no callback.', async () => {
    const told: KbusError[] = [];
    const ksock = await machine.open({ onDisconnected: (error) => told.push(error) });
    await ksock.close();
    await settled();
    expect(told).toEqual([]);
  });
});

describe('A reconnecting Ksock', () => {
  const QUICK = { minDelay: 1, maxDelay: 1 };

  /** Opens a Ksock; the promises tell when it has reconnected, each time. */
  async function openComingBack(
    options: KsockOptions = {},
  ): Promise<[Ksock, () => Promise<void>, KbusError[], string[]]> {
    const errors: KbusError[] = [];
    const refusals: string[] = [];
    let back = (): void => {};
    let connected = new Promise<void>((resolve) => {
      back = resolve;
    });
    const ksock = await machine.open({
      reconnect: QUICK,
      onDisconnected: (error) => errors.push(error),
      onBindRefused: ({ code }, name) => refusals.push(`${code} '${name}'`),
      ...options,
      onConnected: (it) => {
        options.onConnected?.(it);
        back();
      },
    });
    const isBack = async (): Promise<void> => {
      await connected;
      connected = new Promise<void>((resolve) => {
        back = resolve;
      });
    };
    return [ksock, isBack, errors, refusals];
  }

  it('has a new id, and its bindings and settings before onConnected is called.', async () => {
    await machine.open();
    let seen: Promise<unknown> = Promise.resolve();
    const [ksock, isBack, errors] = await openComingBack({
      onConnected: (it) => {
        seen = Promise.all([it.readBindings(), it.maxMessages(), it.wantMessagesOnce()]);
      },
    });
    expect(ksock.id).toBe(2);
    await ksock.bind('$.a');
    await ksock.bind('$.a');
    await ksock.bind('$.b', true);
    await ksock.bind('$.gone');
    await ksock.unbind('$.gone');
    await failed(ksock.bind('$.b', true));
    await ksock.setMaxMessages(7);
    await ksock.wantMessagesOnce(true);
    await machine.crash();
    expect(ksock.isConnected).toBe(false);
    machine.start();
    await isBack();
    expect([ksock.id, ksock.isConnected]).toEqual([1, true]);
    const [bindings, limit, once] = (await seen) as [{ name: string }[], number, boolean];
    expect(bindings.map(({ name }) => name)).toEqual(['$.b', '$.a', '$.a']);
    expect([limit, once]).toEqual([7, true]);
    expect(errors[0]?.code).toBe('ECONNRESET');
    for (const { code } of errors.slice(1)) expect(code).toBe('ENOENT');
  });

  it('restores the settings of the bus that it made, except those that it turned off again.', async () => {
    const [ksock, isBack] = await openComingBack();
    const replier = await machine.open();
    await replier.bind('$.before', true);
    await ksock.setMaxMessageSize(5000);
    await ksock.setMaxMessageSize(1);
    await ksock.setMaxMessageSize(0);
    await ksock.reportReplierBinds(true);
    await ksock.verbose(true);
    await ksock.verbose(false);
    expect((await readAll(ksock)).length).toBe(1);
    await machine.crash();
    let other = ksock;
    await machine.startWith(async (host) => {
      other = await host.open();
      await other.verbose(true);
      await other.bind('$.b', true);
    });
    await isBack();
    expect(await other.maxMessageSize()).toBe(5000);
    expect(await other.reportReplierBinds()).toBe(true);
    expect(await other.verbose()).toBe(true);
    // A program that depends on the reports gets one of each existing Replier.
    expect(
      (await readAll(ksock)).map((event) => splitReplierBindEventData(event.data).name),
    ).toEqual(['$.b']);
    await other.close();
  });

  it('reconnects even if the bus refuses its settings, and reports that.', async () => {
    const [ksock, isBack] = await openComingBack();
    const errors = vi.spyOn(console, 'error').mockImplementation(() => {});
    await ksock.setMaxMessages(1);
    await ksock.setMaxMessageSize(5000);
    await ksock.reportReplierBinds(true);
    await machine.crash();
    let other = ksock;
    await machine.startWith(
      async (host) => {
        other = await host.open();
        await other.bind('$.a', true);
        await other.bind('$.b', true);
      },
      { maxMessageSize: 1000, absoluteMaxMessageSize: 2000 },
    );
    await isBack();
    expect(errors.mock.calls).toEqual([
      [
        expect.stringMatching(
          /^kbus: EBUSY \(16\): report Replier binds again: .*reporting is on$/,
        ),
      ],
      [
        expect.stringMatching(
          /^kbus: EINVAL \(22\): set the maximum message size to 5000 again: a maximum size is/,
        ),
      ],
    ]);
    errors.mockRestore();
    expect(await other.maxMessageSize()).toBe(1000);
    expect(await other.reportReplierBinds()).toBe(true);
    await other.close();
  });

  it('restores reports that are on in spite of EBUSY.', async () => {
    const [ksock, isBack] = await openComingBack();
    await ksock.setMaxMessages(1);
    await ksock.bind('$.a', true);
    await ksock.bind('$.b', true);
    await refused(ksock.reportReplierBinds(true), 'EBUSY');
    await machine.crash();
    machine.start();
    await isBack();
    expect(await ksock.reportReplierBinds()).toBe(true);
  });

  it('reconnects again and again.', async () => {
    const [ksock, isBack] = await openComingBack();
    await ksock.bind('$.a');
    for (let round = 0; round < 3; round++) {
      await machine.crash();
      machine.start();
      await isBack();
      await ksock.sendMsg(new Announcement('$.a', String(round)));
      expect((await next(ksock)).text()).toBe(String(round));
    }
  });

  it('sends no message again.', async () => {
    const [ksock, isBack] = await openComingBack();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    const asked = failed(ksock.request('$.a'));
    await ksock.sendMsg(new Request('$.a'));
    await machine.crash();
    const host = machine.start();
    const listener = await host.open();
    await listener.bind('$.*');
    await listener.bind('$.a', true);
    await isBack();
    await ksock.sendMsg(new Announcement('$.after'));
    expect((await readAll(listener)).map(({ name }) => name)).toEqual(['$.after']);
    expect(((await asked) as StatusError).code).toBe('STATUS');
    await listener.close();
  });

  it('reads the Statuses for its Requests before messages of the new connection.', async () => {
    const [ksock, isBack] = await openComingBack();
    const replier = await machine.open();
    await replier.bind('$.a', true);
    await ksock.bind('$.News');
    const ids = [await ksock.sendMsg(new Request('$.a')), await ksock.sendMsg(new Request('$.a'))];
    await machine.crash();
    const host = machine.start();
    await isBack();
    const sender = await host.open();
    await sender.sendMsg(new Announcement('$.News', 'news'));
    expect(await ksock.numMessages()).toBe(3);
    expect(statuses([await next(ksock)])).toEqual([[BUS_GONE_AWAY, String(ids[0])]]);
    expect(await ksock.numMessages()).toBe(2);
    const got: Message[] = [];
    for await (const message of ksock) if (got.push(message) === 2) break;
    expect(statuses(got)[0]).toEqual([BUS_GONE_AWAY, String(ids[1])]);
    expect(got[1]?.text()).toBe('news');
    await sender.close();
  });

  it('waiting reads go on.', async () => {
    const [ksock, isBack] = await openComingBack();
    await ksock.bind('$.a');
    const waiting = ksock.waitForMsg();
    await machine.crash();
    const whileAway = ksock.waitForMsg({ timeout: 1e6 });
    const host = machine.start();
    await isBack();
    const sender = await host.open();
    await sender.sendMsg(new Announcement('$.a', '1'));
    await sender.sendMsg(new Announcement('$.a', '2'));
    const got = [(await waiting)?.text(), (await whileAway)?.text()];
    expect(got.sort()).toEqual(['1', '2']);
    await sender.close();
  });

  it('loops and handlers go on.', async () => {
    const [looping, isLoopingBack] = await openComingBack();
    const [handling, isHandlingBack] = await openComingBack();
    await looping.bind('$.a');
    const heard: string[] = [];
    const loop = (async () => {
      for await (const message of looping) if (heard.push(message.text()) === 2) break;
    })();
    await handling.replier('$.Ask', () => 'answered');
    await looping.sendMsg(new Announcement('$.a', 'before'));
    await settled();
    await machine.crash();
    const host = machine.start();
    await Promise.all([isLoopingBack(), isHandlingBack()]);
    const other = await host.open();
    await other.sendMsg(new Announcement('$.a', 'after'));
    await loop;
    expect(heard).toEqual(['before', 'after']);
    expect((await other.request('$.Ask')).text()).toBe('answered');
    await other.close();
  });

  it('drops the Reply of a handler to a Request of the lost connection: its id may be that of another Request now.', async () => {
    const first = await machine.open();
    const [replier, isBack] = await openComingBack();
    const handled: ((answer: string) => void)[] = [];
    await replier.replier('$.a', () => new Promise<string>((resolve) => handled.push(resolve)));
    const before = failed(first.request('$.a'));
    while (handled.length < 1) await settled();
    await machine.crash();
    expect(((await before) as StatusError).status.name).toBe(BUS_GONE_AWAY);
    const host = machine.start();
    const second = await host.open();
    expect(second.id).toBe(first.id);
    await isBack();
    const after = second.request('$.a');
    while (handled.length < 2) await settled();
    expect(await second.lastMsgId()).toEqual(new MessageId(0, 1));
    handled[0]?.('to the first');
    await settled();
    handled[1]?.('to the second');
    expect((await after).text()).toBe('to the second');
    await second.close();
  });

  it('drops the error of a handler to a Request of the lost connection.', async () => {
    const first = await machine.open();
    const [replier, isBack] = await openComingBack();
    const handled: PromiseWithResolvers<string>[] = [];
    await replier.replier('$.a', () => {
      const answer = withResolvers<string>();
      handled.push(answer);
      return answer.promise;
    });
    const before = failed(first.request('$.a'));
    while (handled.length < 1) await settled();
    await machine.crash();
    await before;
    const second = await machine.start().open();
    await isBack();
    const after = second.request('$.a');
    while (handled.length < 2) await settled();
    handled[0]?.reject(new Error('too late'));
    await settled();
    handled[1]?.resolve('in time');
    expect((await after).text()).toBe('in time');
    await second.close();
  });

  it.for<[string, (ksock: Ksock, reply: Message) => Promise<unknown>]>([
    ['sendMsg', (ksock, reply) => ksock.sendMsg(reply)],
    ['sendMsg that waits', (ksock, reply) => ksock.sendMsg(reply, { wait: true })],
    ['writeMsg and send', (ksock, reply) => ksock.writeMsg(reply).then(() => ksock.send())],
    ['post and flush', (ksock, reply) => ksock.post(reply) ?? ksock.flush()],
  ])(
    'refuses a Reply to a Request of the lost connection, with EADDRNOTAVAIL: %s.',
    async ([, send]) => {
      const first = await machine.open();
      const [replier, isBack] = await openComingBack();
      await replier.bind('$.a', true);
      await first.sendMsg(new Request('$.a', 'old'));
      const old = await next(replier);
      await machine.crash();
      const host = machine.start();
      const second = await host.open();
      await isBack();
      await second.sendMsg(new Request('$.a', 'new'));
      const request = await next(replier);
      expect([request.id, request.from]).toEqual([old.id, old.from]);
      for (const stale of [replyTo(old), replyTo(old.cast())]) {
        await refused(send(replier, stale), 'EADDRNOTAVAIL');
      }
      expect(await replier.numUnrepliedTo()).toBe(1);
      await send(replier, replyTo(request, 'answered'));
      expect((await next(second)).text()).toBe('answered');
      await second.close();
    },
  );

  it('refuses a stateful Request to a Replier of the lost connection, even if another Ksock has its id now.', async () => {
    const replier = await machine.open();
    await replier.replier('$.a', () => 'I am');
    const [requester, isBack] = await openComingBack();
    const reply = await requester.request('$.a');
    expect((await requester.request(statefulRequest(reply, '$.a'))).text()).toBe('I am');
    await replier.close();
    await machine.crash();
    const host = machine.start();
    const another = await host.open();
    await another.replier('$.a', () => 'I am another');
    await isBack();
    expect(another.id).toBe(replier.id);
    const again = statefulRequest(reply, '$.a');
    await refused(requester.request(again), 'EPIPE');
    await refused(requester.request(statefulRequest(again, '$.a')), 'EPIPE');
    expect((await requester.request('$.a')).text()).toBe('I am another');
    await another.close();
  });

  it('forwards messages of the lost connection: they are no Replies.', async () => {
    const [ksock, isBack] = await openComingBack();
    await ksock.bind('$.a');
    await ksock.sendMsg(new Announcement('$.a', 'read'));
    const read = await next(ksock);
    await machine.crash();
    machine.start();
    await isBack();
    await ksock.sendMsg(read);
    expect(await readTexts(ksock)).toEqual(['read']);
  });

  it('loses a message that waited to be sent: the Ksock is not sending any more.', async () => {
    const [ksock, isBack] = await openComingBack();
    const listener = await machine.open();
    await listener.bind('$.a');
    await fill(listener, ksock);
    await refused(ksock.sendMsg(new Announcement('$.a', 'lost', WAITS)), 'EAGAIN');
    await machine.crash();
    machine.start();
    await isBack();
    await refused(ksock.send(), 'ENOMSG');
    await ksock.bind('$.a');
    await ksock.sendMsg(new Announcement('$.a', 'sent'));
    expect(await readTexts(ksock)).toEqual(['sent']);
  });

  it('refuses calls while it is disconnected (ECONNRESET); waits end after their timeout.', async () => {
    const [ksock] = await openComingBack();
    await machine.crash();
    await refused(ksock.sendMsg(new Announcement('$.a')), 'ECONNRESET');
    await refused(ksock.bind('$.a'), 'ECONNRESET');
    await refused(ksock.readNextMsg(), 'ECONNRESET');
    expect(await ksock.waitForMsg({ timeout: 1 })).toBeNull();
    const controller = new AbortController();
    const waiting = failed(ksock.waitForMsg({ signal: controller.signal }));
    await settled();
    controller.abort('enough');
    expect(await waiting).toBe('enough');
  });

  it('reports a name that another program has bound meanwhile, restores all others, and retries that one.', async () => {
    const [ksock, isBack, , refusals] = await openComingBack();
    await ksock.bind('$.free', true);
    await ksock.bind('$.taken', true);
    await machine.crash();
    const host = machine.start();
    const thief = await host.open();
    await thief.bind('$.taken', true);
    await isBack();
    expect(await thief.findReplier('$.taken')).toBe(thief.id);
    expect(await thief.findReplier('$.free')).toBe(ksock.id);
    expect(refusals).toEqual(["EADDRINUSE '$.taken'"]);
    await thief.unbind('$.taken', true);
    while ((await thief.findReplier('$.taken')) !== ksock.id) await settled();
    await ksock.unbind('$.taken', true);
    expect(await thief.findReplier('$.taken')).toBe(null);
    await thief.close();
  });

  it('ends all calls when it is closed while disconnected, and does not reconnect.', async () => {
    const [ksock] = await openComingBack();
    await machine.crash();
    const waits = [ksock.waitForMsg(), ksock.waitForMsg({ timeout: 1e6 })].map((wait) =>
      refused(wait, 'EBADF'),
    );
    const loop = (async () => {
      for await (const _message of ksock) expect.fail('there is none');
    })();
    await settled();
    await ksock.close();
    await Promise.all(waits);
    await loop;
    const { attempts } = machine;
    const host = machine.start();
    for (let at = 0; at < 10; at++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(machine.attempts).toBe(attempts);
    expect(host.ends).toEqual([]);
    await refused(ksock.numMessages(), 'EBADF');
  });

  it('may be closed in onDisconnected.', async () => {
    const ksock: Ksock = await machine.open({
      reconnect: QUICK,
      onDisconnected: () => void ksock.close(),
    });
    await machine.crash();
    const { attempts } = machine;
    for (let at = 0; at < 5; at++) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(machine.attempts).toBe(attempts);
  });

  it('retries soon, then with longer and longer pauses.', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const ksock = await machine.open({ reconnect: true });
      await machine.crash();
      const pauses: number[] = [];
      const start = machine.attempts;
      for (let seen = start, waited = 0; pauses.length < 8; waited += 10) {
        if (machine.attempts > seen) {
          pauses.push(waited);
          seen = machine.attempts;
          waited = 0;
        }
        await vi.advanceTimersByTimeAsync(10);
      }
      // A random part of up to a half of each pause is taken off.
      for (const [at, pause] of [50, 100, 200, 400, 800, 1600, 2000, 2000].entries()) {
        expect(pauses[at]).toBeGreaterThanOrEqual(pause / 2);
        expect(pauses[at]).toBeLessThanOrEqual(pause + 10);
      }
      await ksock.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it('waits for the first daemon, too, until its signal aborts.', async () => {
    machine.host = null;
    const controller = new AbortController();
    const givenUp = failed(machine.open({ reconnect: QUICK, signal: controller.signal }));
    const errors: KbusError[] = [];
    const opening = machine.open({
      reconnect: QUICK,
      onDisconnected: (error) => errors.push(error),
    });
    while (errors.length < 3) await new Promise((resolve) => setTimeout(resolve, 1));
    const reason = new Error('enough');
    controller.abort(reason);
    expect(await givenUp).toBe(reason);
    machine.start();
    expect((await opening).isConnected).toBe(true);
    expect(errors[0]?.code).toBe('ENOENT');
  });

  it('does not restore names that were unbound, or whose handlers stopped, while it was disconnected.', async () => {
    const [ksock, isBack] = await openComingBack();
    const handling = await ksock.listener('$.a', () => {});
    await ksock.bind('$.b');
    await ksock.bind('$.c');
    await machine.crash();
    await handling.stop();
    await ksock.unbind('$.b');
    await refused(ksock.unbind('$.never'), 'ECONNRESET');
    machine.start();
    await isBack();
    expect((await ksock.readBindings()).map(({ name }) => name)).toEqual(['$.c']);
  });

  it('prints what a callback throws, and goes on.', async () => {
    const told = vi.spyOn(console, 'error').mockImplementation(() => {});
    const throws = (): never => {
      throw new Error('thrown by a callback');
    };
    const ksock = await machine.open({
      reconnect: QUICK,
      onConnected: throws,
      onDisconnected: throws,
    });
    await ksock.bind('$.a');
    await machine.crash();
    const waits = ksock.waitForMsg();
    const sender = await machine.start().open();
    while (!ksock.isConnected) await settled();
    await sender.sendMsg(new Announcement('$.a', 'after'));
    expect((await waits)?.text()).toBe('after');
    expect(told.mock.calls.length).toBeGreaterThanOrEqual(2);
    told.mockRestore();
    await sender.close();
  });

  it.for([
    { minDelay: 0 },
    { minDelay: -1 },
    { minDelay: Number.NaN },
    { minDelay: 2 ** 31 },
    { minDelay: 10, maxDelay: 9 },
    { minDelai: 10 },
    5,
  ])('is not opened with wrong delays: %j', async (reconnect) => {
    expect(await failed(machine.open({ reconnect: reconnect as never }))).toBeInstanceOf(TypeError);
  });

  it('a program with onDisconnected is not ended by its handlers.', async () => {
    const errors: KbusError[] = [];
    const ksock = await machine.open({ onDisconnected: (error) => errors.push(error) });
    await ksock.listener('$.a', () => {});
    await machine.crash();
    await settled();
    expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining('lost')]);
  });

  it('does not reconnect by default.', async () => {
    const ksock = await machine.open();
    await machine.crash();
    machine.start();
    await settled();
    expect(machine.attempts).toBe(1);
    await refused(ksock.sendMsg(new Announcement('$.a')), 'ECONNRESET');
  });
});

describe('Handlers whose connection is lost', () => {
  it('end the program with an uncaught exception if it has no callback for that.', async () => {
    const theirs = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    try {
      const heard = new Promise((resolve) => process.once('uncaughtException', resolve));
      const ksock = await machine.open();
      await ksock.listener('$.a', () => {});
      await machine.crash();
      expect(await heard).toMatchObject({ code: 'ECONNRESET', call: 'read' });
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of theirs) process.on('uncaughtException', listener);
    }
  });
});

describe('A printed Ksock', () => {
  it('shows its bus, its current id and its mode.', async () => {
    let back = (): void => {};
    const isBack = new Promise<void>((resolve) => {
      back = resolve;
    });
    await machine.open();
    const ksock = await machine.open({ mode: 'r', reconnect: { minDelay: 1 }, onConnected: back });
    expect(String(ksock)).toBe('Ksock device 0, id 2, mode read');
    expect(inspect(ksock)).toBe('<Ksock device 0, id 2, mode read>');
    await machine.crash();
    machine.start();
    await isBack;
    expect(String(ksock)).toBe('Ksock device 0, id 1, mode read');
  });
});
