import { describe, expect, it } from 'vitest';
import { Ksock, type KsockOptions } from '../../../src/client/ksock.ts';
import { FramePort } from '../../../src/client/ports/frame-port.ts';
import { Op } from '../../../src/message/calls.ts';
import { Errno } from '../../../src/message/errno.ts';
import type { KbusError } from '../../../src/message/error.ts';
import { Flag } from '../../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../../src/message/id.ts';
import { Announcement, Message, Reply, Request } from '../../../src/message/message.ts';
import type { Channel, ChannelEvents } from '../../../src/transport/channel.ts';
import { HelloMode, PROTOCOL_VERSION, SendDetail } from '../../../src/wire/protocol.ts';
import { ToldNames } from '../../../src/wire/told-names.ts';
import {
  alikeFrame,
  type Frame,
  frame,
  framesOf,
  frameText,
  knownRecord,
  messagesFrame,
  record,
  same,
  welcome,
  wholeFramesOf,
} from '../../support/frames.ts';
import { failed, refused } from '../../support/refused.ts';
import { settled } from '../everywhere.ts';

/** A daemon that sends the frames that the test gives it. */
class Script implements Channel {
  events!: ChannelEvents;
  readonly backlog = 0;
  /** The number of frames in each write of the client. */
  readonly writes: number[] = [];
  /** The number of messages in each SEND. */
  readonly batches: number[] = [];
  isEnded = false;
  private readonly written: Buffer[] = [];
  private rest: Uint8Array = new Uint8Array(0);
  private heard: Frame[] = [];

  write(pieces: readonly Uint8Array[]): void {
    const { frames, rest, whole } = framesOf(Buffer.concat([this.rest, ...pieces]));
    this.rest = rest;
    this.heard.push(...frames);
    this.writes.push(whole.length);
    this.written.push(...pieces.map((piece) => Buffer.from(piece)));
    for (const { kind, words } of whole) if (kind === 'SEND') this.batches.push(words[0] as number);
  }

  /** All SENDs since the connection was opened. */
  wholeSends(): Frame[] {
    return wholeFramesOf(Buffer.concat(this.written)).whole.filter(({ kind }) => kind === 'SEND');
  }

  pause(): void {}
  resume(): void {}

  end(): void {
    this.isEnded = true;
  }

  say(...bytes: Uint8Array[]): void {
    const all = Uint8Array.from(Buffer.concat(bytes));
    this.events.received(all, 0, all.length);
  }

  /** The frames received since the last call. */
  async hear(): Promise<Frame[]> {
    await settled();
    const { heard } = this;
    this.heard = [];
    return heard;
  }

  /** The frames of this kind received since the last call. */
  async hearAll(kind: string): Promise<Frame[]> {
    return (await this.hear()).filter((one) => one.kind === kind);
  }

  async hearCall(): Promise<Frame> {
    const [call] = await this.hearAll('CALL');
    return call as Frame;
  }

  opening(options: KsockOptions = {}): Promise<Ksock> {
    return Ksock.open(
      (mode, events, signal) =>
        FramePort.open(
          (toldTo) => {
            this.events = toldTo;
            return this;
          },
          {
            mode,
            pid: 99,
            program: 'a test',
            defer: process.nextTick,
            deferLonger: setImmediate,
            told: new ToldNames(),
          },
          events,
          signal,
        ),
      options,
    );
  }

  async open(options: KsockOptions = {}, limits = {}): Promise<Ksock> {
    const opening = this.opening(options);
    await this.hear();
    this.say(welcome(limits));
    return opening;
  }
}

const message = (serial: number, text = String(serial)): Message =>
  new Message('$.a', text, { id: new MessageId(0, serial), from: 9 });
const reply = (serial: number, answers: number): Message =>
  new Message('$.a', null, {
    id: new MessageId(0, serial),
    inReplyTo: new MessageId(0, answers),
    from: 9,
    to: 5,
  });
const prefetched = (serial: number): Buffer => messagesFrame('PREFETCH', [message(serial)]);
const lentFirst = (serial: number): Buffer => messagesFrame('PREFETCH_URGENT', [message(serial)]);
const taken = (token: number, serial: number): Buffer =>
  messagesFrame('TAKEN', [message(serial)], { token });
const sent = (token: number, count: number, serial: number, bytes = 0): Buffer =>
  frame('SENT', { token, words: [count, 0, serial, bytes] });
