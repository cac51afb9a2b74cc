import { describe, expect, it } from 'vitest';
import { Ksock } from '../../src/client/ksock.ts';
import type { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import {
  Announcement,
  Message,
  Reply,
  Request,
  replyTo,
  statefulRequest,
} from '../../src/message/message.ts';
import { next } from '../conformance/reading.ts';
import { FrameHost } from '../support/frame-host.ts';
import { failed, refused } from '../support/refused.ts';
import { everywhere } from './everywhere.ts';

/** JavaScript programs may pass any value. */
type Any = never;

/** Who other Ksocks are, as the tests of test/bus/identity.test.ts check it. */
const IDENTITY = / \('[^']*', process \d+(?: of user \d+)?, as it says\)/g;

/** The text of an error, without that. */
const says = async (call: Promise<unknown>): Promise<string> =>
  ((await failed(call)) as KbusError).message.replaceAll(IDENTITY, '');

everywhere('The text of a refusal says for', (stage) => {
  it('ENOLCK how full the queue of the sender is.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    await requester.bind('$.News');
    await requester.setMaxMessages(3);
    await requester.sendMsg(new Request('$.Ask'));
    await replier.sendMsg(new Announcement('$.News'));
    await replier.sendMsg(new Announcement('$.News'));
    expect(await says(requester.sendMsg(new Request('$.Ask')))).toBe(
      "ENOLCK (37): send Request '$.Ask': your queue on bus 0 is full: 2 unread and 1 unanswered of 3; read, or raise the limit with setMaxMessages()",
    );
  });

  it('EBUSY whose queue is full, and how full.', async () => {
    const [requester, replier, listener] = [
      await stage.open(),
      await stage.open(),
      await stage.open(),
    ];
    await replier.bind('$.Ask.*', true);
    await listener.bind('$.News');
    await replier.setMaxMessages(1);
    await listener.setMaxMessages(2);
    await requester.sendMsg(new Request('$.Ask.Me'));
    expect(await says(requester.request('$.Ask.Me', '', { wait: false }))).toBe(
      `EBUSY (16): send Request '$.Ask.Me': the queue of Ksock ${replier.id}, which replies to '$.Ask.*', is full: 1 unread and 0 unanswered of 1; try again when it has read, or wait with ALL_OR_WAIT`,
    );
    await requester.sendMsg(new Announcement('$.News'));
    await requester.sendMsg(new Announcement('$.News'));
    const all = new Announcement('$.News', '', { flags: Flag.ALL_OR_FAIL });
    const full = `the queue of Ksock ${listener.id}, which listens to '$.News', is full: 2 unread and 0 unanswered of 2`;
    expect(await says(requester.sendMsg(all))).toBe(
      `EBUSY (16): send Announcement '$.News': ${full}; try again when it has read, or wait with ALL_OR_WAIT`,
    );
    const posted = async (): Promise<void> => {
      await requester.post(all);
      await requester.flush();
    };
    expect(await says(posted())).toContain(full);
    const waits = new Announcement('$.News', '', { flags: Flag.ALL_OR_WAIT });
    const waiting = `${full}; the message waits: send() again, wait until it is sent, or discard() it`;
    expect(await says(requester.sendMsg(waits))).toBe(
      `EAGAIN (11): send Announcement '$.News': ${waiting}`,
    );
    expect(await says(requester.send())).toBe(`EAGAIN (11): send again: ${waiting}`);
  });

  it('EADDRNOTAVAIL which name has no Replier, and a similar name that has one.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    expect(await says(requester.request('$.Coin.Toss'))).toBe(
      "EADDRNOTAVAIL (99): send Request '$.Coin.Toss': nobody replies to '$.Coin.Toss' on bus 0",
    );
    await replier.bind('$.Coin.Toss', true);
    await replier.bind('$.Sensor.7', true);
    await replier.bind('$.Sensors.*', true);
    await replier.bind('$.Listened');
    const meant = async (name: string): Promise<string | undefined> =>
      /did you mean '(.*)'\?$/.exec(await says(requester.request(name)))?.[1];
    expect(await meant('$.Coin.Tos')).toBe('$.Coin.Toss');
    expect(await meant('$.coin.toss')).toBe('$.Coin.Toss');
    expect(await meant('$.Sensor.8')).toBeUndefined();
    expect(await meant('$.Listene')).toBeUndefined();
    expect(await meant('$.Quite.Another')).toBeUndefined();
    expect(await meant(`$.${'Coin'.repeat(50)}`)).toBeUndefined();
    const posted = async (): Promise<void> => {
      await requester.post(new Request('$.Coin.Tos'));
      await requester.flush();
    };
    expect(await says(posted())).toContain("did you mean '$.Coin.Toss'?");
  });

  it('EADDRNOTAVAIL that the requester has closed.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    await requester.sendMsg(new Request('$.Ask'));
    const request = await next(replier);
    await requester.close();
    expect(await says(replier.sendMsg(replyTo(request)))).toBe(
      `EADDRNOTAVAIL (99): send Reply '$.Ask' to ${request.from}: Ksock ${request.from}, which the Reply is for, is not open on bus 0 any more`,
    );
  });

  it('EPIPE which Replier the Request addresses, and which one is bound now.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    const request = new Request('$.Ask', '', { to: requester.id });
    expect(await says(requester.sendMsg(request))).toBe(
      `EPIPE (32): send Request '$.Ask' to ${requester.id}: Ksock ${requester.id}, which the Request is for, is not the Replier of '$.Ask' on bus 0: Ksock ${replier.id} is`,
    );
  });

  it('ECONNREFUSED why the Reply is not wanted.', async () => {
    const [requester, replier, other] = [
      await stage.open(),
      await stage.open(),
      await stage.open(),
    ];
    await replier.bind('$.Ask', true);
    const id = await requester.sendMsg(new Request('$.Ask'));
    const request = await next(replier);
    const refusal = `ECONNREFUSED (111): send Reply '$.Ask' to ${requester.id}: `;
    expect(await says(other.sendMsg(replyTo(request)))).toBe(
      `${refusal}Request ${id} of Ksock ${requester.id} was given to Ksock ${replier.id}, so Ksock ${other.id} can't answer it`,
    );
    await replier.sendMsg(replyTo(request));
    expect(await says(replier.sendMsg(replyTo(request)))).toBe(
      `${refusal}Ksock ${requester.id} does not wait for a Reply to Request ${id}: it has had one, has given up, or never sent it`,
    );
  });

  it('EMSGSIZE the size, the limit, and how to raise it.', async () => {
    const [requester, replier] = [await stage.open(), await stage.open()];
    await replier.bind('$.Ask', true);
    const tooLarge = new Announcement('$.News', new Uint8Array(16 * 1024 * 1024));
    expect(await says(requester.sendMsg(tooLarge))).toMatch(
      /^EMSGSIZE \(90\): send Announcement '\$\.News': the message has 16777316 bytes(, and bus 0 takes 16777216 at most|; the longest frame of this daemon has 16777280) \(absolute-max-message-size\)$/,
    );
    await requester.setMaxMessageSize(280);
    expect(await says(requester.sendMsg(new Announcement('$.News', new Uint8Array(200))))).toBe(
      "EMSGSIZE (90): send Announcement '$.News': the message has 300 bytes, and bus 0 takes 280 at most; setMaxMessageSize() raises that, up to 16777216",
    );
    await requester.sendMsg(new Request('$.Ask'));
    expect(await says(replier.sendMsg(replyTo(await next(replier), 'x'.repeat(200))))).toContain(
      'the Reply has 300 bytes, and bus 0 takes 280 at most',
    );
  });

  it('EINVAL which parts of the message contradict each other.', async () => {
    const ksock = await stage.open();
    const both = Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL;
    for (const [message, fault] of [
      [new Announcement(''), 'the name of the message is empty'],
      [
        new Announcement('$.a', '', { flags: both }),
        'the message has both ALL_OR_WAIT and ALL_OR_FAIL',
      ],
      [
        new Message('$.a', '', { flags: Flag.WANT_A_REPLY, inReplyTo: new MessageId(0, 1) }),
        'the message is both a Reply (in_reply_to is set) and a Request (WANT_A_REPLY)',
      ],
    ] as const) {
      expect((await refused(ksock.sendMsg(message), 'EINVAL')).meaning).toBe(fault);
    }
  });

  it('a name that it is too long, empty, or KBUS’s own, or which Ksock has it.', async () => {
    const [ksock, other] = [await stage.open(), await stage.open()];
    const long = `$.${'a'.repeat(1999)}`;
    const tooLong = 'the name has 2001 characters, the limit is 1000';
    for (const call of [
      () => ksock.bind(long),
      () => ksock.unbind(long),
      () => ksock.findReplier(long),
      () => ksock.sendMsg(new Announcement(long)),
    ]) {
      expect((await refused(call(), 'ENAMETOOLONG')).meaning).toBe(tooLong);
    }
    expect((await refused(ksock.findReplier(''), 'ENAMETOOLONG')).meaning).toBe(
      'the name is empty',
    );
    for (const replier of [false, true]) {
      expect((await refused(ksock.bind('', replier), 'EBADMSG')).meaning).toBe(
        "the name can't be bound: it is empty",
      );
    }
    await other.bind('$.Ask', true);
    expect(await says(ksock.bind('$.Ask', true))).toBe(
      `EADDRINUSE (98): bind '$.Ask' as Replier: Ksock ${other.id} replies to '$.Ask' on bus 0 already, and a name can have only one Replier`,
    );
    expect(await says(other.bind('$.Ask', true))).toContain(
      ": this Ksock itself replies to '$.Ask' on bus 0 already",
    );
    expect(await says(ksock.bind('$.KBUS.ReplierBindEvent', true))).toBe(
      "EBADMSG (74): bind '$.KBUS.ReplierBindEvent' as Replier: KBUS itself sends '$.KBUS.ReplierBindEvent', so no Ksock can be its Replier",
    );
  });

  it('EAGAIN of a bind whose queue is full.', async () => {
    const [ksock, listener] = [await stage.open(), await stage.open()];
    await listener.bind('$.KBUS.ReplierBindEvent');
    await listener.setMaxMessages(1);
    await ksock.reportReplierBinds(true);
    await ksock.bind('$.a', true);
    const full = `Replier binds are being reported, and the queue of Ksock ${listener.id}, which listens to '$.KBUS.ReplierBindEvent', is full: 1 unread and 0 unanswered of 1; try again when it has read`;
    expect(await says(ksock.bind('$.b', true))).toBe(`EAGAIN (11): bind '$.b' as Replier: ${full}`);
    expect(await says(ksock.unbind('$.a', true))).toBe(
      `EAGAIN (11): unbind '$.a' as Replier: ${full}`,
    );
  });

  it('a closed Ksock that it is closed, whether it had handlers or not.', async () => {
    const ksock = await stage.open();
    await ksock.listener('$.a', () => {});
    await ksock.close();
    for (const call of [
      () => ksock.bind('$.b'),
      () => ksock.readNextMsg(),
      () => ksock.waitForMsg(),
      () => ksock.sendMsg(new Announcement('$.a')),
      () => ksock.request('$.a'),
      () => ksock.listener('$.c', () => {}),
    ]) {
      expect((await refused(call(), 'EBADF')).meaning).toBe('this Ksock is closed');
    }
  });
});

