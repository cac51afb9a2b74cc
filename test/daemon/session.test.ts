import { beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { Op, type OpCode } from '../../src/bus/calls.ts';
import type { BindingReport, KsockReport } from '../../src/bus/report.ts';
import { MAX_PENDING_BYTES, MAX_PENDING_SENDS, MAX_WAITING } from '../../src/daemon/session.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Message, Request } from '../../src/message/message.ts';
import { PROTOCOL_MAGIC, PROTOCOL_VERSION, SendDetail } from '../../src/wire/frames.ts';
import { type Frame, frame, frameText, hello, messageBody, runFrame } from '../support/frames.ts';
import { call, Host, Peer, send } from './peer.ts';

const MEBIBYTE = 1024 * 1024;
let host: Host;
let bus: Bus;
beforeEach(() => {
  host = new Host();
  bus = new Bus({ maxMessages: 100_000 });
});

const open = (mode?: number): Peer => Peer.open(host, bus, mode);
const news = (text = 'x', flags = 0): Announcement => new Announcement('$.News', text, { flags });

/** Expects that the connection has ended with a FAREWELL of EPROTO; gives its text. */
function farewell(peer: Peer): string {
  const last = peer.hear().at(-1) as Frame;
  expect([last?.kind, last?.words[0]]).toEqual(['FAREWELL', Errno.EPROTO]);
  expect(peer.isEnded).toBe(true);
  return frameText(last, 1);
}

describe('The first frames', () => {
  it('HELLO is answered by WELCOME, which tells the limits.', () => {
    const peer = new Peer(host, bus);
    peer.say(hello());
    const [welcome] = peer.hear() as [Frame];
    expect([welcome.kind, ...welcome.words]).toEqual([
      'WELCOME',
      PROTOCOL_MAGIC,
      PROTOCOL_VERSION,
      0,
      1,
      4242,
      MAX_PENDING_SENDS,
      MAX_PENDING_BYTES,
      16 * MEBIBYTE + 64,
    ]);
    expect([...bus.ksocks.values()].map(({ mode, pid }) => [mode, pid])).toEqual([['rw', 77]]);
  });

  it.for([PROTOCOL_VERSION + 1, 0, 0xffff_ffff])(
    'a client of version %i is told so, and so is the log.',
    (version) => {
      const peer = new Peer(host, bus);
      peer.say(hello(3, version));
      const text = farewell(peer);
      expect(text).toBe(
        `the client speaks version ${version} of the protocol, and the daemon version ${PROTOCOL_VERSION}; use the kbus package of the same version for both`,
      );
      expect(host.warnings).toEqual([`bus 0, Ksock -: ${text}`]);
      expect(bus.ksocks.size).toBe(0);
    },
  );

  it.for<[string, Uint8Array]>([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
    ['zeros', Buffer.alloc(64)],
    ['another first frame', call(Op.NUM_MESSAGES, 1)],
    ['another magic', frame('HELLO', { words: [1, PROTOCOL_VERSION, 3, 1] })],
    ['a HELLO of no words', frame('HELLO')],
    ['a HELLO of two words', frame('HELLO', { words: [PROTOCOL_MAGIC, PROTOCOL_VERSION] })],
    ['a HELLO that is too long', frame('HELLO', { body: new Uint8Array(5000) })],
  ])('%s is no client of KBUS: FAREWELL.', ([, bytes]) => {
    const peer = new Peer(host, bus);
    peer.say(bytes);
    expect(farewell(peer)).not.toBe('');
    expect(bus.ksocks.size).toBe(0);
    expect(host.warnings).toHaveLength(1);
  });

  it('who only asks who answers is told, and is no Ksock.', () => {
    const peer = new Peer(host, bus);
    peer.say(hello(0), call(Op.NUM_MESSAGES, 1));
    const [welcome, ...more] = peer.hear() as [Frame];
    expect([welcome.kind, welcome.words[3], welcome.words[4]]).toEqual(['WELCOME', 0, 4242]);
    expect(more).toEqual([]);
    expect(peer.isEnded).toBe(true);
    expect(bus.ksocks.size).toBe(0);
    expect(bus.nextKsockId).toBe(1);
  });

  it('what comes with it in one chunk is carried out.', () => {
    const peer = new Peer(host, bus);
    peer.say(hello(1), call(Op.BIND, 1, 0, '$.a'), send(news(), 2));
    const [welcome, bound, refused] = peer.hear() as [Frame, Frame, Frame];
    expect([welcome.kind, bound.kind]).toEqual(['WELCOME', 'RESULT']);
    expect([refused.kind, refused.detail, refused.words[0]]).toEqual(['REFUSED', 1, Errno.EBADF]);
  });

  it('a connection that ends before it was a Ksock leaves nothing.', () => {
    const peer = new Peer(host, bus);
    peer.session.received(hello(), 0, 10);
    peer.session.closed();
    expect(bus.ksocks.size).toBe(0);
    expect(peer.hear()).toEqual([]);
  });
});

describe('A malformed frame', () => {
  const lying = (at: number, word: number): Buffer => {
    const body = messageBody(news('some data'));
    body.writeUInt32BE(word, at);
    return frame('SEND', { token: 1, body });
  };
  const malformed: Record<string, [bytes: Uint8Array, says: string]> = {
    'a second HELLO': [hello(), "a frame of kind 1, which a client doesn't send"],
    'what only a daemon says': [frame('SENT', { words: [1, 0, 1] }), 'a frame of kind 25'],
    'a kind that there is not': [frame(200), 'a frame of kind 200'],
    'a call that there is not': [call(77 as never, 1), 'a call with the unknown number 77'],
    'a call of no words': [frame('CALL', { detail: Op.BIND }), 'has no word 0'],
    'a LEND of no words': [frame('LEND'), 'has no word 0'],
    'a text that is longer than its frame': [
      frame('CALL', { detail: Op.BIND, words: [0, 1000] }),
      'a text of 1000 bytes in a frame of 20',
    ],
    'a length below that of a header': [Buffer.from([0, 0, 0, 4]), 'a frame of 4 bytes'],
    'a length that is no multiple of 4': [Buffer.from([0, 0, 0, 13]), 'a frame of 13 bytes'],
    'a length that is too long': [Buffer.from([0x7f, 0, 0, 0]), 'a frame of 2130706432 bytes'],
    'a SEND of no message': [frame('SEND'), 'a message of 0 bytes is shorter than its header'],
    'a SEND of half a message': [
      frame('SEND', { body: messageBody(news()).subarray(0, 72) }),
      "don't make a message of 72 bytes",
    ],
    'a SEND of a message and more': [
      frame('SEND', { body: Buffer.concat([messageBody(news()), Buffer.alloc(4)]) }),
      "don't make a message",
    ],
    'a wrong start guard': [lying(0, 0), 'a guard of the message header is wrong'],
    'a wrong end guard': [lying(60, 0), 'a guard of the message header is wrong'],
    'a name of no length': [lying(52, 0), 'a name of 0 bytes'],
    'a name that is too long': [lying(52, 1001), 'a name of 1001 bytes'],
    'a name that is longer than it is': [lying(52, 8), "don't make a message"],
    'data longer than there is': [lying(56, 13), "don't make a message"],
    'data of 4294967295 bytes': [lying(56, 0xffff_ffff), "don't make a message"],
    'more handed than were lent': [
      frame('LEND', { handed: 3, words: [0] }),
      '3 messages were handed, of 2 that were lent',
    ],
    'SEEN what was not sent': [frame('SEEN'), 'SEEN what was not sent'],
    'a run of more than may be pending': [
      runFrame('SEND_RUN', news(), ['abcd'], { count: MAX_PENDING_SENDS + 1 }),
      `a run of ${MAX_PENDING_SENDS + 1} messages`,
    ],
    'a run with a wrong guard': [
      runFrame('SEND_RUN', news(), ['abcd']).fill(0, 76, 80),
      'guard of the message header',
    ],
    'a run of messages with ids': [
      runFrame('SEND_RUN', new Announcement('$.a', '', { id: new MessageId(7, 8) }), ['abcd']),
      "with Limpets' ids",
    ],
    "a run of Replies to Limpets' Requests": [
      runFrame('SEND_RUN', new Message('$.a', '', { inReplyTo: new MessageId(7, 8) }), ['abcd']),
      "with Limpets' ids",
    ],
    'a run of Replies past the last serial number': [
      runFrame('SEND_RUN', new Message('$.a', '', { inReplyTo: new MessageId(0, 0xffff_ffff) }), [
        'abcd',
        'efgh',
      ]),
      'a run of 2 Replies, from serial 4294967295 on',
    ],
    'a run whose data are 4294967295 bytes each': [
      runFrame('SEND_RUN', news(), ['abcd']).fill(0xff, 72, 76),
      '4294967295 bytes of data',
    ],
    'a run without a name': [
      frame('SEND_RUN', { words: [1], body: Buffer.alloc(8) }),
      'shorter than its header',
    ],
    'a TAKE under what is lent': [frame('TAKE', { token: 1 }), 'without a RECALL'],
    'an UNBIND under what is lent': [call(Op.UNBIND, 1, 0, '$.News'), 'without a RECALL'],
  };

  it.for(Object.keys(malformed))(
    '%s ends that connection with FAREWELL, and harms nobody else.',
    (what) => {
      const [bytes, says] = malformed[what] as [Uint8Array, string];
      const wrong = open();
      const other = open();
      wrong.bind('$.News');
      wrong.bind('$.Ask', true);
      other.bind('$.News');
      wrong.say(frame('LEND', { words: [10] }));
      other.say(send(news(), 1), send(new Request('$.Ask'), 2));
      expect(wrong.kinds()).toEqual(['LENT', 'LENT']);
      other.hear();
      // What came before it is carried out, and what comes behind it is not.
      wrong.say(send(news('before'), 50), bytes, send(news('behind'), 51));
      expect(farewell(wrong)).toContain(says);
      expect(host.warnings).toHaveLength(1);
      expect(host.warnings[0]).toContain(`bus 0, Ksock 1: `);
      // The Ksock is gone, as it always goes.
      expect([...bus.ksocks.keys()]).toEqual([2]);
      other.say(...[3, 4, 5, 6].map((token) => frame('TAKE', { token })));
      const got = other.hear();
      expect(got.map(({ kind }) => kind)).toEqual(['TAKEN', 'TAKEN', 'TAKEN', 'NONE']);
      expect(got.map(({ body }) => body.toString('latin1')).join()).toContain('before');
      expect(got[2]?.body.toString('latin1')).toContain('$.KBUS.Replier.GoneAway');
      // Nothing more is heard from it, or said to it.
      wrong.say(send(news('later'), 52));
      other.say(send(news('later'), 7));
      wrong.session.drained();
      expect(wrong.hear()).toEqual([]);
      wrong.session.closed();
    },
  );

  it('what is merely refused ends nothing.', () => {
    const peer = open(1);
    peer.say(
      send(news(), 1),
      send(new Announcement('$.bad.*'), 2),
      send(new Announcement('a'), 3),
      call(Op.BIND, 4, 0, 'a'),
      call(Op.CANCEL, 5, 12345),
      call(Op.POLL, 6, 1),
    );
    expect(peer.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([
      ['REFUSED', Errno.EBADF],
      ['REFUSED', Errno.EBADF],
      ['REFUSED', Errno.EBADF],
      ['REFUSED', Errno.EBADMSG],
      ['RESULT', 0],
      ['RESULT', 0],
    ]);
    expect(peer.isEnded).toBe(false);
  });

  it('a bug is no malformed frame: it is not caught.', () => {
    const peer = open();
    bus.verbose(1);
    bus.onLog = () => {
      throw new Error('a bug');
    };
    expect(() => peer.say(send(news(), 1))).toThrow('a bug');
  });
});

describe('A client that does not read', () => {
  it('is not asked for more, is lent no more than so much, and goes on when it reads.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.reads = false;
    reader.say(frame('LEND', { words: [60_000] }));
    const large = news('x'.repeat(60_000));
    for (let token = 1; token <= 60; token++) sender.say(send(large, token));
    expect(sender.hear().every(({ kind }) => kind === 'SENT')).toBe(true);
    expect(reader.isPaused).toBe(true);
    expect(reader.backlog).toBeGreaterThan(MEBIBYTE);
    expect(reader.backlog).toBeLessThan(MEBIBYTE + 200_000);
    const before = reader.hear().length;
    reader.drain();
    expect(reader.isPaused).toBe(false);
    expect(before + reader.hear().length).toBe(60);
  });

  it('what it does not read is unread: its queue is full, and others are told so.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.call(Op.MAX_MESSAGES, 3);
    reader.say(frame('LEND', { words: [100] }));
    for (let token = 1; token <= 3; token++) sender.say(send(news(), token));
    expect(reader.kinds()).toEqual(['LENT', 'LENT', 'LENT']);
    sender.hear();
    sender.say(send(news('x', Flag.ALL_OR_FAIL), 4));
    expect(sender.hear().map(({ words }) => words[0])).toEqual([Errno.EBUSY]);
    reader.say(frame('LEND', { handed: 1, words: [0] }));
    sender.say(send(news('x', Flag.ALL_OR_FAIL), 5));
    expect(sender.kinds()).toEqual(['SENT']);
  });

  it('gets its reports when it reads, and not before.', () => {
    const reader = open();
    for (let at = 0; at < 4000; at++) {
      reader.bind(`$.${'long'.repeat(40)}.${at}`);
    }
    reader.reads = false;
    const calls = Array.from({ length: 20 }, (_, at) => call(Op.BINDINGS, at + 1));
    reader.say(...calls, call(Op.STATS, 21));
    expect(reader.backlog).toBeLessThan(4 * MEBIBYTE);
    const got = reader.hear();
    for (let round = 0; got.length < 21; round++) {
      if (round > 30) expect.fail(`${got.length} reports came`);
      reader.drain();
      got.push(...reader.hear());
    }
    expect(got.map(({ token }) => token)).toEqual(Array.from({ length: 21 }, (_, at) => at + 1));
    expect(JSON.parse(frameText(got[20] as Frame, 2)).device).toBe(0);
  });
});