/** A REFUSED of a send that used this serial number. */
const notSent = (token: number, errno: number, serial: number, detail = 1): Buffer =>
  frame('REFUSED', { detail, token, words: [errno, 0, serial, 0, 0, 0, 0, 0, 3], text: '$.a' });

describe('The first frames', () => {
  it('HELLO has the version, the mode, the process id and the program.', async () => {
    for (const [mode, word] of [
      ['r', 1 + HelloMode.NAMES],
      ['rw', 3 + HelloMode.NAMES],
    ] as const) {
      const script = new Script();
      const opening = script.opening({ mode });
      const [hello] = (await script.hear()) as [Frame];
      expect(hello.kind).toBe('HELLO');
      expect(hello.words.slice(0, 4)).toEqual([0x4b425553, PROTOCOL_VERSION, word, 99]);
      expect(frameText(hello, 4)).toBe('a test');
      script.say(welcome());
      const ksock = await opening;
      expect([ksock.id, ksock.number, ksock.mode]).toEqual([5, 0, mode]);
    }
  });

  it('a WELCOME of another version is an error that names both versions.', async () => {
    const script = new Script();
    const opening = refused(script.opening(), 'EPROTO');
    await script.hear();
    script.say(welcome({ version: PROTOCOL_VERSION + 1 }));
    const error = await opening;
    expect(error.message).toContain(
      `the daemon uses version ${PROTOCOL_VERSION + 1} of the protocol, this client version ${PROTOCOL_VERSION}; use the same version of the kbus package for both`,
    );
    expect(script.isEnded).toBe(true);
  });

  it('the farewell of a daemon of another version is the error of open.', async () => {
    const script = new Script();
    const opening = refused(script.opening(), 'EPROTO');
    await script.hear();
    script.say(frame('FAREWELL', { words: [Errno.EPROTO], text: 'speak louder' }));
    expect((await opening).message).toContain('open a bus over a transport (speak louder)');
  });

  it('a connection that ends before WELCOME is ECONNRESET.', async () => {
    const script = new Script();
    const opening = refused(script.opening(), 'ECONNRESET');
    await script.hear();
    script.events.closed(null);
    await opening;
  });

  it('a signal ends the wait for WELCOME.', async () => {
    const script = new Script();
    const controller = new AbortController();
    const opening = failed(script.opening({ signal: controller.signal }));
    await script.hear();
    controller.abort('enough');
    expect(await opening).toBe('enough');
    expect(script.isEnded).toBe(true);
    // Later frames have no effect.
    script.say(welcome());
    expect(await failed(script.opening({ signal: AbortSignal.abort('before') }))).toBe('before');
  });

  it('a FAREWELL right after WELCOME is an error, and no crash.', async () => {
    const script = new Script();
    const opening = refused(script.opening(), 'ECONNRESET');
    await script.hear();
    script.say(welcome(), frame('FAREWELL', { words: [Errno.ECONNRESET], text: 'stopping' }));
    expect((await opening).message).toContain('(stopping)');
  });
});

