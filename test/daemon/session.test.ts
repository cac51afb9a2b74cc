import { beforeEach, describe, expect, it } from 'vitest';
import { Bus } from '../../src/bus/bus.ts';
import { MAX_PENDING_BYTES, MAX_PENDING_SENDS } from '../../src/daemon/acknowledgements.ts';
import { MAX_WAITING_CALLS } from '../../src/daemon/check-waiting.ts';
import { Op, type OpCode } from '../../src/message/calls.ts';
import { Errno } from '../../src/message/errno.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Announcement, Message, Reply, Request } from '../../src/message/message.ts';
import type { BindingReport, KsockReport } from '../../src/message/reports.ts';
import { PROTOCOL_MAGIC, PROTOCOL_VERSION, SendDetail } from '../../src/wire/protocol.ts';
import {
  alikeFrame,
  type Frame,
  frame,
  frameText,
  hello,
  messagesFrame,
  record,
  same,
} from '../support/frames.ts';
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

/** The Ksock id of the peer that was opened last. */
const lastId = (): number => bus.nextKsockId - 1;

describe('The first frames', () => {
  it('HELLO is answered by WELCOME, which announces the limits.', () => {
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
    'A client of version %i gets the reason, and so does the log.',
    (version) => {
      const peer = new Peer(host, bus);
      peer.say(hello(3, version));
      const text = farewell(peer);
      expect(text).toBe(
        `the client uses version ${version} of the protocol, the daemon version ${PROTOCOL_VERSION}; use the same version of the kbus package for both`,
      );
      expect(host.warnings).toEqual([`bus 0, a connection without a Ksock: ${text}`]);
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

  it('A client that only asks for the daemon’s identity gets it, and no Ksock.', () => {
    const peer = new Peer(host, bus);
    peer.say(hello(0), call(Op.NUM_MESSAGES, 1));
    const [welcome, ...more] = peer.hear() as [Frame];
    expect([welcome.kind, welcome.words[3], welcome.words[4]]).toEqual(['WELCOME', 0, 4242]);
    expect(more).toEqual([]);
    expect(peer.isEnded).toBe(true);
    expect(bus.ksocks.size).toBe(0);
    expect(bus.nextKsockId).toBe(1);
  });

  it('Frames in the same chunk as HELLO are handled.', () => {
    const peer = new Peer(host, bus);
    peer.say(hello(1), call(Op.BIND, 1, 0, '$.a'), send(news(), 2));
    const [welcome, bound, refused] = peer.hear() as [Frame, Frame, Frame];
    expect([welcome.kind, bound.kind]).toEqual(['WELCOME', 'RESULT']);
    expect([refused.kind, refused.detail, refused.words[0]]).toEqual(['REFUSED', 1, Errno.EBADF]);
  });

  it('A connection that ends before HELLO leaves nothing behind.', () => {
    const peer = new Peer(host, bus);
    peer.session.received(hello(), 0, 10);
    peer.session.closed();
    expect(bus.ksocks.size).toBe(0);
    expect(peer.hear()).toEqual([]);
  });
});

describe('A malformed frame', () => {
  /** The SEND of one message, in which the word at `at` is another. */
  const lying = (at: number, word: number): Buffer => {
    const bytes = send(news('some data'), 1);
    bytes.writeUInt32BE(word, at);
    return bytes;
  };
  const NAME = 6 * 0x1_0000;
  const alike = (message: Message): Buffer => alikeFrame('SEND', message, ['abcd', 'efgh']);
  const malformed: Record<string, [bytes: Uint8Array, says: string]> = {
    'a second HELLO': [hello(), 'a client must not send a frame of kind 1'],
    'a frame that only a daemon sends': [frame('SENT', { words: [1, 0, 1] }), 'a frame of kind 25'],
    'a frame of an unknown kind': [frame(200), 'a frame of kind 200'],
    'a call that there is not': [call(77 as never, 1), 'a call with the unknown number 77'],
    'a call of no words': [frame('CALL', { detail: Op.BIND }), 'has no word 0'],
    'a CREDIT of no words': [frame('CREDIT'), 'has no word 0'],
    'a text that is longer than its frame': [
      frame('CALL', { detail: Op.BIND, words: [0, 1000] }),
      'a text of 1000 bytes in a frame of 20',
    ],
    'a length below that of a header': [Buffer.from([0, 0, 0, 4]), 'a frame of 4 bytes'],
    'a length that is no multiple of 4': [Buffer.from([0, 0, 0, 13]), 'a frame of 13 bytes'],
    'a length that is too long': [Buffer.from([0x7f, 0, 0, 0]), 'a frame of 2130706432 bytes'],
    'a SEND of no words': [frame('SEND'), 'has no word 0'],
    'a SEND of no message': [frame('SEND', { words: [0, 0, 0] }), 'a SEND has 0 messages'],
    'a SEND of nothing that should be a message': [
      frame('SEND', { words: [1, 0, 0] }),
      'the frame ends before message 1 of 1',
    ],
    'a SEND without room for the ids': [
      frame('SEND', { words: [1] }),
      'the frame ends before message 1 of 1',
    ],
    'a SEND of half a message': [
      frame('SEND', { words: [1, 0, 0], body: record(news()).subarray(0, 16) }),
      'the frame ends in the name of message 1',
    ],
    'a SEND of fewer messages than it says': [
      messagesFrame('SEND', [news(), news()], { count: 3 }),
      'the frame ends before message 3 of 3',
    ],
    'a SEND of a message and more': [
      messagesFrame('SEND', [news(), Buffer.alloc(4)], { count: 1 }),
      '4 bytes behind the last message of a frame',
    ],
    'a name of no length': [lying(28, 0), 'a name of 0 bytes'],
    'a name that is too long': [lying(28, 1001 * 0x1_0000), 'a name of 1001 bytes'],
    'a name that is longer than it is': [
      lying(28, 30 * 0x1_0000),
      'the frame ends in the name of message 1',
    ],
    'fields that there are not': [lying(28, NAME + 0x10), 'unknown fields in a message'],
    'fields of the second byte': [lying(28, NAME + 0x100), 'unknown fields in a message'],
    'data longer than there is': [lying(24, 13), 'data of 13 bytes, where 12 are left'],
    'data of 2147483647 bytes': [lying(24, 0x7fff_ffff), 'data of 2147483647 bytes, where 12'],
    'data shorter than there is': [lying(24, 8), '4 bytes behind the last message of a frame'],
    'a first message that is SAME': [
      messagesFrame('SEND', [same('abcd')]),
      'the first message of a frame has the head of one before it',
    ],
    "a message that is SAME as a Limpet's": [
      alike(new Announcement('$.a', '', { id: new MessageId(7, 8) })),
      "the head of another that is a Limpet's",
    ],
    'a message that is SAME as one that a Limpet sent': [
      alike(new Announcement('$.a', '', { origFrom: new OrigFrom(7, 8) })),
      "the head of another that is a Limpet's",
    ],
    'Replies past the last serial number': [
      alike(new Message('$.a', '', { inReplyTo: new MessageId(0, 0xffff_ffff) })),
      'more Replies than there are serial numbers',
    ],
    WANT_YOU_TO_REPLY: [lying(32, Flag.WANT_YOU_TO_REPLY), 'a flag that only KBUS sets'],
    SYNTHETIC: [lying(32, Flag.SYNTHETIC), 'a flag that only KBUS sets'],
    'SYNTHETIC on the last of several': [
      messagesFrame('SEND', [news(), news(), news('x', Flag.SYNTHETIC)]),
      'a flag that only KBUS sets',
    ],
    'more messages than may be pending': [
      messagesFrame('SEND', [news()], { count: MAX_PENDING_SENDS + 1 }),
      `a SEND has ${MAX_PENDING_SENDS + 1} messages`,
    ],
    'more consumed than were prefetched': [
      frame('CREDIT', { consumed: 3, words: [0] }),
      '3 messages were consumed, of 2 that were prefetched',
    ],
    'URGENT_ACK without a PREFETCH_URGENT': [
      frame('URGENT_ACK'),
      'URGENT_ACK without a PREFETCH_URGENT',
    ],
    'a TAKE while messages are prefetched': [frame('TAKE', { token: 1 }), 'without a RECALL'],
    'an UNBIND while messages are prefetched': [
      call(Op.UNBIND, 1, 0, '$.News'),
      'without a RECALL',
    ],
  };

  it.for(Object.keys(malformed))('ends its connection with FAREWELL, and no other: %s.', (what) => {
    const [bytes, says] = malformed[what] as [Uint8Array, string];
    const wrong = open();
    const other = open();
    wrong.bind('$.News');
    wrong.bind('$.Ask', true);
    other.bind('$.News');
    wrong.say(frame('CREDIT', { words: [10] }));
    other.say(send(news(), 1), send(new Request('$.Ask'), 2));
    expect(wrong.kinds()).toEqual(['PREFETCH', 'PREFETCH']);
    other.hear();
    // What came before it is carried out, and what comes behind it is not.
    wrong.say(send(news('before'), 50), bytes, send(news('behind'), 51));
    expect(farewell(wrong)).toContain(says);
    expect(host.warnings).toHaveLength(1);
    expect(host.warnings[0]).toContain(`bus 0, Ksock 1 ('test', process 77, as it says): `);
    // The Ksock is gone, as it always goes.
    expect([...bus.ksocks.keys()]).toEqual([2]);
    other.say(...[3, 4, 5, 6].map((token) => frame('TAKE', { token })));
    const got = other.hear();
    expect(got.map(({ kind }) => kind)).toEqual(['TAKEN', 'TAKEN', 'TAKEN', 'NONE']);
    expect(got.map(({ message }) => message?.text())).toContain('before');
    expect(got[2]?.message?.name).toBe('$.KBUS.Replier.GoneAway');
    // Nothing more is heard from it, or said to it.
    wrong.say(send(news('later'), 52));
    other.say(send(news('later'), 7));
    wrong.session.drained();
    expect(wrong.hear()).toEqual([]);
    wrong.session.closed();
  });

  it('An event, and the end of a connection, begin at the time of the clock.', () => {
    let time = 1000;
    bus.work.clock = () => time;
    const [asker, listener, replier] = [open(), open(), open()];
    listener.bind('$.News');
    replier.bind('$.Ask', true);
    asker.say(send(news(), 1), send(new Request('$.Ask'), 2));
    time = 5000;
    replier.session.closed();
    time = 5100;
    const stats = JSON.parse(frameText(asker.call(Op.STATS), 2));
    const ages = stats.ksocks.map(({ ksock, unreadAge }: KsockReport) => [ksock, unreadAge]);
    // The Status for the asker is younger than the message for the listener.
    expect(ages).toEqual([
      [2, 4100],
      [1, 100],
    ]);
  });

  it('A refused call does not end the connection.', () => {
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

  it('An exception that is not a ProtocolError is not caught.', () => {
    const peer = open();
    bus.verbose(1);
    bus.onLog = () => {
      throw new Error('a bug');
    };
    expect(() => peer.say(send(news(), 1))).toThrow('a bug');
  });
});

describe('A client that does not read', () => {
  it('is not read from, is prefetched a limited number of bytes, and goes on when it reads.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.reads = false;
    reader.say(frame('CREDIT', { words: [60_000] }));
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

  it.for([1, 3, 10])(
    'keeps little memory of others with %s long messages among theirs.',
    (count) => {
      const [sender, reader] = [open(), open()];
      reader.bind('$.News');
      reader.reads = false;
      reader.say(frame('CREDIT', { words: [1000] }));
      sender.say(send(news('x'.repeat(10_000)), 1));
      expect(reader.backlog).toBeGreaterThan(0);
      const others = send(new Announcement('$.Other', 'x'.repeat(20_000 * count)), 2);
      const own = Array.from({ length: count }, (_, at) =>
        send(news('x'.repeat(5000)), 3 + at, SendDetail.QUIET),
      );
      sender.say(others, ...own);
      for (const { byteLength } of reader.memory) expect(byteLength).toBeLessThan(6000 * count);
    },
  );

  it('has unread messages: its queue is full, and sends to it are refused.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.call(Op.MAX_MESSAGES, 3);
    reader.say(frame('CREDIT', { words: [100] }));
    for (let token = 1; token <= 3; token++) sender.say(send(news(), token));
    expect(reader.kinds()).toEqual(['PREFETCH', 'PREFETCH', 'PREFETCH']);
    sender.hear();
    sender.say(send(news('x', Flag.ALL_OR_FAIL), 4));
    expect(sender.hear().map(({ words }) => words[0])).toEqual([Errno.EBUSY]);
    reader.say(frame('CREDIT', { consumed: 1, words: [0] }));
    sender.say(send(news('x', Flag.ALL_OR_FAIL), 5));
    expect(sender.kinds()).toEqual(['SENT']);
  });

  describe('while there is no memory', () => {
    /** Others take what is free, to the last byte that is not kept for those who hold little. */
    const fill = (): void => bus.memory.share('others').hold(bus.memory.room);

    beforeEach(() => {
      bus = new Bus({ maxMessages: 100_000, maxMemory: 4 * MEBIBYTE });
    });

    it('is answered a little, and the rest of what it asked when it reads.', () => {
      const reader = open();
      reader.reads = false;
      fill();
      const tokens = Array.from({ length: 1000 }, (_, at) => at + 1);
      reader.say(...tokens.map((token) => call(Op.NUM_MESSAGES, token)));
      expect(reader.isPaused).toBe(true);
      expect(reader.backlog).toBeLessThan(5000);
      const got = reader.hear();
      expect(got.length).toBeLessThan(500);
      reader.drain();
      got.push(...reader.hear());
      expect(got.map(({ token }) => token)).toEqual(tokens);
      expect(reader.isPaused).toBe(false);
    });

    it('keeps no memory of others.', () => {
      const reader = open();
      fill();
      reader.reads = false;
      reader.say(call(Op.NUM_MESSAGES, 1));
      expect(reader.backlog).toBeGreaterThan(0);
      for (const { byteLength } of reader.memory) expect(byteLength).toBe(reader.backlog);
    });

    it('gets a report in short pieces.', () => {
      const reader = open();
      for (let at = 0; at < 100; at++) reader.bind(`$.${'long'.repeat(40)}.${at}`);
      fill();
      reader.reads = false;
      reader.say(call(Op.BINDINGS, 1), call(Op.BINDINGS, 2));
      expect(reader.kinds()).toEqual(['RESULT']);
      expect(reader.backlog).toBeLessThan(8192);
      reader.drain();
      expect(reader.kinds()).toEqual(['RESULT']);
    });

    it('is refused a report too many, and goes on.', () => {
      const reader = open();
      for (let at = 0; at < 100; at++) reader.bind(`$.${'long'.repeat(40)}.${at}`);
      fill();
      reader.say(...[1, 2, 3, 4].map((token) => call(Op.BINDINGS, token)));
      const got = reader
        .hear()
        .map(({ kind, token, words }) => [kind, token, words[0] === Errno.ENOMEM]);
      expect(got.sort()).toEqual([
        ['REFUSED', 4, true],
        ['RESULT', 1, false],
        ['RESULT', 2, false],
        ['RESULT', 3, false],
      ]);
      expect(reader.isEnded).toBe(false);
      expect(reader.call(Op.NUM_MESSAGES).words[0]).toBe(0);
    });

    it('is ended if its calls take more than a little memory, and what is kept for all is half used up.', () => {
      const reader = open();
      reader.reads = false;
      fill();
      bus.memory.share('others').hold(bus.memory.free - 40_000);
      reader.say(...Array.from({ length: 3000 }, (_, at) => call(Op.NUM_MESSAGES, at + 1)));
      const last = reader.hear().at(-1) as Frame;
      expect([last.kind, last.words[0]]).toEqual(['FAREWELL', Errno.ENOMEM]);
      expect(frameText(last, 1)).toMatch(/without reading the answers: programs hold/);
    });

    it('has a frame of several messages handled that comes in two parts.', () => {
      const sender = open();
      fill();
      const messages = Array.from({ length: 14 }, () => news('x'.repeat(1000)));
      const bytes = messagesFrame('SEND', messages, { token: 1 });
      sender.say(bytes.subarray(0, 8000));
      sender.say(bytes.subarray(8000));
      expect(sender.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([['SENT', 14]]);
    });

    it('has a frame refused of which nearly all has come.', () => {
      const sender = open();
      fill();
      const bytes = send(news('x'.repeat(60_000)), 1);
      sender.say(bytes.subarray(0, 58_000));
      expect(bus.memory.free).toBeGreaterThan(bus.memory.spare);
      sender.say(bytes.subarray(58_000));
      expect(sender.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([
        ['REFUSED', Errno.ENOMEM],
      ]);
    });

    it('does not come in if it says HELLO only now.', () => {
      const late = new Peer(host, bus);
      fill();
      late.say(hello());
      const [farewell] = late.hear() as [Frame];
      expect([farewell.kind, farewell.words[0]]).toEqual(['FAREWELL', Errno.ENOMEM]);
      expect(bus.ksocks.size).toBe(0);
    });
  });

  it('gets its reports when it reads, not before.', () => {
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

  it('may have up to MAX_PENDING_SENDS sends pending.', () => {
    const sender = waiting();
    for (let token = 2; token < MAX_PENDING_SENDS + 2; token++) {
      sender.say(waits(token % 2 === 0 ? 'x' : 'yy', token));
    }
    expect(sender.isEnded).toBe(false);
    sender.say(waits('one more', 99_999));
    expect(farewell(sender)).toContain(`at most ${MAX_PENDING_SENDS} pending sends`);
    expect(bus.ksocks.size).toBe(1);
  });

  it('may not have more, even in one chunk, or in one frame of messages that are alike.', () => {
    const sender = waiting();
    const chunk = Array.from({ length: MAX_PENDING_SENDS + 1 }, (_, at) => waits('x', at + 2));
    sender.say(...chunk);
    expect(farewell(sender)).toContain('pending sends');

    const other = waiting();
    const many = new Array(MAX_PENDING_SENDS).fill('x');
    const detail = SendDetail.WAIT;
    other.say(alikeFrame('SEND', news('', Flag.ALL_OR_WAIT), many, { token: 2, detail }));
    expect(other.isEnded).toBe(false);
    other.say(waits('one more', 99_999));
    expect(farewell(other)).toContain('pending sends');
  });

  it('may have up to MAX_PENDING_BYTES bytes pending.', () => {
    const sender = waiting();
    const half = 'x'.repeat(MAX_PENDING_BYTES / 2);
    sender.say(waits(half, 2), waits(half, 3));
    expect(sender.isEnded).toBe(false);
    sender.say(waits('x', 4));
    expect(farewell(sender)).toContain(`with ${MAX_PENDING_BYTES} bytes`);
  });

  it('may have a single pending send with more bytes.', () => {
    const sender = waiting();
    sender.say(waits('x'.repeat(2 * MAX_PENDING_BYTES), 2));
    expect(sender.isEnded).toBe(false);
    sender.say(waits('x', 3));
    expect(farewell(sender)).toContain('bytes');
  });

  it('may send again once pending sends are done or cancelled.', () => {
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

  it('may have up to MAX_WAITING_CALLS waiting calls.', () => {
    const taker = open();
    const many = (kind: (token: number) => Buffer): Buffer =>
      Buffer.concat(Array.from({ length: MAX_WAITING_CALLS }, (_, at) => kind(at + 10)));
    taker.say(many((token) => frame('TAKE', { detail: 1, token })));
    expect(taker.isEnded).toBe(false);
    taker.say(frame('TAKE', { detail: 1, token: 2 }));
    expect(farewell(taker)).toContain(`at most ${MAX_WAITING_CALLS} waiting calls`);

    const poller = waiting();
    poller.say(
      waits('x', 2),
      many((token) => call(Op.POLL, token, 1)),
    );
    expect(poller.isEnded).toBe(false);
    poller.say(call(Op.POLL, 4, 1));
    expect(farewell(poller)).toContain(`at most ${MAX_WAITING_CALLS} waiting calls`);
  });
});

describe('The daemon’s frames', () => {
  it('are written once per event and connection.', () => {
    const sender = open();
    const listeners = [open(), open(), open()];
    for (const listener of listeners) {
      listener.bind('$.News');
      listener.say(frame('CREDIT', { words: [1000] }));
      listener.writes.length = 0;
    }
    sender.writes.length = 0;
    sender.say(...Array.from({ length: 50 }, (_, at) => send(news(`${at % 7}`), at + 1)));
    for (const listener of listeners) {
      expect(listener.writes).toEqual([50]);
      expect(listener.hear().every(({ kind }) => kind === 'PREFETCH')).toBe(true);
    }
    expect(sender.writes).toHaveLength(1);
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, ...words])).toEqual([
      ['SENT', 1, 50, 0, 1, 50],
    ]);
  });

  it('are passed on where they lie: long ones of one chunk are one piece, for each of their listeners.', () => {
    const sender = open();
    const listeners = [open(), open()];
    for (const listener of listeners) {
      listener.bind('$.News');
      listener.say(frame('CREDIT', { words: [1000] }));
      listener.pieces.length = 0;
    }
    const data = ['a', 'b', 'c'].map((letter) => letter.repeat(3000));
    const serial = bus.nextSerial;
    sender.say(...[1, 4, 7].map((token) => alikeFrame('SEND', news(), data, { token })));
    for (const listener of listeners) {
      expect(listener.pieces).toEqual([1]);
      const heard = listener.hear();
      expect(heard.map(({ kind, message }) => [kind, message?.text()])).toEqual(
        [...data, ...data, ...data].map((text) => ['PREFETCH', text]),
      );
      expect(heard.map(({ message }) => message?.id.serialNum)).toEqual(
        Array.from({ length: 9 }, (_, index) => serial + index),
      );
    }
  });

  it('have the head that their reader needs: as Listener, as Replier, or as one who takes a message.', () => {
    const sender = open();
    const from = lastId();
    const [replier, listener, taker, other] = [open(), open(), open(), open()];
    replier.bind('$.Ask', true);
    for (const peer of [listener, taker, other]) peer.bind('$.Ask');
    for (const peer of [listener, replier]) peer.say(frame('CREDIT', { words: [9] }));
    const serial = bus.nextSerial;
    const data = 'long '.repeat(2000);
    sender.say(send(new Request('$.Ask', data), 1));
    for (const peer of [taker, other]) peer.say(frame('TAKE', { token: peer === taker ? 70 : 71 }));
    const heard = [replier, listener, taker, other].map((peer) => peer.hear());
    expect(
      heard.map(([told]) => [told?.kind, told?.token, told?.message?.flags, told?.message?.from]),
    ).toEqual([
      ['PREFETCH', 0, Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY, from],
      ['PREFETCH', 0, Flag.WANT_A_REPLY, from],
      ['TAKEN', 70, Flag.WANT_A_REPLY, from],
      ['TAKEN', 71, Flag.WANT_A_REPLY, from],
    ]);
    for (const [told] of heard) {
      expect(told?.message?.text()).toBe(data);
      expect(told?.message?.id.serialNum).toBe(serial);
    }
  });

  it('acknowledge consecutive sends together, up to the next refusal.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    sender.say(
      send(news(), 1),
      send(new Request('$.Nobody', 'data', { flags: 1 << 20 }), 2),
      send(news(), 3),
      send(news('another length'), 4),
      send(new Request('$.Ask'), 5, SendDetail.QUIET),
      send(news(), 6),
    );
    const flags = Flag.WANT_A_REPLY | (1 << 20);
    const heard = sender.hear();
    expect(heard.map(({ kind, token, words }) => [kind, token, ...words.slice(0, 9)])).toEqual([
      ['SENT', 1, 1, 0, 1, 1],
      ['REFUSED', 2, Errno.EADDRNOTAVAIL, 0, 2, 0, 0, 0, flags, 4, 8],
      ['SENT', 3, 2, 0, 3, 15],
      ['SENT', 6, 1, 0, 6, 1],
    ]);
    const text = frameText(heard[1] as Frame, 9);
    expect([text.slice(0, 8), text.slice(8)]).toEqual([
      '$.Nobody',
      "nobody replies to '$.Nobody' on bus 0",
    ]);
  });

  it('refuse a send with all fields of its message but the data.', () => {
    const sender = open();
    const inReplyTo = new MessageId(3, 4);
    const reply = new Reply('$.Gone', 'some data', { inReplyTo, to: 5, flags: 1 << 16 });
    sender.say(send(reply, 7, SendDetail.QUIET));
    const [told] = sender.hear() as [Frame];
    expect([told.kind, told.detail, told.token]).toEqual(['REFUSED', 2, 7]);
    expect(told.words.slice(0, 9)).toEqual([Errno.EADDRNOTAVAIL, 0, 1, 3, 4, 5, 1 << 16, 9, 6]);
    expect(frameText(told, 9)).toMatch(/^\$\.GoneKsock 5, /);
  });
});

/** What a frame says of its message, as text. */
const told = ({ kind, token, message }: Frame): unknown[] => [
  kind,
  token,
  ...(message?.extract().map(String) ?? []),
];

/** The same of a message that is expected. */
const expected = (kind: string, token: number, message: Message): unknown[] => [
  kind,
  token,
  ...message.extract().map(String),
];

describe('Messages in one frame', () => {
  /** How some bytes may be cut on their way. */
  const cuts = (length: number): number[][] => [
    [length],
    [length - 9, 5, 1000],
    Array(length).fill(1),
  ];

  function sayInPieces(peer: Peer, bytes: Buffer, pieces: number[]): void {
    let at = 0;
    for (const length of pieces) {
      if (at < bytes.length) peer.say(bytes.subarray(at, at + length));
      at += length;
    }
    expect(at).toBeGreaterThanOrEqual(bytes.length);
  }

  it('are sent and prefetched as if each had its own frame, however their bytes are cut.', () => {
    const data = ['first', 'other', 'of another length', ''];
    const bytes = Buffer.concat([
      alikeFrame('SEND', news(), data, { token: 7 }),
      send(news('behind'), 11),
    ]);
    for (const pieces of cuts(bytes.length)) {
      const sender = open();
      const from = lastId();
      const listener = open();
      listener.bind('$.News');
      listener.say(frame('CREDIT', { words: [100] }));
      const serial = bus.nextSerial;
      sayInPieces(sender, bytes, pieces);
      const sent = sender.hear().map(({ kind, token, words }) => [kind, token, ...words]);
      expect(sent.every(([kind]) => kind === 'SENT')).toBe(true);
      expect(sent.reduce((sum, [, , count]) => sum + (count as number), 0)).toBe(5);
      expect(sent.reduce((sum, [, , , , , size]) => sum + (size as number), 0)).toBe(33);
      expect(sent[0]?.slice(0, 2)).toEqual(['SENT', 7]);
      expect(sent[0]?.slice(3, 5)).toEqual([0, serial]);
      expect(listener.hear().map(told)).toEqual(
        [...data, 'behind'].map((text, at) => {
          const id = new MessageId(0, serial + at);
          return expected('PREFETCH', 0, new Message('$.News', text, { id, from }));
        }),
      );
      sender.session.closed();
      listener.session.closed();
    }
  });

  it('are asked and answered as if each had its own frame, however their bytes are cut.', () => {
    const data = ['ein', 'dos', 'three', 'fou'];
    for (const size of [1, 90, 1000]) {
      const asker = open();
      const from = lastId();
      const replier = open();
      replier.bind('$.Ask', true);
      replier.say(frame('CREDIT', { words: [100] }));
      const serial = bus.nextSerial;
      const say = (peer: Peer, bytes: Buffer): void =>
        sayInPieces(peer, bytes, Array(Math.ceil(bytes.length / size)).fill(size));
      const detail = SendDetail.ANSWERED | SendDetail.QUIET;
      say(asker, alikeFrame('SEND', new Request('$.Ask'), data, { token: 7, detail }));
      expect(asker.hear()).toEqual([]);
      const flags = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;
      expect(replier.hear().map(told)).toEqual(
        data.map((text, at) => {
          const id = new MessageId(0, serial + at);
          return expected('PREFETCH', 0, new Message('$.Ask', text, { id, from, flags }));
        }),
      );

      const reply = new Message('$.Ask', '', { inReplyTo: new MessageId(0, serial), to: from });
      // The last has nothing to answer.
      const said = ['one', 'two', '3rd', '4th', '5th'];
      const parts = { token: 3, detail: SendDetail.QUIET, consumed: data.length };
      say(replier, alikeFrame('SEND', reply, said, parts));
      expect(asker.hear().map(told)).toEqual(
        said.slice(0, 4).map((text, at) => {
          const id = new MessageId(0, serial + 4 + at);
          const inReplyTo = new MessageId(0, serial + at);
          const options = { id, inReplyTo, to: from, from: lastId() };
          return expected('ANSWER', 7 + at, new Message('$.Ask', text, options));
        }),
      );
      const refusals = replier.hear();
      expect(refusals.map((one) => [one.kind, one.token, ...one.words.slice(0, 8)])).toEqual([
        ['REFUSED', 7, Errno.ECONNREFUSED, 0, serial + 8, 0, serial + 4, from, 0, 3],
      ]);
      expect([...bus.ksocks.values()].map(({ numUnrepliedTo }) => numUnrepliedTo)).toEqual([0, 0]);
      asker.session.closed();
      replier.session.closed();
    }
  });

  it('go to the Listeners of each name, in one order.', () => {
    const sender = open();
    const listeners = ['$.A', '$.B', '$.*'].map((name) => {
      const listener = open();
      listener.bind(name);
      listener.say(frame('CREDIT', { words: [100] }));
      return listener;
    });
    const names = ['$.A', '$.A', '$.B', '$.C', '$.D', '$.B', '$.B', '$.A'];
    const messages = names.map((name, at) => new Announcement(name, `${at}`));
    sender.say(messagesFrame('SEND', messages, { token: 1 }));
    expect(sender.hear().map(({ kind, words }) => [kind, words[0]])).toEqual([['SENT', 8]]);
    const heard = listeners.map((listener) =>
      listener.hear().map(({ message }) => `${message?.name} ${message?.text()} ${message?.id}`),
    );
    const all = names.map((name, at) => `${name} ${at} [0:${at + 1}]`);
    expect(heard).toEqual([
      all.filter((one) => one.startsWith('$.A')),
      all.filter((one) => one.startsWith('$.B')),
      all,
    ]);
  });

  it('may be Announcements, Requests and Replies, mixed.', () => {
    const one = open();
    const other = open();
    one.bind('$.One', true);
    other.bind('$.Other', true);
    other.bind('$.News');
    other.say(send(new Request('$.One', 'well?'), 1));
    other.hear();
    one.say(frame('TAKE', { token: 50 }));
    const [asked] = one.hear() as [Frame];
    const { id: inReplyTo, from: to } = asked.message as Message;
    const detail = SendDetail.ANSWERED;
    one.say(
      messagesFrame(
        'SEND',
        [
          news('before'),
          new Request('$.Other', 'and you?'),
          new Reply('$.One', 'well!', { inReplyTo, to }),
          same('what was not asked'),
          new Request('$.Nobody'),
          news('behind'),
        ],
        { token: 100, detail },
      ),
    );
    expect(one.hear().map(({ kind, token, words }) => [kind, token, words[0]])).toEqual([
      ['SENT', 100, 3],
      ['REFUSED', 103, Errno.ECONNREFUSED],
      ['REFUSED', 104, Errno.EADDRNOTAVAIL],
      ['SENT', 105, 1],
    ]);
    other.say(frame('CREDIT', { words: [100] }));
    const prefetched = other.hear().map(({ message }) => String(message));
    expect(prefetched).toEqual([
      "<Announcement '$.News', id=[0:2], from=1, data='before'>",
      "<Request '$.Other', id=[0:3], from=1, flags=0x3 (REQ,YOU), data='and you?'>",
      "<Reply '$.One', id=[0:4], to=2, from=1, in_reply_to=[0:1], data='well!'>",
      "<Announcement '$.News', id=[0:7], from=1, data='behind'>",
    ]);
    other.say(send(new Reply('$.Other', 'fine', { inReplyTo: new MessageId(0, 3), to: 1 }), 2));
    const [answer] = one.hear() as [Frame];
    expect([answer.kind, answer.token, answer.message?.text()]).toEqual(['ANSWER', 101, 'fine']);
  });

  it('may be very many without data.', () => {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    const many = new Array(MAX_PENDING_SENDS).fill('');
    sender.say(alikeFrame('SEND', news(), many, { token: 7 }));
    expect(sender.hear().map(({ kind, words }) => [kind, ...words])).toEqual([
      ['SENT', MAX_PENDING_SENDS, 0, 1, 0],
    ]);
    expect(listener.call(Op.NUM_MESSAGES).words[0]).toBe(MAX_PENDING_SENDS);
  });

  it('are refused one by one: those behind a message that is too large are sent.', () => {
    const sender = open();
    sender.call(Op.MAX_MESSAGE_SIZE, 200);
    const large = 'x'.repeat(300);
    sender.say(alikeFrame('SEND', news(), ['small', large, 'small', large, 'small'], { token: 1 }));
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, words[0]])).toEqual([
      ['SENT', 1, 1],
      ['REFUSED', 2, Errno.EMSGSIZE],
      ['SENT', 3, 1],
      ['REFUSED', 4, Errno.EMSGSIZE],
      ['SENT', 5, 1],
    ]);
  });

  it('wait together for a full queue, and can each be cancelled.', () => {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    listener.call(Op.MAX_MESSAGES, 2);
    const detail = SendDetail.WAIT;
    const data = ['1', '2', '3', '4', '5', '6'];
    sender.say(alikeFrame('SEND', news('', Flag.ALL_OR_WAIT), data, { token: 1, detail }));
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, words[0]])).toEqual([
      ['SENT', 1, 2],
    ]);
    sender.say(call(Op.CANCEL, 50, 5), call(Op.CANCEL, 51, 3));
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, words[0]])).toEqual([
      ['REFUSED', 5, Errno.ECANCELED],
      ['RESULT', 50, 0],
      ['REFUSED', 3, Errno.ECANCELED],
      ['RESULT', 51, 0],
    ]);
    const read: unknown[] = [];
    for (let token = 1; token <= 5; token++) {
      listener.say(frame('TAKE', { token }));
      read.push(...listener.hear().map(({ kind, message }) => message?.text() ?? kind));
    }
    expect(read).toEqual(['1', '2', '4', '6', 'NONE']);
    expect(sender.hear().map(({ kind, token, words }) => [kind, token, words[0]])).toEqual([
      ['SENT', 4, 1],
      ['SENT', 6, 1],
    ]);
  });

  it('are prefetched in one frame, from the message on at which the credit ran out.', () => {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    listener.say(frame('CREDIT', { words: [2] }));
    const data = ['one', 'two', 'three', 'four', 'five'];
    const inReplyTo = new MessageId(8, 20);
    sender.say(
      alikeFrame('SEND', news('', 1 << 16), data, { token: 1 }),
      // Nobody waits for them, and yet somebody listens to the name.
      alikeFrame('SEND', new Reply('$.News', '', { inReplyTo, to: 7 }), ['x', 'y']),
    );
    listener.say(frame('CREDIT', { words: [2] }), frame('CREDIT', { words: [10] }));
    expect(listener.batches).toEqual([2, 3]);
    expect(listener.hear().map(({ message }) => String(message))).toEqual(
      data.map(
        (text, at) =>
          `<Announcement '$.News', id=[0:${at + 1}], from=1, flags=0x10000, data='${text}'>`,
      ),
    );
  });

  it('begin with a whole head when prefetched from the middle, Replies with their own in_reply_to.', () => {
    const asker = open();
    const replier = open();
    replier.bind('$.Ask', true);
    asker.say(alikeFrame('SEND', new Request('$.Ask'), ['1', '2', '3', '4'], { token: 1 }));
    replier.say(frame('CREDIT', { words: [4] }));
    replier.hear();
    const inReplyTo = new MessageId(0, 1);
    const reply = new Reply('$.Ask', '', { inReplyTo, to: 1, flags: 0x8000_0000 });
    const answers = ['one', 'two', '', 'four'];
    asker.batches.length = 0;
    replier.say(alikeFrame('SEND', reply, answers, { token: 1, consumed: 4 }));
    asker.say(frame('CREDIT', { words: [1] }), frame('CREDIT', { words: [1] }));
    asker.say(frame('CREDIT', { words: [10] }));
    expect(asker.batches.reduce((sum, count) => sum + count, 0)).toBe(4);
    const prefetched = asker.hear().filter(({ kind }) => kind === 'PREFETCH');
    expect(prefetched.map(told)).toEqual(
      answers.map((text, at) => {
        const id = new MessageId(0, 5 + at);
        const options = { id, inReplyTo: new MessageId(0, 1 + at), to: 1, from: 2 };
        return expected(
          'PREFETCH',
          0,
          new Message('$.Ask', text, { ...options, flags: 0x8000_0000 }),
        );
      }),
    );
  });

  it('have the names in their bytes, whatever numbers their sender gives them.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.*');
    reader.say(frame('CREDIT', { words: [100] }));
    const numbers = [1, 1, 2, 0, 0xffff_ffff];
    const records = ['$.News', '$.Alarm'].flatMap((name) =>
      numbers.map((number) => record(new Message(name), 0, number)),
    );
    // One by one, and in one frame.
    records.forEach((one, token) => {
      sender.say(messagesFrame('SEND', [one], { token: token + 1 }));
    });
    sender.say(messagesFrame('SEND', records, { token: 100 }));
    const names = new Map<number | undefined, Set<string | undefined>>();
    const heard = reader.hear();
    for (const { message, number } of heard) {
      names.set(number, (names.get(number) ?? new Set()).add(message?.name));
    }
    const expected = [...new Array(5).fill('$.News'), ...new Array(5).fill('$.Alarm')];
    expect(heard.map(({ message }) => message?.name)).toEqual([...expected, ...expected]);
    // No number stands for two names.
    expect([...names.values()].map(({ size }) => size)).not.toContain(2);
    expect(names.has(0)).toBe(false);
  });

  it('are taken one by one, each in the answer to its TAKE.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(...[1, 2, 3].map((token) => frame('TAKE', { detail: 1, token })));
    sender.say(alikeFrame('SEND', news(), ['a', 'b', 'c', 'd'], { token: 1 }));
    const taken = reader.hear();
    expect(taken.map(({ kind, token, message }) => [kind, token, message?.text()])).toEqual([
      ['TAKEN', 1, 'a'],
      ['TAKEN', 2, 'b'],
      ['TAKEN', 3, 'c'],
    ]);
    expect(reader.batches).toEqual([1, 1, 1]);
  });

  it('are prefetched one by one if urgent, each before all others.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(frame('CREDIT', { words: [10] }));
    sender.say(send(news('last'), 1));
    sender.say(
      alikeFrame('SEND', news('', Flag.URGENT), ['third', 'second', 'first'], { token: 2 }),
    );
    expect(reader.hear().map(({ kind, message }) => [kind, message?.text()])).toEqual([
      ['PREFETCH', 'last'],
      ['PREFETCH_URGENT', 'third'],
      ['PREFETCH_URGENT', 'second'],
      ['PREFETCH_URGENT', 'first'],
    ]);
    expect(reader.batches).toEqual([1, 1, 1, 1]);
  });

  it('are prefetched in frames within the limit of WELCOME, however long their own frame was.', () => {
    const sender = open();
    const listener = open();
    listener.bind('$.News');
    listener.call(Op.MAX_MESSAGES, 1_000_000);
    listener.say(frame('CREDIT', { words: [60_000] }));
    const longest = 16 * MEBIBYTE + 64;
    // A SEND that is as long as it may be: 40 bytes and the name of the first message, and 4 of each that follows.
    const data = new Array(16).fill('x'.repeat(MEBIBYTE - 4));
    data[0] = 'x'.repeat(MEBIBYTE - 4 + 64 - 44);
    const bytes = alikeFrame('SEND', news(), data, { token: 1 });
    expect(bytes.length).toBe(longest);
    sender.say(bytes);
    const heard = listener.hear();
    expect(heard.map(({ message }) => message?.dataLength)).toEqual(data.map((one) => one.length));
    for (const { body } of heard) expect(body.length + 12).toBeLessThanOrEqual(longest);
  });

  it('must not have tokens past the last one.', () => {
    const sender = open();
    sender.say(alikeFrame('SEND', news(), ['a', 'b'], { token: 0xffff_fffe }));
    expect(sender.hear().map(({ token, words }) => [token, words[0]])).toEqual([[0xffff_fffe, 2]]);
    sender.say(alikeFrame('SEND', news(), ['a', 'b'], { token: 0xffff_ffff }));
    expect(farewell(sender)).toContain('a SEND has 2 messages from token 4294967295 on');
  });

  it('pass Requests among them that wait for their Replier, if those have ROOM.', () => {
    const sender = open();
    const other = open();
    other.bind('$.Ask', true);
    other.bind('$.News');
    other.call(Op.MAX_MESSAGES, 2);
    const messages = [news('1'), new Request('$.Ask', '2'), new Request('$.Ask', '3'), news('4')];
    for (const order of [messages, messages.toReversed()]) {
      const detail = SendDetail.ROOM;
      sender.say(messagesFrame('SEND', order, { token: 1, detail }));
      const read: unknown[] = [];
      for (let token = 1; read.length < 6; token++) {
        other.say(frame('TAKE', { token }));
        read.push(...other.hear().map(({ message }) => message?.text()));
      }
      const texts = order.map((one) => one.text());
      // One Announcement finds the queue full.
      expect(read.filter((text) => text !== undefined)).toHaveLength(3);
      expect(read).toEqual(expect.arrayContaining(texts.filter((text) => '23'.includes(text))));
      const told = sender.hear().filter(({ kind }) => kind === 'SENT');
      expect(told.reduce((sum, { words }) => sum + (words[0] as number), 0)).toBe(4);
    }
  });

  it('are answered by token, in whatever order the tokens are.', () => {
    const asker = open();
    const replier = open();
    replier.bind('$.Ask', true);
    const detail = SendDetail.ANSWERED | SendDetail.QUIET;
    // The second is known by 0, as no client of ours knows one.
    asker.say(send(new Request('$.Ask'), 7, detail), send(new Request('$.Ask'), 0, detail));
    replier.say(frame('CREDIT', { words: [2] }));
    const reply = new Reply('$.Ask', '', { inReplyTo: new MessageId(0, 1), to: 1 });
    replier.say(alikeFrame('SEND', reply, ['to 7', 'to 0'], { token: 1, consumed: 2 }));
    expect(asker.hear().map(({ token, message }) => [token, message?.text()])).toEqual([
      [7, 'to 7'],
      [0, 'to 0'],
    ]);
  });
});