describe('A client that floods', () => {
  /** Two Ksocks: a listener with a full queue, and a sender whose sends wait for it. */
  function waiting(): Peer {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    listener.call(Op.MAX_MESSAGES, 1);
    sender.say(send(news(), 1));
    sender.hear();
    return sender;
  }

  const waits = (text: string, token: number): Buffer =>
    send(news(text, Flag.ALL_OR_WAIT), token, SendDetail.WAIT);

  it('may have so many sends pending, and not one more.', () => {
    const sender = waiting();
    for (let token = 2; token < MAX_PENDING_SENDS + 2; token++) {
      sender.say(waits(token % 2 === 0 ? 'x' : 'yy', token));
    }
    expect(sender.isEnded).toBe(false);
    sender.say(waits('one more', 99_999));
    expect(farewell(sender)).toContain(`more sends are pending than the ${MAX_PENDING_SENDS}`);
    expect(bus.ksocks.size).toBe(1);
  });

  it('nor may it when they come in one chunk, and are all alike.', () => {
    const sender = waiting();
    const chunk = Array.from({ length: MAX_PENDING_SENDS + 1 }, (_, at) => waits('x', at + 2));
    sender.say(...chunk);
    expect(farewell(sender)).toContain('more sends are pending');
  });

  it('may have so many bytes pending, and not more.', () => {
    const sender = waiting();
    const half = 'x'.repeat(MAX_PENDING_BYTES / 2);
    sender.say(waits(half, 2), waits(half, 3));
    expect(sender.isEnded).toBe(false);
    sender.say(waits('x', 4));
    expect(farewell(sender)).toContain(`the ${MAX_PENDING_BYTES} bytes`);
  });

  it('may have one send pending that is larger than all that.', () => {
    const sender = waiting();
    sender.say(waits('x'.repeat(2 * MAX_PENDING_BYTES), 2));
    expect(sender.isEnded).toBe(false);
    sender.say(waits('x', 3));
    expect(farewell(sender)).toContain('bytes');
  });

  it('what was pending counts no more once it is done, or cancelled.', () => {
    const sender = waiting();
    const half = 'x'.repeat(MAX_PENDING_BYTES / 2);
    for (let round = 0; round < 5; round++) {
      sender.say(
        waits(half, 10),
        waits(half, 11),
        call(Op.CANCEL, 12, 11),
        call(Op.CANCEL, 13, 10),
      );
      expect(sender.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([
        ['REFUSED', Errno.ECANCELED],
        ['RESULT', 0],
        ['REFUSED', Errno.ECANCELED],
        ['RESULT', 0],
      ]);
    }
    expect(sender.isEnded).toBe(false);
  });

  it('may have so many waits, and not one more.', () => {
    const taker = open();
    const many = (kind: () => Buffer): Buffer =>
      Buffer.concat(Array.from({ length: MAX_WAITING }, kind));
    taker.say(many(() => frame('TAKE', { detail: 1, token: 1 })));
    expect(taker.isEnded).toBe(false);
    taker.say(frame('TAKE', { detail: 1, token: 2 }));
    expect(farewell(taker)).toContain(`more calls wait than the ${MAX_WAITING}`);

    const poller = waiting();
    poller.say(
      waits('x', 2),
      many(() => call(Op.POLL, 3, 1)),
    );
    expect(poller.isEnded).toBe(false);
    poller.say(call(Op.POLL, 4, 1));
    expect(farewell(poller)).toContain(`more calls wait than the ${MAX_WAITING}`);
  });
});

describe('What the daemon says', () => {
  it('leaves in one write a turn for each connection.', () => {
    const sender = open();
    const listeners = [open(), open(), open()];
    for (const listener of listeners) {
      listener.bind('$.News');
      listener.say(frame('LEND', { words: [1000] }));
      listener.writes.length = 0;
    }
    sender.writes.length = 0;
    sender.say(...Array.from({ length: 50 }, (_, at) => send(news(`${at % 7}`), at + 1)));
    for (const listener of listeners) {
      expect(listener.writes).toEqual([50]);
      expect(listener.hear().every(({ kind }) => kind === 'LENT')).toBe(true);
    }
    expect(sender.writes).toHaveLength(1);
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, ...words])).toEqual([
      ['SENT', 1, 50, 0, 1],
    ]);
  });

  it('a run of sends that succeeded is one frame; a refusal, or another id, ends it.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    sender.say(
      send(news(), 1),
      send(new Request('$.Nobody'), 2),
      send(news(), 3),
      send(news('another length'), 4),
      send(new Request('$.Ask'), 5, SendDetail.QUIET),
      send(news(), 6),
    );
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, ...words])).toEqual([
      ['SENT', 1, 1, 0, 1],
      ['REFUSED', 2, Errno.EADDRNOTAVAIL, 0, 2],
      ['SENT', 3, 2, 0, 3],
      ['SENT', 6, 1, 0, 6],
    ]);
  });

  it('a run is sent, and lent, as its messages one by one; however its bytes come.', () => {
    const data = ['first', 'other', 'third', 'again'];
    const run = runFrame('SEND_RUN', news(), data, { token: 7 });
    const behind = send(news('behind'), 11);
    for (const pieces of [
      [run.length + behind.length],
      [run.length - 9, 5, 1000],
      Array(200).fill(1),
    ]) {
      const sender = open();
      const [from] = [...bus.ksocks.keys()].slice(-1) as [number];
      const listener = open();
      listener.bind('$.News');
      listener.say(frame('LEND', { words: [100] }));
      const serial = bus.nextSerial;
      const bytes = Buffer.concat([run, behind]);
      for (let at = 0; at < bytes.length; ) {
        const length = pieces.shift() ?? 1;
        sender.say(bytes.subarray(at, at + length));
        at += length;
      }
      const sent = sender.hear().map(({ kind, token, words }) => [kind, token, ...words]);
      expect(sent.every(([kind]) => kind === 'SENT')).toBe(true);
      expect(sent.reduce((sum, [, , count]) => sum + (count as number), 0)).toBe(5);
      expect(sent[0]).toEqual(['SENT', 7, sent[0]?.[2], 0, serial]);
      const expected = [...data, 'behind'].map((text, at) => [
        'LENT',
        0,
        messageBody(
          new Message('$.News', text, {
            id: new MessageId(0, serial + at),
            from,
          }),
        ).toString('latin1'),
      ]);
      const lent = listener.hear();
      expect(lent.map((one) => [one.kind, one.token, one.body.toString('latin1')])).toEqual(
        expected,
      );
      sender.session.closed();
      listener.session.closed();
    }
  });

  it('a run of Requests is asked, and a run of Replies answers, as one by one; however their bytes come.', () => {
    const data = ['ein', 'dos', 'tri', 'fou'];
    for (const size of [1, 90, 1000]) {
      const asker = open();
      const [from] = [...bus.ksocks.keys()].slice(-1) as [number];
      const replier = open();
      replier.bind('$.Ask', true);
      replier.say(frame('LEND', { words: [100] }));
      const serial = bus.nextSerial;
      const say = (peer: Peer, bytes: Buffer): void => {
        for (let at = 0; at < bytes.length; at += size) peer.say(bytes.subarray(at, at + size));
      };
      const detail = SendDetail.ANSWERED | SendDetail.QUIET;
      say(asker, runFrame('SEND_RUN', new Request('$.Ask'), data, { token: 7, detail }));
      expect(asker.hear()).toEqual([]);
      const requests = replier.hear();
      const flags = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;
      expect(requests.map((one) => [one.kind, one.words[2], one.words[6], one.words[12]])).toEqual(
        data.map((_, at) => ['LENT', serial + at, from, flags]),
      );
      expect(requests.map(({ body }) => body.subarray(72, 75).toString())).toEqual(data);

      const inReplyTo = new MessageId(0, serial);
      const reply = new Message('$.Ask', null, { inReplyTo, to: from });
      const run = { token: 3, detail: SendDetail.QUIET, handed: data.length };
      // The last has nothing to answer.
      const said = ['one', 'two', '3rd', '4th', '5th'];
      say(replier, runFrame('SEND_RUN', reply, said, run));
      const answers = asker.hear();
      expect(answers.map((one) => [one.kind, one.token, one.words[2], one.words[4]])).toEqual(
        [0, 1, 2, 3].map((at) => ['ANSWER', 7 + at, serial + 4 + at, serial + at]),
      );
      expect(answers.map(({ body }) => body.subarray(72, 75).toString())).toEqual(said.slice(0, 4));
      expect(replier.hear().map((one) => [one.kind, one.token, ...one.words])).toEqual([
        ['REFUSED', 7, Errno.ECONNREFUSED, 0, serial + 8, 0, serial + 4, from],
      ]);
      expect([...bus.ksocks.values()].map(({ numUnrepliedTo }) => numUnrepliedTo)).toEqual([0, 0]);
      asker.session.closed();
      replier.session.closed();
    }
  });

  it('a run of nothing is nothing; one of messages without data costs bytes all the same.', () => {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    sender.say(
      runFrame('SEND_RUN', news(), [], { token: 7 }),
      runFrame('SEND_RUN', news(), ['', '', ''], { token: 7 }),
      // The rest of it is not there.
      runFrame('SEND_RUN', news(), [''], { token: 10, count: MAX_PENDING_SENDS }),
    );
    listener.say(call(Op.NUM_MESSAGES, 1));
    expect(sender.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([['SENT', 4]]);
    expect(listener.hear()[0]?.words[0]).toBe(4);
  });

  it('the answer to a Request comes after it was told that the Request was sent.', () => {
    const asker = open();
    const replier = open();
    replier.bind('$.Ask', true);
    asker.say(send(new Request('$.Ask'), 1), frame('TAKE', { detail: 1, token: 2 }));
    expect(asker.kinds()).toEqual(['SENT']);
    replier.session.closed();
    const [status] = asker.hear() as [Frame];
    expect([status.kind, status.token]).toEqual(['TAKEN', 2]);
  });

  it('a wait and its end in one chunk give what is there.', () => {
    const peer = open();
    peer.bind('$.News');
    peer.say(send(news(), 1));
    peer.hear();
    peer.say(frame('TAKE', { detail: 1, token: 2 }), call(Op.CANCEL, 3, 2));
    expect(peer.kinds()).toEqual(['TAKEN', 'RESULT']);
    peer.say(frame('TAKE', { detail: 1, token: 4 }), call(Op.CANCEL, 5, 4));
    expect(peer.kinds()).toEqual(['NONE', 'RESULT']);
  });

  it('nothing follows the answer to CLOSE.', () => {
    const peer = open();
    const other = open();
    peer.bind('$.News');
    peer.say(frame('LEND', { words: [10] }), call(Op.CLOSE, 1), call(Op.NUM_MESSAGES, 2));
    expect(peer.kinds()).toEqual(['RESULT']);
    expect(peer.isEnded).toBe(true);
    other.say(send(news(), 1));
    expect(peer.hear()).toEqual([]);
    peer.session.closed();
    expect([...bus.ksocks.keys()]).toEqual([2]);
  });

  it('a new bus that can’t be made is a refusal, and the log says why.', async () => {
    const peer = open();
    host.newDevice = async () => {
      throw new Error('no room');
    };
    peer.say(call(Op.NEW_DEVICE, 1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([
      ['REFUSED', Errno.EACCES],
    ]);
    expect(host.warnings).toEqual(['no new bus could be made: Error: no room']);
    host.newDevice = async () => -Errno.EINVAL;
    peer.say(call(Op.NEW_DEVICE, 2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear().map(({ words }) => words[0])).toEqual([Errno.EINVAL]);
  });

  it('what is decided after the connection has ended is said to nobody.', async () => {
    const peer = open();
    peer.say(call(Op.NEW_DEVICE, 1));
    peer.session.closed();
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear()).toEqual([]);
  });
});

describe('What is lent', () => {
  it('is unread until it is handed; what is not handed comes back.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    replier.say(frame('LEND', { words: [10] }));
    for (let token = 1; token <= 4; token++) sender.say(send(new Request('$.Ask'), token));
    expect(replier.kinds()).toEqual(['LENT', 'LENT', 'LENT', 'LENT']);
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(4);
    replier.say(frame('LEND', { handed: 2, words: [0] }));
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(2);
    expect(replier.call(Op.NUM_UNREPLIED_TO).words[0]).toBe(2);
    replier.call(Op.RECALL);
    replier.call(Op.UNBIND, 1, '$.Ask');
    sender.hear();
    sender.say(...[10, 11, 12].map((token) => frame('TAKE', { token })));
    const statuses = sender.hear();
    expect(statuses.map(({ kind }) => kind)).toEqual(['TAKEN', 'TAKEN', 'NONE']);
    for (const status of statuses.slice(0, 2)) {
      expect(status.body.toString('latin1')).toContain('$.KBUS.Replier.Unbound');
    }
  });

  it('is as much as was asked for, and no more.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(frame('LEND', { words: [2] }));
    sender.say(...[1, 2, 3, 4, 5].map((token) => send(news(), token)));
    expect(reader.kinds()).toEqual(['LENT', 'LENT']);
    reader.say(frame('LEND', { handed: 1, words: [1] }));
    expect(reader.kinds()).toEqual(['LENT']);
    reader.say(frame('LEND', { words: [0xffff_ffff] }), frame('LEND', { words: [0xffff_ffff] }));
    expect(reader.kinds()).toEqual(['LENT', 'LENT']);
  });

  it('counts as read when its requester forgets it; what is unread behind it leaves the queue.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    replier.say(frame('LEND', { words: [2] }));
    const detail = SendDetail.ANSWERED | SendDetail.QUIET;
    const run = { token: 1, detail };
    sender.say(runFrame('SEND_RUN', new Request('$.Ask'), ['1', '2', '3', '4', '5'], run));
    expect(replier.kinds()).toEqual(['LENT', 'LENT']);
    const forgotten = (token: number) => sender.call(Op.FORGET, token).words[0];
    expect([forgotten(2), forgotten(4)]).toEqual([0, 1]);
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(4);
    replier.say(frame('LEND', { handed: 2, words: [10] }));
    const left = replier.hear().map(({ body }) => body.subarray(72, 73).toString());
    expect(left).toEqual(['3', '5']);
    expect([forgotten(3), forgotten(4), forgotten(99)]).toEqual([0, 0, 0]);
    replier.say(frame('LEND', { handed: 2, words: [0] }));
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(0);
    expect(replier.call(Op.NUM_UNREPLIED_TO).words[0]).toBe(2);
  });

  it('urgent messages overtake it, and are counted when they were seen.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(frame('LEND', { words: [10] }));
    sender.say(send(news('1'), 1), send(news('2'), 2));
    sender.say(send(news('first', Flag.URGENT), 3), send(news('firster', Flag.URGENT), 4));
    const got = reader.hear();
    expect(got.map(({ kind }) => kind)).toEqual(['LENT', 'LENT', 'LENT_FIRST', 'LENT_FIRST']);
    // It had handed one before it saw them, and one after that.
    reader.say(frame('SEEN', { handed: 1 }), frame('SEEN'));
    reader.say(frame('LEND', { handed: 1, words: [0] }));
    expect(reader.call(Op.NUM_MESSAGES).words[0]).toBe(2);
    // What was handed were '1' and the one that came last, to be the first.
    reader.call(Op.RECALL);
    reader.say(frame('TAKE', { token: 1 }), frame('TAKE', { token: 2 }));
    const left = reader
      .hear()
      .map(({ body }) => body.subarray(72, -4).toString().replaceAll('\0', ''));
    expect(left).toEqual(['first', '2']);
    reader.say(frame('SEEN'));
    expect(farewell(reader)).toBe('SEEN what was not sent');
  });
});