describe('Wrong frames of a daemon:', () => {
  const wrong: Record<string, Uint8Array> = {
    'an HTTP answer': Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    'a frame that is too short': Buffer.from([0, 0, 0, 8, 0, 0, 0, 0]),
    'a frame that is too long': Buffer.from([0x7f, 0xff, 0xff, 0xfc]),
    'a length that is no multiple of 4': Buffer.from([0, 0, 0, 13]),
    'a second welcome': welcome(),
    'a kind that there is not': frame(99),
    'what only a client says': frame('TAKE'),
    'an unknown token': frame('RESULT', { token: 77, words: [0, 0] }),
    'a refusal of nothing': frame('REFUSED', { token: 77, words: [1, 0, 0] }),
    'a refusal of a send that was not made': notSent(1, 1, 0),
    'a TAKEN without a TAKE': taken(3, 1),
    'that there is none, unasked': frame('NONE', { token: 3 }),
    'an ANSWER without a Request': messagesFrame('ANSWER', [reply(1, 1)], { token: 3 }),
    'answers of which one is to no Request': alikeFrame('ANSWER', reply(1, 1), ['a', 'b']),
    'an outcome without a send': sent(1, 1, 1),
    'a result of one word': frame('RESULT', { token: 1, words: [0] }),
    'a text that is longer than its frame': frame('FAREWELL', { words: [1, 900] }),
    'a message cut short': frame('PREFETCH', {
      words: [1, 9, 1],
      body: record(message(1)).subarray(0, 12),
    }),
    'no message at all': frame('PREFETCH'),
    'none, where it says so': frame('PREFETCH', { words: [0, 9, 1] }),
    'a message without a name': frame('PREFETCH', { words: [1, 9, 1], body: Buffer.alloc(12) }),
    'a message with a lying length': frame('PREFETCH', {
      words: [1, 9, 1],
      body: record(message(1)).fill(0x7f, 0, 4),
    }),
    'a first message that is like none before it': messagesFrame('PREFETCH', [same('a')], {
      serial: 1,
    }),
    'fewer messages than it says': messagesFrame('PREFETCH', [message(1)], { count: 2 }),
    'more messages than it says': messagesFrame('PREFETCH', [message(1), message(2)], { count: 1 }),
    'two urgent messages in one frame': messagesFrame('PREFETCH_URGENT', [message(1), message(2)]),
    'two messages for one TAKE': messagesFrame('TAKEN', [message(1), message(2)], { token: 1 }),
    'more messages than were asked for': alikeFrame(
      'PREFETCH',
      message(1),
      new Array(9000).fill(''),
    ),
    'a name with number 0': frame('NAMES', { words: [1, 0], text: '$.a' }),
    'a name with a number past the last': frame('NAMES', { words: [1, 16_385], text: '$.a' }),
    'more numbers than names': frame('NAMES', { words: [2, 1, 2], text: '$.a' }),
    'fewer numbers than names': frame('NAMES', { words: [1, 1], text: '$.a $.b' }),
    'a name that it has not told': messagesFrame('PREFETCH', [knownRecord('$.a', 3, 'x')], {
      serial: 1,
    }),
    'a record without a name that is cut short': frame('PREFETCH', {
      words: [1, 9, 1],
      body: knownRecord('$.a', 3, '').subarray(0, 12),
    }),
    'serial numbers past the last': alikeFrame('PREFETCH', message(0xffff_ffff), ['abcd', 'efgh']),
  };

  it.for([
    ['SENT', (token: number) => sent(token, 1, 0)],
    ['EAGAIN', (token: number) => notSent(token, Errno.EAGAIN, 0)],
  ] as const)('an outcome without an id (%s) ends the connection: EPROTO.', async ([, answer]) => {
    const script = new Script();
    const ksock = await script.open();
    const request = new Request('$.a', 'b', { flags: Flag.ALL_OR_WAIT });
    const sending = refused(ksock.sendMsg(request), 'EPROTO');
    const [send] = await script.hearAll('SEND');
    script.say(answer((send as Frame).token));
    await sending;
    expect(script.isEnded).toBe(true);
    script.events.closed(null);
  });

  it.for(Object.keys(wrong))('%s ends the connection: EPROTO.', async (what) => {
    const script = new Script();
    const told: KbusError[] = [];
    const ksock = await script.open({ onDisconnected: (error) => told.push(error) });
    const waits = [
      refused(ksock.waitForMsg(), 'EPROTO'),
      refused(ksock[Symbol.asyncIterator]().next(), 'EPROTO'),
    ];
    await script.hear();
    script.say(wrong[what] as Uint8Array);
    await Promise.all(waits);
    await refused(ksock.bind('$.a'), 'EPROTO');
    expect(script.isEnded).toBe(true);
    expect(told.map(({ code }) => code)).toEqual(['EPROTO']);
    // The client ignores all further frames.
    script.say(welcome(), prefetched(1));
  });

  it.for(['an HTTP answer', 'a kind that there is not', 'an unknown token'])(
    '%s instead of WELCOME is EPROTO.',
    async (what) => {
      const script = new Script();
      const opening = refused(script.opening(), 'EPROTO');
      await script.hear();
      script.say(wrong[what] as Uint8Array);
      await opening;
    },
  );
});

describe('The farewell of a daemon', () => {
  it('may be missing: then the error says whether a frame was incomplete.', async () => {
    const script = new Script();
    const ksock = await script.open();
    script.say(prefetched(1).subarray(0, 30));
    script.events.closed(null);
    const { message } = await refused(ksock.bind('$.a'), 'ECONNRESET');
    expect(message).toContain('(the connection ended in the middle of a message)');
  });

  it('gives the error of all further calls.', async () => {
    const script = new Script();
    const told: KbusError[] = [];
    const ksock = await script.open({ onDisconnected: (error) => told.push(error) });
    script.say(frame('FAREWELL', { words: [Errno.ECONNRESET], text: 'the daemon was stopped' }));
    script.events.closed(null);
    const error = await refused(ksock.bind('$.a'), 'ECONNRESET');
    expect(error.message).toContain("bind '$.a' as Listener (the daemon was stopped): ");
    expect(told).toHaveLength(1);
  });
});