describe('Over a connection,', () => {
  it('only the first refusals of a flood have a reason; the others have only their number.', async () => {
    const host = new FrameHost();
    const requester = await host.open();
    const all = Array.from({ length: 500 }, () => says(requester.request('$.Nobody')));
    const told = (await Promise.all(all)).map((message) => message.endsWith('on bus 0'));
    expect(told[0]).toBe(true);
    expect(told.filter((isExplained) => isExplained).length).toBeLessThan(500);
    // Later refusals have a reason again.
    expect(await says(requester.request('$.Nobody'))).toContain(
      "nobody replies to '$.Nobody' on bus 0",
    );
    await host.close();
  });

  it('the errors of a reconnected Ksock name a lost Replier and a lost requester.', async () => {
    const host = new FrameHost();
    let isBack = (): void => {};
    const back = new Promise<void>((resolve) => {
      isBack = resolve;
    });
    const lost: string[] = [];
    const ksock = await host.open({
      reconnect: { minDelay: 1, maxDelay: 1 },
      onConnected: () => isBack(),
      onDisconnected: (error) => lost.push(error.message),
    });
    await ksock.bind('$.Ask', true);
    await ksock.sendMsg(new Request('$.Ask'));
    const request = await next(ksock);
    host.ends[0]?.break();
    await back;
    expect(lost[0]).toBe(
      'ECONNRESET (104): lost bus 0: the bus has gone away: its daemon ended, or ended this connection',
    );
    expect(await says(ksock.sendMsg(replyTo(request)))).toContain(
      'Ksock 1 sent the Request on a connection that has been lost since, and knows that it failed',
    );
    const reply = new Reply('$.Ask', '', { inReplyTo: request.id, to: 1 });
    reply.from = 1;
    reply.connection = request.connection as object;
    expect(await says(ksock.sendMsg(statefulRequest(reply, '$.Ask')))).toContain(
      'Ksock 1 was the Replier on a connection that has been lost since',
    );
    await host.close();
  });
});

describe('The error of Ksock.open', () => {
  it.for<[unknown, string]>([
    [-1, 'open bus -1: a bus number is a whole number from 0 to 4294967295'],
    [1.5, 'open bus 1.5: a bus number is a whole number from 0 to 4294967295'],
    [
      '0',
      "open bus '0': give the number of a bus, a Bus of this process, or a transport, not a string",
    ],
    [
      null,
      'open bus null: give the number of a bus, a Bus of this process, or a transport, not null',
    ],
    [{}, 'open bus {}: give the bus first, then the options: Ksock.open(0, { ... })'],
    [
      { mode: 'r', reconnect: true },
      'open bus { mode, reconnect }: give the bus first, then the options: Ksock.open(0, { ... })',
    ],
  ])('says what to give instead of %j.', async ([where, text]) => {
    expect(await says(Ksock.open(where as Any))).toBe(`EINVAL (22): ${text}`);
  });

  it('names the modes.', async () => {
    expect(await says(Ksock.open(0, { mode: 'w' as Any }))).toBe(
      "EINVAL (22): open a Ksock with mode \"w\": the mode is 'r', to read only, or 'rw', to write too",
    );
  });
});