describe('CallResults', () => {
  it('to a Request follow the acknowledgement of its send.', () => {
    const asker = open();
    const replier = open();
    replier.bind('$.Ask', true);
    asker.say(send(new Request('$.Ask'), 1), frame('TAKE', { detail: 1, token: 2 }));
    expect(asker.kinds()).toEqual(['SENT']);
    replier.session.closed();
    const [status] = asker.hear() as [Frame];
    expect([status.kind, status.token]).toEqual(['TAKEN', 2]);
  });

  it('to a waiting TAKE and its CANCEL in one chunk give an available message.', () => {
    const peer = open();
    peer.bind('$.News');
    peer.say(send(news(), 1));
    peer.hear();
    peer.say(frame('TAKE', { detail: 1, token: 2 }), call(Op.CANCEL, 3, 2));
    expect(peer.kinds()).toEqual(['TAKEN', 'RESULT']);
    peer.say(frame('TAKE', { detail: 1, token: 4 }), call(Op.CANCEL, 5, 4));
    expect(peer.kinds()).toEqual(['NONE', 'RESULT']);
  });

  it('to CLOSE are the last frame.', () => {
    const peer = open();
    const other = open();
    peer.bind('$.News');
    peer.say(frame('CREDIT', { words: [10] }), call(Op.CLOSE, 1), call(Op.NUM_MESSAGES, 2));
    expect(peer.kinds()).toEqual(['RESULT']);
    expect(peer.isEnded).toBe(true);
    other.say(send(news(), 1));
    expect(peer.hear()).toEqual([]);
    peer.session.closed();
    expect([...bus.ksocks.keys()]).toEqual([2]);
  });

  it('refuse NEWDEVICE if the bus can’t be created, and the log says why.', async () => {
    const peer = open();
    host.newDevice = async () => {
      throw new Error('no room');
    };
    peer.say(call(Op.NEW_DEVICE, 1));
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear().map((one) => [one.kind, one.words[0], frameText(one, 3)])).toEqual([
      ['REFUSED', Errno.EACCES, 'no room'],
    ]);
    expect(host.warnings).toEqual(["can't create another bus: no room"]);
    host.newDevice = async () => -Errno.EINVAL;
    peer.say(call(Op.NEW_DEVICE, 2));
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear().map(({ words }) => words[0])).toEqual([Errno.EINVAL]);
  });

  it('are not written after the end of the connection.', async () => {
    const peer = open();
    peer.say(call(Op.NEW_DEVICE, 1));
    peer.session.closed();
    await new Promise((resolve) => setImmediate(resolve));
    expect(peer.hear()).toEqual([]);
  });
});