describe('A long report', () => {
  /** All of a report, and what was done between its pieces. */
  function wholeReport(
    peer: Peer,
    op: OpCode,
    between: (piece: number) => void = () => {},
  ): Frame[] {
    const pieces: Frame[] = [];
    for (let next = 0; ; ) {
      const piece = peer.call(op, next);
      pieces.push(piece);
      next = piece.words[0] as number;
      if (next === 0) return pieces;
      between(pieces.length);
    }
  }

  const namesIn = (pieces: readonly Frame[]): string[] =>
    pieces.flatMap((piece) =>
      JSON.parse(frameText(piece, 2)).map((one: BindingReport) => one.name),
    );

  it('comes in pieces, each of which is asked for, newest first.', () => {
    const peer = open();
    const names = Array.from({ length: 4000 }, (_, at) => `$.${'long'.repeat(40)}.${at}`);
    for (const name of names) peer.bind(name);
    const pieces = wholeReport(peer, Op.BINDINGS);
    expect(pieces.length).toBeGreaterThan(10);
    for (const { body } of pieces) expect(body.length).toBeLessThan(80_000);
    expect(namesIn(pieces)).toEqual(names.reverse());
  });

  it('tells once of each binding that stays, whatever is bound and unbound meanwhile.', () => {
    const peer = open();
    const busy = open();
    for (let at = 0; at < 6000; at++)
      (at % 2 === 0 ? peer : busy).bind(`$.Name.n${at}`, at % 3 === 0);
    const stays = Array.from({ length: 3000 }, (_, at) => `$.Name.n${at * 2}`);
    const pieces = wholeReport(peer, Op.BINDINGS, (piece) => {
      busy.bind(`$.New.n${piece}`);
      // Also those next to where the report has come to, and at last all of them.
      for (let at = 1; at < 6000; at += 2 * (8 - piece))
        busy.call(Op.UNBIND, at % 3 === 0 ? 1 : 0, `$.Name.n${at}`);
    });
    expect(pieces.length).toBeGreaterThan(4);
    const told = namesIn(pieces);
    expect(new Set(told).size).toBe(told.length);
    expect(told.filter((name) => stays.includes(name))).toEqual(stays.reverse());
  });

  it('goes on when its binder has gone.', () => {
    const peer = open();
    const leaving = open();
    peer.bind('$.First');
    for (let at = 0; at < 3000; at++) leaving.bind(`$.Name.n${at}`);
    const pieces = wholeReport(peer, Op.BINDINGS, () => leaving.session.closed());
    expect(pieces).toHaveLength(2);
    expect(namesIn(pieces).at(-1)).toBe('$.First');
  });

  it('of statistics has each Ksock once.', () => {
    const peer = open();
    const others = Array.from({ length: 600 }, () => open());
    const pieces = wholeReport(peer, Op.STATS, () => others.shift()?.session.closed());
    expect(pieces.length).toBeGreaterThan(2);
    const ids = pieces.flatMap((piece) =>
      JSON.parse(frameText(piece, 2)).ksocks.map((one: KsockReport) => one.ksock),
    );
    expect(ids).toEqual(Array.from({ length: 601 }, (_, at) => at + 1));
  });

  it('that was begun on a connection that was lost is refused to who asks for more.', () => {
    const lost = open();
    for (let at = 0; at < 3000; at++) lost.bind(`$.Name.n${at}`);
    const next = lost.call(Op.BINDINGS).words[0] as number;
    expect(next).toBeGreaterThan(0);
    const refusal = open().call(Op.BINDINGS, next);
    expect([refusal.kind, refusal.words[0]]).toEqual(['REFUSED', Errno.ECONNRESET]);
  });
});