describe('Reading', () => {
  const CREDIT = 8192;

  /** A Ksock in a loop that waits for its first message, and has granted credit. */
  async function reading() {
    const script = new Script();
    const ksock = await script.open();
    const iterator = ksock[Symbol.asyncIterator]();
    const first = iterator.next();
    await script.hear();
    return { script, ksock, iterator, first };
  }

  /** A Ksock with a handler, which has granted credit. */
  async function handling(handle: (ksock: Ksock) => Promise<unknown>) {
    const script = new Script();
    const handled = handle(await script.open());
    script.say(frame('RESULT', { token: (await script.hearCall()).token, words: [0, 0] }));
    await handled;
    return { script, asked: await script.hearAll('CREDIT') };
  }

  /** A Request that the client must answer. */
  function request(serial: number, text: string, from: number): Message {
    const flags = Flag.WANT_A_REPLY | Flag.WANT_YOU_TO_REPLY;
    return new Message('$.a', text, { flags, id: new MessageId(0, serial), from });
  }
  const alone = (one: Message): Buffer => messagesFrame('PREFETCH', [one]);

  it('sends RECALL before TAKE, even if all prefetched messages were consumed.', async () => {
    const script = new Script();
    const ksock = await script.open();
    const iterator = ksock[Symbol.asyncIterator]();
    const first = iterator.next();
    const [asked] = await script.hearAll('CREDIT');
    expect(asked?.words).toEqual([CREDIT]);
    // As many as the credit, so that it is spent.
    script.say(...Array.from({ length: CREDIT }, (_, at) => prefetched(at + 1)));
    expect((await first).value?.text()).toBe('1');
    for (let at = 2; at <= CREDIT; at++) await iterator.next();
    void ksock.readNextMsg();
    const kinds = (await script.hear()).map(({ kind, detail }) => `${kind} ${detail}`);
    expect(kinds.slice(-2)).toEqual([`CALL ${Op.RECALL}`, 'TAKE 0']);
  });

  it('reports consumed messages before any frame that depends on it.', async () => {
    const { script, ksock, iterator, first } = await reading();
    script.say(...[1, 2, 3, 4].map(prefetched));
    await first;
    await iterator.next();
    void ksock.numMessages();
    const frames = await script.hear();
    expect(frames.map(({ kind, consumed }) => [kind, consumed])).toEqual([['CALL', 2]]);
    await iterator.next();
    void ksock.unbind('$.a');
    const more = await script.hear();
    expect(more.map(({ kind, detail, consumed }) => [kind, detail, consumed])).toEqual([
      ['CALL', Op.RECALL, 1],
      ['CALL', Op.UNBIND, 0],
    ]);
  });

  it('ignores messages that were on their way at a RECALL.', async () => {
    const { script, ksock, iterator, first } = await reading();
    script.say(prefetched(1), prefetched(2));
    await first;
    const taking = ksock.readNextMsg();
    const [recall, take] = (await script.hear()).slice(-2) as [Frame, Frame];
    script.say(
      prefetched(3),
      lentFirst(4),
      frame('RESULT', { token: recall.token, words: [0, 0] }),
      taken(take.token, 4),
    );
    expect((await taking)?.text()).toBe('4');
    // Messages prefetched from now on count.
    const second = iterator.next();
    expect((await script.hearAll('CREDIT')).at(-1)?.words).toEqual([CREDIT]);
    script.say(prefetched(2));
    expect((await second).value?.text()).toBe('2');
  });

  it('gives the messages of a frame one by one, and an urgent message between them.', async () => {
    const { script, iterator, first } = await reading();
    const frameOfThree = alikeFrame('PREFETCH', message(5), ['five', 'six, which is longer', '']);
    // The bytes of the frame may arrive in any pieces.
    script.say(frameOfThree.subarray(0, frameOfThree.length - 10));
    script.say(Buffer.concat([frameOfThree.subarray(frameOfThree.length - 10), prefetched(8)]));
    const one = (await first).value as Message;
    expect([String(one.id), one.from, one.name, one.text()]).toEqual(['[0:5]', 9, '$.a', 'five']);
    script.say(lentFirst(4));
    const rest: string[] = [];
    for (let at = 0; at < 4; at++) {
      const { value } = await iterator.next();
      rest.push(`${value?.id} ${value?.text()}`);
    }
    expect(rest).toEqual(['[0:4] 4', '[0:6] six, which is longer', '[0:7] ', '[0:8] 8']);
  });

  it('sends a handler’s Replies in the tick in which the Requests arrived, in one write.', async () => {
    const { script } = await handling((ksock) => ksock.replier('$.a', ({ data }) => data));
    const writes = script.writes.length;
    script.say(alone(request(8, 'x', 8)), alone(request(9, 'x', 9)));
    expect(script.writes.slice(writes)).toEqual([1]);
    expect((await script.hear()).map(({ kind, consumed }) => `${kind} ${consumed}`)).toEqual([
      'SEND 2',
      'SEND 0',
    ]);
    await settled();
    expect(script.writes.slice(writes)).toEqual([1]);
  });

  it('reports a few consumed messages after the rest of the frame, and many at once.', async () => {
    const { script } = await handling((ksock) => ksock.listener('$.a', () => {}));
    const some = (from: number, count: number): Uint8Array[] =>
      Array.from({ length: count }, (_, at) => prefetched(from + at));
    const cut = prefetched(4);
    const told = async (): Promise<number[]> =>
      (await script.hear()).map(({ consumed }) => consumed);

    script.say(...some(1, 3), cut.subarray(0, 30));
    expect(await told()).toEqual([]);
    script.say(cut.subarray(30));
    expect(await told()).toEqual([4]);
    script.say(...some(5, 16), cut.subarray(0, 30));
    expect(await told()).toEqual([16]);
  });

  it('grants further credit when a handler has consumed all prefetched messages.', async () => {
    const { script, asked } = await handling((ksock) => ksock.listener('$.a', () => {}));
    expect(asked[0]?.words).toEqual([CREDIT]);
    script.say(...Array.from({ length: CREDIT }, (_, at) => prefetched(at + 1)));
    const [more] = await script.hearAll('CREDIT');
    expect([more?.consumed, more?.words]).toEqual([CREDIT, [CREDIT]]);
  });

  it('answers the Requests of one frame in one frame, which also reports them consumed.', async () => {
    const { script } = await handling((ksock) => ksock.replier('$.a', ({ data }) => data));
    const together = alikeFrame('PREFETCH', request(20, '', 9), ['1', '2', 'three', '4']);
    // A Reply to another requester, or out of sequence, is not SAME.
    const others = [request(24, '5', 8), request(25, 'six', 8), request(27, '7', 8)];
    script.say(together, ...others.map(alone));
    const [whole] = script.wholeSends();
    const replies = await script.hearAll('SEND');
    const { token } = replies[0] as Frame;
    expect(
      replies.map(({ token: of, detail, consumed, message: answer }) => [
        of - token,
        detail,
        consumed,
        String(answer?.inReplyTo),
        answer?.to,
        answer?.text(),
      ]),
    ).toEqual([
      [0, SendDetail.QUIET, 7, '[0:20]', 9, '1'],
      [1, SendDetail.QUIET, 0, '[0:21]', 9, '2'],
      [2, SendDetail.QUIET, 0, '[0:22]', 9, 'three'],
      [3, SendDetail.QUIET, 0, '[0:23]', 9, '4'],
      [4, SendDetail.QUIET, 0, '[0:24]', 8, '5'],
      [5, SendDetail.QUIET, 0, '[0:25]', 8, 'six'],
      [6, SendDetail.QUIET, 0, '[0:27]', 8, '7'],
    ]);
    const answering = (serial: number, to: number, text: string): Message =>
      new Reply('$.a', text, { inReplyTo: new MessageId(0, serial), to });
    expect(whole?.body.subarray(12)).toEqual(
      Buffer.concat([
        record(answering(20, 9, '1')),
        ...['2', 'three', '4'].map(same),
        record(answering(24, 8, '5')),
        same('six'),
        record(answering(27, 8, '7')),
      ]),
    );
    expect([script.batches, script.writes.at(-1)]).toEqual([[7], 1]);
  });

  it('sends Requests in one frame, and accepts the Replies in one, in any pieces.', async () => {
    for (const size of [1, 50, 1000]) {
      const script = new Script();
      const ksock = await script.open();
      const texts = ['un', 'de', 'trois'];
      const answers = texts.map((text) => ksock.request('$.a', text));
      const asked = await script.hearAll('SEND');
      const { token } = asked[0] as Frame;
      const detail = asked[0]?.detail as number;
      expect(detail & SendDetail.ANSWERED).not.toBe(0);
      expect(asked.map((one) => [one.token - token, one.detail, one.message?.text()])).toEqual(
        texts.map((text, at) => [at, detail, text]),
      );
      expect(script.batches).toEqual([3]);
      const together = alikeFrame('ANSWER', reply(30, 20), ['one', '', 'three'], { token });
      for (let at = 0; at < together.length; at += size) {
        script.say(together.subarray(at, at + size));
      }
      const replies = await Promise.all(answers);
      expect(replies.map((one) => `${one.id} ${one.inReplyTo} ${one.text()}`)).toEqual([
        '[0:30] [0:20] one',
        '[0:31] [0:21] ',
        '[0:32] [0:22] three',
      ]);
    }
  });

  it('ignores a frame that was incomplete at a RECALL.', async () => {
    const { script, ksock, iterator, first } = await reading();
    const together = alikeFrame('PREFETCH', message(5), ['five', 'six', 'seven']);
    script.say(prefetched(4), together.subarray(0, together.length - 10));
    await first;
    const taking = ksock.readNextMsg();
    const [recall, take] = (await script.hear()).slice(-2) as [Frame, Frame];
    script.say(
      together.subarray(together.length - 10),
      frame('RESULT', { token: recall.token, words: [0, 0] }),
      taken(take.token, 6),
    );
    expect((await taking)?.text()).toBe('6');
    const second = iterator.next();
    await script.hear();
    script.say(prefetched(7));
    expect((await second).value?.text()).toBe('7');
  });

  it('acknowledges an urgent message, and reports the messages consumed before it.', async () => {
    const { script, iterator, first } = await reading();
    script.say(prefetched(1), prefetched(2));
    await first;
    script.say(lentFirst(3), lentFirst(4));
    const seen = await script.hearAll('URGENT_ACK');
    expect(seen.map(({ consumed }) => consumed)).toEqual([1, 0]);
    expect((await iterator.next()).value?.text()).toBe('4');
    expect((await iterator.next()).value?.text()).toBe('3');
    expect((await iterator.next()).value?.text()).toBe('2');
  });
});