describe('Prefetched messages', () => {
  it('are unread until they are consumed, and return to the queue on RECALL.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    replier.say(frame('CREDIT', { words: [10] }));
    for (let token = 1; token <= 4; token++) sender.say(send(new Request('$.Ask'), token));
    expect(replier.kinds()).toEqual(['PREFETCH', 'PREFETCH', 'PREFETCH', 'PREFETCH']);
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(4);
    replier.say(frame('CREDIT', { consumed: 2, words: [0] }));
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(2);
    expect(replier.call(Op.NUM_UNREPLIED_TO).words[0]).toBe(2);
    replier.call(Op.RECALL);
    replier.call(Op.UNBIND, 1, '$.Ask');
    sender.hear();
    sender.say(...[10, 11, 12].map((token) => frame('TAKE', { token })));
    const statuses = sender.hear();
    expect(statuses.map(({ kind }) => kind)).toEqual(['TAKEN', 'TAKEN', 'NONE']);
    for (const status of statuses.slice(0, 2)) {
      expect(status.message?.name).toBe('$.KBUS.Replier.Unbound');
    }
  });

  it('are as many as the credit allows.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(frame('CREDIT', { words: [2] }));
    sender.say(...[1, 2, 3, 4, 5].map((token) => send(news(), token)));
    expect(reader.kinds()).toEqual(['PREFETCH', 'PREFETCH']);
    reader.say(frame('CREDIT', { consumed: 1, words: [1] }));
    expect(reader.kinds()).toEqual(['PREFETCH']);
    reader.say(
      frame('CREDIT', { words: [0xffff_ffff] }),
      frame('CREDIT', { words: [0xffff_ffff] }),
    );
    expect(reader.kinds()).toEqual(['PREFETCH', 'PREFETCH']);
  });

  it('count as read when their requester gives them up; unread Requests behind them leave the queue.', () => {
    const sender = open();
    const replier = open();
    replier.bind('$.Ask', true);
    replier.say(frame('CREDIT', { words: [2] }));
    const detail = SendDetail.ANSWERED | SendDetail.QUIET;
    const data = ['1', '2', '3', '4', '5'];
    sender.say(alikeFrame('SEND', new Request('$.Ask'), data, { token: 1, detail }));
    expect(replier.kinds()).toEqual(['PREFETCH', 'PREFETCH']);
    const forgotten = (token: number) => sender.call(Op.FORGET, token).words[0];
    expect([forgotten(2), forgotten(4)]).toEqual([0, 1]);
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(4);
    replier.say(frame('CREDIT', { consumed: 2, words: [10] }));
    expect(replier.hear().map(({ message }) => message?.text())).toEqual(['3', '5']);
    expect([forgotten(3), forgotten(4), forgotten(99)]).toEqual([0, 0, 0]);
    replier.say(frame('CREDIT', { consumed: 2, words: [0] }));
    expect(replier.call(Op.NUM_MESSAGES).words[0]).toBe(0);
    expect(replier.call(Op.NUM_UNREPLIED_TO).words[0]).toBe(2);
  });

  it('are overtaken by urgent ones, which count once they are acknowledged.', () => {
    const sender = open();
    const reader = open();
    reader.bind('$.News');
    reader.say(frame('CREDIT', { words: [10] }));
    sender.say(send(news('1'), 1), send(news('2'), 2));
    sender.say(send(news('first', Flag.URGENT), 3), send(news('firster', Flag.URGENT), 4));
    const got = reader.hear();
    expect(got.map(({ kind }) => kind)).toEqual([
      'PREFETCH',
      'PREFETCH',
      'PREFETCH_URGENT',
      'PREFETCH_URGENT',
    ]);
    // It had consumed one before it saw them, and one after that.
    reader.say(frame('URGENT_ACK', { consumed: 1 }), frame('URGENT_ACK'));
    reader.say(frame('CREDIT', { consumed: 1, words: [0] }));
    expect(reader.call(Op.NUM_MESSAGES).words[0]).toBe(2);
    // What was consumed were '1' and the one that came last, to be the first.
    reader.call(Op.RECALL);
    reader.say(frame('TAKE', { token: 1 }), frame('TAKE', { token: 2 }));
    expect(reader.hear().map(({ message }) => message?.text())).toEqual(['first', '2']);
    reader.say(frame('URGENT_ACK'));
    expect(farewell(reader)).toBe('URGENT_ACK without a PREFETCH_URGENT');
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

  it('is sent in pieces, one per call, newest binding first.', () => {
    const peer = open();
    const names = Array.from({ length: 4000 }, (_, at) => `$.${'long'.repeat(40)}.${at}`);
    for (const name of names) peer.bind(name);
    const pieces = wholeReport(peer, Op.BINDINGS);
    expect(pieces.length).toBeGreaterThan(10);
    for (const { body } of pieces) expect(body.length).toBeLessThan(80_000);
    expect(namesIn(pieces)).toEqual(names.reverse());
  });

  it('has each lasting binding once, whatever is bound and unbound meanwhile.', () => {
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

  it('goes on when the Ksock of its bindings is closed.', () => {
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
    const pieces = wholeReport(peer, Op.STATS, () => others.pop()?.session.closed());
    expect(pieces.length).toBeGreaterThan(2);
    const ids = pieces.flatMap((piece) =>
      JSON.parse(frameText(piece, 2)).ksocks.map((one: KsockReport) => one.ksock),
    );
    expect(ids).toEqual(Array.from({ length: 601 }, (_, at) => 601 - at));
  });

  it('begins when one of 64 incomplete ones is complete.', () => {
    const peer = open();
    for (let at = 0; at < 900; at++) peer.bind(`$.Name.n${at}`);
    const asked = Array.from({ length: 70 }, (_, at) => 5000 + at);
    const answers: Frame[] = [];
    const ask = (token: number, number: number): void => {
      peer.say(frame('CALL', { detail: Op.BINDINGS, token, words: [number] }));
      answers.push(...peer.hear());
    };
    for (const token of asked) ask(token, 0);
    expect(answers.map(({ token }) => token)).toEqual(asked.slice(0, 64));
    for (const { words } of answers.slice(0, 6)) ask(6000, words[0] as number);
    expect(answers.slice(64).map(({ token }) => token)).toEqual(
      asked.slice(64).flatMap((token) => [6000, token]),
    );
  });

  it('is refused to a client that asks for a piece of it on another connection.', () => {
    const lost = open();
    for (let at = 0; at < 3000; at++) lost.bind(`$.Name.n${at}`);
    const next = lost.call(Op.BINDINGS).words[0] as number;
    expect(next).toBeGreaterThan(0);
    const refusal = open().call(Op.BINDINGS, next);
    expect([refusal.kind, refusal.words[0]]).toEqual(['REFUSED', Errno.ECONNRESET]);
  });
});