describe('Sending', () => {
  it('the client has at most the allowed number of sends in flight, and keeps the others.', async () => {
    const script = new Script();
    const ksock = await script.open({}, { sends: 4 });
    const ids = Array.from({ length: 10 }, () => ksock.sendMsg(new Announcement('$.a')));
    const sends = await script.hearAll('SEND');
    expect(sends).toHaveLength(4);
    script.say(sent((sends[0] as Frame).token, 3, 1));
    const more = await script.hearAll('SEND');
    expect(more).toHaveLength(3);
    script.say(sent((sends[3] as Frame).token, 4, 4));
    const rest = await script.hearAll('SEND');
    expect(rest).toHaveLength(3);
    script.say(sent((rest[0] as Frame).token, 3, 8));
    expect((await Promise.all(ids)).map(({ serialNum }) => serialNum)).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
    ]);
  });

  it('the client has at most the allowed bytes in flight; a single message may have more.', async () => {
    const script = new Script();
    const ksock = await script.open({}, { bytes: 1000 });
    const send = (length: number): void => {
      void ksock.sendMsg(new Announcement('$.a', new Uint8Array(length)));
    };
    for (const length of [400, 400, 400, 5000, 10]) send(length);
    const one = await script.hearAll('SEND');
    expect(one).toHaveLength(2);
    script.say(sent((one[0] as Frame).token, 2, 1, 800));
    const two = await script.hearAll('SEND');
    expect(two).toHaveLength(1);
    script.say(sent((two[0] as Frame).token, 1, 3, 400));
    const three = await script.hearAll('SEND');
    expect(three).toHaveLength(1);
    script.say(sent((three[0] as Frame).token, 1, 4, 5000));
    expect(await script.hearAll('SEND')).toHaveLength(1);
  });

  it('SENT and REFUSED release the bytes of posted messages, of any length.', async () => {
    const script = new Script();
    const ksock = await script.open({}, { bytes: 1000 });
    const lengths = [100, 700, 200, 300, 500, 150, 1000];
    const told: Promise<string | void>[] = [];
    for (const length of lengths) {
      const ready = ksock.post(new Announcement('$.a', new Uint8Array(length)));
      told.push(Promise.resolve(ready).catch((error: KbusError) => error.code));
    }
    const under = async (): Promise<(number | undefined)[]> =>
      (await script.hearAll('SEND')).map(({ message: one }) => one?.dataLength);
    expect(await under()).toEqual([100, 700, 200]);
    const refusal = (token: number, length: number): Buffer =>
      frame('REFUSED', {
        detail: 1,
        token,
        words: [Errno.EBUSY, 0, 3, 0, 0, 0, 0, length, 3],
        text: '$.a',
      });
    script.say(sent(1, 1, 1, 100));
    // 900 bytes are still in flight, so 300 more would exceed the limit.
    expect(await under()).toEqual([]);
    script.say(refusal(2, 700));
    expect(await under()).toEqual([300, 500]);
    script.say(sent(3, 3, 4, 1000));
    expect(await under()).toEqual([150]);
    script.say(sent(6, 1, 7, 150));
    expect(await under()).toEqual([1000]);
    script.say(sent(7, 1, 8, 1000));
    await ksock.flush();
    expect(await Promise.all(told)).toContain('EBUSY');
  });

  it('an unsent message is cancelled without a frame to the daemon.', async () => {
    const script = new Script();
    const ksock = await script.open({}, { sends: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const first = ksock.sendMsg(new Announcement('$.a'));
    const second = failed(ksock.sendMsg(new Announcement('$.b'), { signal }));
    const third = ksock.sendMsg(new Announcement('$.c'));
    const [send] = await script.hearAll('SEND');
    controller.abort('enough');
    expect(await second).toBe('enough');
    expect(await script.hear()).toEqual([]);
    script.say(sent((send as Frame).token, 1, 1));
    await first;
    const [last] = await script.hearAll('SEND');
    script.say(sent((last as Frame).token, 1, 2));
    expect((await third).serialNum).toBe(2);
  });

  it('all frames of one tick leave in one write.', async () => {
    const script = new Script();
    const ksock = await script.open();
    await script.hear();
    script.writes.length = 0;
    void ksock.bind('$.a');
    void ksock.sendMsg(new Announcement('$.a', 'x'));
    void ksock.sendMsg(new Announcement('$.a', 'y'));
    void ksock.request('$.a');
    void ksock.waitForMsg();
    const frames = await script.hear();
    expect(frames.map(({ kind }) => kind)).toEqual(['CALL', 'SEND', 'SEND', 'SEND', 'TAKE']);
    expect(script.batches).toEqual([2, 1]);
    expect(script.writes).toEqual([4]);
  });

  it('messages that a program awaits leave as soon as they fill a frame, posted ones do not.', async () => {
    const script = new Script();
    const ksock = await script.open();
    await script.hear();
    const announcement = (at: number): Message =>
      new Announcement(`$.a${at}`, new Uint8Array(1000));
    script.writes.length = 0;
    const sends = Array.from({ length: 40 }, (_, at) => ksock.sendMsg(announcement(at)));
    expect(script.writes).toEqual([1, 1]);
    await settled();
    expect(script.writes).toEqual([1, 1, 1]);
    expect(script.batches).toEqual([16, 15, 9]);
    script.writes.length = 0;
    for (let at = 0; at < 40; at++) ksock.post(announcement(at));
    expect(script.writes).toEqual([]);
    await settled();
    expect(script.writes).toEqual([3]);
    script.events.closed(null);
    await Promise.all(sends.map(failed));
  });

  it('a message keeps all its fields, whatever was sent before it.', async () => {
    const script = new Script();
    const ksock = await script.open({}, { bytes: 10_000_000 });
    const inReplyTo = new MessageId(3, 4);
    const messages = [
      new Announcement('$.a', 'one'),
      new Announcement('$.a', 'two'),
      new Announcement('$.a', 'three'),
      new Announcement('$.b', 'three'),
      new Announcement('$.b', 'three', { flags: Flag.URGENT }),
      new Request('$.b', 'three'),
      new Request('$.b', 'three', { to: 5 }),
      new Reply('$.b', 'three', { inReplyTo, to: 6 }),
      new Announcement('$.b', 'three', { id: new MessageId(7, 8) }),
      new Announcement('$.b', 'three'),
      new Announcement('$.b'),
      new Announcement('$.b', new Uint8Array(50_001).fill(3)),
      new Announcement('$.b', 'four'),
      new Announcement('$.b', 'carried', { origFrom: new OrigFrom(1, 2) }),
      new Announcement('$.b', 'carried', { finalTo: new OrigFrom(1, 2) }),
    ];
    // Each once more, so that all fields are equal.
    messages.push(...messages.flatMap((one) => [one, one]));
    for (const one of messages) void ksock.sendMsg(one).catch(() => {});
    const sends = await script.hearAll('SEND');
    expect(sends).toHaveLength(messages.length);
    sends.forEach((send, at) => {
      const { message: told, detail } = send;
      expect(detail).toBe(0);
      const expected = messages[at] as Message;
      expect(told?.extract().slice(0, -1).map(String)).toEqual(
        expected.extract().slice(0, -1).map(String),
      );
      expect(Buffer.from(told?.data ?? []).equals(expected.data)).toBe(true);
    });
  });

  it('each send has the right detail bits.', async () => {
    const script = new Script();
    const ksock = await script.open();
    void ksock.sendMsg(new Announcement('$.a'), { wait: true });
    void ksock.request('$.b');
    void ksock.request('$.b', '', { flags: Flag.ALL_OR_WAIT });
    const sends = await script.hearAll('SEND');
    expect(sends.map(({ detail }) => detail)).toEqual([
      SendDetail.WAIT,
      // It queues behind one that waits, so it must be counted.
      SendDetail.ANSWERED | SendDetail.ROOM,
      SendDetail.ANSWERED | SendDetail.ROOM | SendDetail.WAIT,
    ]);
    // The message has ALL_OR_WAIT, too.
    expect(sends.map(({ message: told }) => (told?.flags ?? 0) & Flag.ALL_OR_WAIT)).toEqual([
      Flag.ALL_OR_WAIT,
      0,
      Flag.ALL_OR_WAIT,
    ]);
    const quiet = new Script();
    const requester = await quiet.open();
    void requester.request('$.b');
    void requester.request('$.b', '', { wait: false });
    expect((await quiet.hearAll('SEND')).map(({ detail }) => detail)).toEqual([
      SendDetail.ANSWERED | SendDetail.ROOM | SendDetail.QUIET,
      SendDetail.ANSWERED | SendDetail.QUIET,
    ]);
  });

  it('REFUSED is the outcome of the oldest send.', async () => {
    const script = new Script();
    const ksock = await script.open();
    const sends = [1, 2, 3].map(() => ksock.sendMsg(new Announcement('$.a')));
    const second = refused(sends[1] as Promise<unknown>, 'EBUSY');
    const [one, two, three] = (await script.hearAll('SEND')) as [Frame, Frame, Frame];
    script.say(sent(one.token, 1, 1), notSent(two.token, Errno.EBUSY, 2), sent(three.token, 1, 3));
    await second;
    expect((await sends[0])?.serialNum).toBe(1);
    expect((await sends[2])?.serialNum).toBe(3);
  });

  it('a Request that waits for ROOM is acknowledged without an id; its outcome may come at any time.', async () => {
    for (const isRefused of [false, true]) {
      const script = new Script();
      const ksock = await script.open();
      const waits = ksock.sendMsg(new Announcement('$.a'), { wait: true });
      // It queues behind one that waits, so it is counted.
      const asking = ksock.request('$.b');
      const last = ksock.sendMsg(new Announcement('$.d'));
      const [one, two, three] = (await script.hearAll('SEND')) as [Frame, Frame, Frame];
      expect(two.detail).toBe(SendDetail.ANSWERED | SendDetail.ROOM);
      script.say(
        sent(one.token, 1, 1),
        frame('SENT', { token: two.token, words: [1, 0, 0, 0] }),
        sent(three.token, 1, 2),
      );
      expect([String(await waits), String(await last)]).toEqual(['[0:1]', '[0:2]']);
      // No send waits for it.
      await ksock.flush();
      if (isRefused) {
        const refusing = refused(asking, 'EADDRNOTAVAIL');
        script.say(notSent(two.token, Errno.EADDRNOTAVAIL, 4, 2));
        await refusing;
      } else {
        script.say(messagesFrame('ANSWER', [reply(5, 4)], { token: two.token }));
        expect(String((await asking).inReplyTo)).toBe('[0:4]');
      }
    }
  });

  it('an unknown error number is still an error.', async () => {
    const script = new Script();
    const ksock = await script.open();
    const bound = failed(ksock.bind('$.a'));
    const call = await script.hearCall();
    script.say(frame('REFUSED', { token: call.token, words: [9999, 0, 0] }));
    expect(String(await bound)).toContain('9999');
  });
});
