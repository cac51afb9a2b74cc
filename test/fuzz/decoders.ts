import { deepStrictEqual, strictEqual } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import type { Random } from '../../harness/random.mjs';
import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { plainMemory } from '../../src/base/memory.ts';
import { Slab } from '../../src/base/slab.ts';
import { Buses } from '../../src/bus/buses.ts';
import { Bus, MessageBatch } from '../../src/bus/index.ts';
import type { BusKsock } from '../../src/bus/ksock.ts';
import type { KsockOwner } from '../../src/bus/ksock-state.ts';
import { Ksock } from '../../src/client/ksock.ts';
import { FramePort } from '../../src/client/ports/frame-port.ts';
import { type Port, PortError } from '../../src/client/ports/port.ts';
import { KeptMemory, PrefetchedBatch } from '../../src/client/ports/prefetched-batch.ts';
import { MAX_SOCKETS, takeActivation } from '../../src/daemon/activation.ts';
import { checkSettings } from '../../src/daemon/check-settings.ts';
import { ConfigError, readConfig } from '../../src/daemon/config.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import { entireOf } from '../../src/device/bytes.ts';
import { CallerMemory } from '../../src/device/caller-memory.ts';
import { Device } from '../../src/device/device.ts';
import type { Answer } from '../../src/fuse/answer.ts';
import { AnswerEncoder } from '../../src/fuse/answer.ts';
import { type Request as FuseRequest, RequestDecoder } from '../../src/fuse/request.ts';
import { splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { Op } from '../../src/message/calls.ts';
import { Assembler } from '../../src/message/codec/assembler.ts';
import { knownNames } from '../../src/message/codec/known-names.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { decodeNetwork, encodeNetwork } from '../../src/message/codec/network.ts';
import { checkRecords, HeadReader } from '../../src/message/codec/records.ts';
import { KbusError } from '../../src/message/error.ts';
import { Flag } from '../../src/message/flags.ts';
import { MessageId } from '../../src/message/id.ts';
import { Announcement, Message, Reply, Request } from '../../src/message/message.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { EventError, EventReader } from '../../src/tap/event-reader.ts';
import type { Channel } from '../../src/transport/channel.ts';
import { wordsFrame } from '../../src/wire/frame.ts';
import { FrameKind, HelloMode, PROTOCOL_VERSION } from '../../src/wire/protocol.ts';
import { ToldNames } from '../../src/wire/told-names.ts';
import { unlimitedTurns } from '../support/unlimited-turns.ts';
import { feedClassicMessage, feedLimpet } from './limpet-links.ts';
import { type Cut, cut, KNOWN_NAME, together } from './mutate.ts';

/** Feeds bytes to a decoder; throws if its behaviour is not the documented one. */
export type Feed = (bytes: Uint8Array, random: Random) => void | Promise<void>;

/** The longest answer, in bytes, to a peer's bytes. */
const MAX_ANSWER = 64 * 1024 * 1024;

/** A channel that counts what a session or a port writes. */
class Drain implements Channel {
  /** Bytes that were written and not read. */
  backlog = 0;
  written = 0;
  isEnded = false;
  last: Uint8Array = new Uint8Array(0);

  write(pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) {
      this.written += piece.length;
      this.last = piece;
    }
    if (this.written > MAX_ANSWER) throw new Error(`${this.written} bytes were written`);
  }

  pause(): void {}
  resume(): void {}
  end(): void {
    this.isEnded = true;
  }
}

const CUTS = ['whole', 'single', 'any'] as const;

const host: SessionHost = {
  flushes: new FlushScheduler(),
  turns: unlimitedTurns(),
  chunks: null,
  slab: new Slab(65_536, plainMemory),
  pid: 1,
  newDevice: async () => -22,
  warn: () => {},
};

function hello(mode: number = HelloMode.BOTH): Uint8Array {
  return wordsFrame(FrameKind.HELLO, 0, 0, 0, [0x4b425553, PROTOCOL_VERSION, mode, 77], 'fuzz');
}

/** A client that has said this twice is told the number of its name. */
function knownSend(token: number): Uint8Array {
  const frame = new Uint8Array(48);
  const view = new DataView(frame.buffer);
  const words = [48, FrameKind.SEND * 0x100_0000, token, 1, 0, 0, 0, KNOWN_NAME.length * 0x1_0000];
  for (const [at, word] of words.entries()) view.setUint32(at * 4, word);
  frame.set(Buffer.from(KNOWN_NAME), 40);
  return frame;
}

function receive(to: { received(b: Uint8Array, f: number, t: number): void }, bytes: Uint8Array) {
  // A copy: the receiver may overwrite its input.
  const copy = bytes.slice();
  to.received(copy, 0, copy.length);
}

/** A Ksock that sends nothing. */
const nobody: KsockOwner = { queued: () => {}, answered: () => {}, roomMade: () => {} };

/** A bus with a listener, and another connection, on which the input must have no effect. */
class Ground {
  readonly bus = new Bus({ maxMessages: 20, maxMessageSize: 4096, absoluteMaxMessageSize: 8192 });
  readonly listener: BusKsock = this.bus.open(nobody, { mode: 'rw' });
  readonly drain = new Drain();
  readonly one = new Session(host, this.bus, this.drain);
  private readonly witnessDrain = new Drain();
  private readonly witness = new Session(host, this.bus, this.witnessDrain);

  constructor(limit: number, listens = true) {
    this.listener.maxMessages(limit);
    // A legal KICK would end the others.
    this.bus.departure.kick = () => 0;
    if (listens) this.listener.bind('$.*', false);
  }

  /** The Ksock ids are the listener's 1, the client's 2 and the witness's 3. */
  greet(): void {
    knownNames.clear();
    receive(this.one, hello(HelloMode.BOTH | HelloMode.NAMES));
    for (const token of [1, 2]) receive(this.one, knownSend(token));
    this.heard();
    receive(this.witness, hello());
  }

  /** The messages that the listener got. */
  heard(): string[] {
    const all: string[] = [];
    for (let got = this.listener.take(); got !== null; got = this.listener.take()) {
      all.push(Buffer.from(entireOf(got, this.listener.tookRequest)).toString('hex'));
    }
    return all;
  }

  end(): void {
    if (this.witnessDrain.written === 0) receive(this.witness, hello());
    const before = this.witnessDrain.written;
    receive(this.witness, wordsFrame(FrameKind.CALL, Op.NUM_MESSAGES, 0, 2, [0]));
    strictEqual(this.witnessDrain.isEnded, false, 'another connection was ended');
    strictEqual(this.witnessDrain.written > before, true, 'another connection was not answered');
    this.one.closed();
    this.witness.closed();
    this.listener.close();
    strictEqual(this.bus.ksocks.size, 0, 'a Ksock is left');
  }
}

/** Frames of a client: they must have the same effects however the bytes are cut. */
const session: Feed = (bytes, random) => {
  const said = random.chance(0.4) ? together(random, bytes) : bytes;
  const limit = random.pick([20, 0xffff_ffff]);
  const isSlow = random.chance(0.1);
  const listens = random.chance(0.7);
  const grounds = (['whole', random.pick(['single', 'any'] as const)] as const).map((how) => {
    const ground = new Ground(limit, listens);
    ground.greet();
    if (isSlow) ground.drain.backlog = MAX_ANSWER;
    for (const piece of cut(random, said, how)) receive(ground.one, piece);
    ground.drain.backlog = 0;
    ground.one.drained();
    return ground;
  }) as [Ground, Ground];
  const [whole, pieces] = grounds;
  // The number of prefetched messages depends on timing, so one may break a rule where the other does not.
  if (!whole.drain.isEnded && !pieces.drain.isEnded) {
    deepStrictEqual(
      pieces.heard(),
      whole.heard(),
      'the messages of other Ksocks depend on how bytes are cut',
    );
  }
  for (const ground of grounds) ground.end();
};

/** The first frames of a client. */
const helloFeed: Feed = (bytes, random) => {
  const ground = new Ground(20);
  for (const piece of cut(random, bytes, random.pick(CUTS))) receive(ground.one, piece);
  ground.end();
};

interface Events {
  received(bytes: Uint8Array, from: number, to: number): void;
  closed(error: null): void;
}

/** A client's end of a connection, without a daemon. */
class Client {
  readonly drain = new Drain();
  ended = 0;
  port: FramePort | null = null;
  readonly failures: unknown[] = [];
  private events!: Events;
  private readonly flushes: (() => void)[] = [];
  private readonly opening: Promise<void>;

  constructor() {
    const defer = (flush: () => void): unknown => this.flushes.push(flush);
    this.opening = FramePort.open(
      (events) => {
        this.events = events as Events;
        return this.drain;
      },
      { mode: 'rw', pid: 1, program: 'fuzz', told: new ToldNames(), defer, deferLonger: defer },
      { closed: () => this.ended++, missed: () => {} },
    ).then(
      (made) => {
        this.port = made;
      },
      (error: unknown) => this.expected(error),
    );
  }

  /** Records undocumented errors. */
  readonly expected = (error: unknown): void => {
    if (!(error instanceof PortError) && !(error instanceof KbusError)) this.failures.push(error);
  };

  async hear(bytes: Uint8Array, random: Random, how: Cut): Promise<void> {
    for (const piece of cut(random, bytes, how)) receive(this.events, piece);
    await this.opening;
  }

  private readonly asking = {
    token: 0,
    answered: () => {},
    refused: (error: unknown) => this.expected(error),
  };

  /** A call waits for each kind of answer; the tokens are 1, 2, 3, ... */
  ask(takes: boolean): void {
    const port = this.port as FramePort;
    port.call(Op.BIND, 0, '$.A').catch(this.expected);
    port
      .send(new Announcement('$.A', 'a'), false, undefined, (refusal) => refusal)
      .catch(this.expected);
    port.request(new Request('$.A', 'b'), this.asking, false);
    port.send(new Request('$.A', 'c'), true, undefined, (refusal) => refusal).catch(this.expected);
    port.post(new Announcement('$.A', 'd'), false, () => {});
    const reply = new Reply('$.A', 'e', { to: 1, inReplyTo: new MessageId(0, 1) });
    if (!takes) {
      port.readable().catch(this.expected);
      for (const data of ['j', 'k', 'l'])
        port.request(new Request('$.A', data), this.asking, false);
      port.reply(reply, () => {});
      return;
    }
    port.take(true, undefined).catch(this.expected);
    port.call(Op.UNBIND, 0, '$.A').catch(this.expected);
    for (const data of ['f', 'g', 'h']) port.post(new Announcement('$.A', data), true, () => {});
    const waits = new Request('$.A', 'i', { flags: Flag.ALL_OR_WAIT });
    port.request(waits, this.asking, true);
    port.call(Op.RESEND, 0, '').catch(this.expected);
    port.writable(undefined).catch(this.expected);
    port.flushed().catch(this.expected);
    port.ready().catch(this.expected);
    port.reply(reply, () => {});
  }

  /** Consumes all messages. */
  given(): string[] {
    const all: string[] = [];
    if (this.port === null) return all;
    for (let message = this.port.tryNext(); message !== null; message = this.port.tryNext()) {
      all.push(Buffer.from(message.toBytes()).toString('hex'));
    }
    for (const flush of this.flushes) flush();
    return all;
  }

  async end(): Promise<void> {
    const { ended, drain } = this;
    if (this.port !== null && (ended > 1 || (ended === 1) !== drain.isEnded)) {
      throw new Error(`ended ${ended} times`);
    }
    this.events.closed(null);
    await Promise.resolve();
    if (this.failures.length > 0) throw this.failures[0];
  }
}

const WELCOME = [0x4b425553, PROTOCOL_VERSION, 0, 5, 1, 100, 1_000_000, 8192];

/** Frames of a daemon: the program must consume the same messages however the bytes are cut. */
const port: Feed = async (bytes, random) => {
  const said = random.chance(0.4) ? together(random, bytes) : bytes;
  const clients = [new Client(), new Client()] as const;
  const takes = random.chance(0.5);
  const hows = ['whole', random.pick(['single', 'any'] as const)] as const;
  for (const [at, client] of clients.entries()) {
    await client.hear(wordsFrame(FrameKind.WELCOME, 0, 0, 0, WELCOME), random, 'whole');
    await client.hear(wordsFrame(FrameKind.NAMES, 0, 0, 0, [1, 1], KNOWN_NAME), random, 'whole');
    client.ask(takes);
    await client.hear(said, random, hows[at] as Cut);
  }
  const [whole, pieces] = clients;
  deepStrictEqual(
    pieces.given(),
    whole.given(),
    'the consumed messages depend on how bytes are cut',
  );
  strictEqual(pieces.ended, whole.ended, 'the end of the connection depends on how bytes are cut');
  for (const client of clients) await client.end();
};

/** The first frames of a daemon. */
const welcome: Feed = async (bytes, random) => {
  const client = new Client();
  const heard = client.hear(bytes, random, random.pick(CUTS));
  // Without WELCOME the client goes on waiting.
  await Promise.race([heard, Promise.resolve().then(() => {})]);
  client.given();
  await client.end();
  await heard;
};

/** The text of a RESULT that a program reads as a report. */
const report: Feed = async (bytes) => {
  const ksock = await Ksock.open(async () => ({
    ...({} as Port),
    busNumber: 0,
    ksockId: 1,
    call: async () => ({ first: 0, second: 0, text: text.decode(bytes) }),
    close: async () => {},
  }));
  for (const read of [() => ksock.readBindings(), () => ksock.stats()]) {
    await read().catch((error: unknown) => {
      if (!(error instanceof KbusError)) throw error;
    });
  }
  await ksock.close();
};

const entire: Feed = (bytes) => {
  let message: Message;
  try {
    message = Message.fromBytes(bytes);
  } catch (error) {
    if (error instanceof KbusError) return;
    throw error;
  }
  const again = message.toBytes();
  strictEqual(again.length, bytes.length, 'a decoded message is encoded to another length');
  strictEqual(Message.fromBytes(again).equivalent(message), true);
};

const assembler: Feed = (bytes, random) => {
  let expected = 0;
  try {
    Message.fromBytes(bytes);
  } catch (error) {
    expected = (error as KbusError).errno;
  }
  const results = CUTS.map((how) => {
    const one = new Assembler();
    for (const piece of cut(random, bytes, how)) {
      const errno = one.write(piece, 1_000_000);
      if (errno !== 0) {
        strictEqual(one.isEmpty, true, 'a refused message is dropped');
        return errno;
      }
    }
    if (one.isComplete && one.pointy === null) one.message();
    return one.isComplete ? 0 : -1;
  });
  strictEqual(
    results[0] === 0,
    results[1] === 0,
    `whole ${results[0]}, byte by byte ${results[1]}`,
  );
  strictEqual(
    results[1] === 0,
    results[2] === 0,
    `byte by byte ${results[1]}, in pieces ${results[2]}`,
  );
  if (expected === 0) strictEqual(results[0], 0, 'a message that can be decoded can be written');
};

const network: Feed = (bytes) => {
  const message = decodeNetwork(bytes);
  if (typeof message === 'string') return;
  // All but padding and `extra` is preserved.
  const again = decodeNetwork(encodeNetwork(message));
  strictEqual(String(again), String(message));
};

const heads = new HeadReader(true);
const numbers = new NameNumbers();
const kept = new KeptMemory(plainMemory);
const records: Feed = (bytes, random) => {
  const at = random.below(8);
  const around = new Uint8Array(at + bytes.length + 8).fill(0xee);
  around.set(bytes, at);
  const sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  const most = 1 + random.below(8);
  let count = 1;
  while (count <= most && checkRecords(around, at, bytes.length, count, 0, sums, numbers) !== '')
    count++;
  if (count > most) return;
  const expected = { ...sums };
  // Accepted records can be read as `count` messages, one by one, and from any of them on.
  const prefetched = new PrefetchedBatch(
    heads,
    kept,
    around,
    at,
    at + bytes.length,
    count,
    1,
    1,
    0,
  );
  const batch = MessageBatch.ofRecords(around, at, at + bytes.length, count, sums, null);
  const rest = MessageBatch.ofRecords(around, at, at + bytes.length, count, sums, null);
  const first = count === 1 ? null : rest.split(1 + random.below(count - 1));
  let data = 0;
  for (let index = 0; index < count; index++) {
    const message = prefetched.next();
    const inRest = index - (first?.count ?? 0);
    const from = inRest < 0 ? (first as MessageBatch) : rest;
    for (const one of [batch.one(index), from.one(inRest < 0 ? index : inRest)]) {
      deepStrictEqual(one.copyData(), Uint8Array.from(message.data));
      deepStrictEqual(
        [one.name, one.flags, one.to, one.replyNetwork, one.replySerial],
        [
          message.name,
          message.flags,
          message.to,
          message.inReplyTo.networkId,
          message.inReplyTo.serialNum,
        ],
      );
    }
    data += message.dataLength;
  }
  strictEqual(data, expected.data);
};

const bindEvent: Feed = (bytes) => {
  try {
    const { name } = splitReplierBindEventData(bytes);
    strictEqual(name.length <= bytes.length, true);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
};

const text = new TextDecoder();
const config: Feed = (bytes, random) => {
  let values: Record<string, unknown>;
  try {
    values = parse(text.decode(bytes));
  } catch (error) {
    if (error instanceof TomlError) return;
    throw error;
  }
  checkSettings(values);
  if (!random.chance(0.01)) return;
  const path = `${process.env['TMPDIR'] ?? '/tmp'}/kbus-fuzz-${process.pid}.toml`;
  writeFileSync(path, bytes);
  try {
    readConfig(path);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
  }
};

const fuse: Feed = (bytes, random) => {
  // Some get the right length in their header, which the kernel always sets.
  if (bytes.length >= 4 && random.chance(0.8)) {
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length, true);
  }
  const request = new RequestDecoder(bytes).decode(bytes.length);
  if (request?.op === 'write') strictEqual(request.data.length <= bytes.length, true);
};

/** The memory of programs that pass any address: names, long data, and no memory. */
class AnyMemory extends CallerMemory {
  override async read(_: unknown, address: bigint, length: number): Promise<Uint8Array | null> {
    if ((address & 3n) === 3n || length > 8192) return null;
    if ((address & 15n) === 5n) throw new Error('no memory at this address');
    const bytes = new Uint8Array(length).fill(0x41);
    bytes.set([0x24, 0x2e].slice(0, length));
    // As a pointer, it has another address.
    return (address & 1n) === 0n ? bytes : bytes.fill(Number(address & 0xffn));
  }

  override isOurs(pid: number): boolean {
    return pid === 99;
  }
}

/** Many FUSE requests, one after the other: all but two kinds get exactly one answer. */
const device: Feed = async (bytes) => {
  const buses = new Buses(1, { maxMessages: 20, maxMessageSize: 8192 });
  const newDevice = async () => buses.newDevice();
  const of = { flushes: new FlushScheduler(), buses, newDevice, isFull: () => buses.count > 100 };
  const it = new Device(of, { mode: 0o660, uid: 1, gid: 1 }, new AnyMemory());
  const encoder = new AnswerEncoder();
  const asked = new Map<bigint, FuseRequest>();
  const kernel = {
    answer({ unique, op }: FuseRequest, answer: Answer) {
      if (!asked.delete(unique)) throw new Error(`${op} was answered twice`);
      encoder.encode(unique, answer);
    },
    wake() {},
  };
  let unique = 0n;
  for (let at = 0; at + 40 <= bytes.length; ) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
    const length = Math.min(Math.max(view.getUint32(0, true), 40), view.byteLength);
    view.setUint32(0, length, true);
    view.setBigUint64(8, ++unique, true);
    const one = bytes.slice(at, at + length);
    at += length;
    const request = new RequestDecoder(one).decode(length);
    // Requests that the connection itself answers, or that the kernel does not send.
    if (request === null || ['init', 'unknown', 'malformed'].includes(request.op)) continue;
    const isWaitedFor = [...asked.values()].some(
      (other) => 'handle' in other && 'handle' in request && other.handle === request.handle,
    );
    if (request.op === 'release' && isWaitedFor) continue;
    if (request.op !== 'forget' && request.op !== 'interrupt') asked.set(unique, request);
    it.handle(request, kernel);
    // The bytes are borrowed.
    one.fill(0xee);
    if ((unique & 3n) === 0n) await new Promise(setImmediate);
  }
  for (let turns = 0; turns < 100 && asked.size > 0; turns++) await new Promise(setImmediate);
  deepStrictEqual([...asked.values()], [], 'not answered');
  it.close();
  for (const bus of buses) strictEqual(bus.ksocks.size, 0, 'a Ksock is left');
};

/** The socket variables of systemd. */
const activation: Feed = (bytes) => {
  const [pid = '', fds = ''] = text.decode(bytes).replaceAll('PID', `${process.pid}`).split('\n');
  const env = { LISTEN_PID: pid, LISTEN_FDS: fds };
  const taken = takeActivation(env);
  strictEqual(taken.length <= MAX_SOCKETS, true, `${taken.length} sockets`);
  if (taken.length > 0)
    strictEqual('LISTEN_FDS' in env, false, 'child processes would get the variables');
};

/** A block of events: it is read, or refused as a whole, whatever its bytes are. */
const events: Feed = (bytes) => {
  const reader = new EventReader();
  const view = new BusView();
  try {
    for (const event of reader.read(bytes)) {
      view.apply(event);
      if (event.type !== 'messages' && event.type !== 'refused') continue;
      for (const message of event.messages) {
        strictEqual(message.data.length <= bytes.length, true, 'data outside of the block');
        strictEqual(message.wholeLength >= message.dataLength, true, 'data longer than it was');
      }
    }
  } catch (error) {
    if (!(error instanceof EventError)) throw error;
  }
};

/** What a client says that observes: it must have no effect on the bus. */
const observing: Feed = (bytes, random) => {
  const ground = new Ground(20);
  receive(ground.one, wordsFrame(FrameKind.HELLO, 0, 0, 0, [0x4b425553, PROTOCOL_VERSION, 8, 77]));
  for (const piece of cut(random, bytes, random.pick(CUTS))) receive(ground.one, piece);
  strictEqual(ground.bus.ksocks.size, 1, 'a client that observes has a Ksock');
  ground.end();
  strictEqual(ground.bus.observer, null, 'an observer is left');
};

/** Each decoder, and its share of the inputs. */
export const DECODERS: Record<string, { feed: Feed; share: number }> = {
  session: { feed: session, share: 0.05 },
  hello: { feed: helloFeed, share: 0.02 },
  port: { feed: port, share: 0.05 },
  welcome: { feed: welcome, share: 0.03 },
  report: { feed: report, share: 0.02 },
  limpet: { feed: feedLimpet, share: 0.05 },
  classic: { feed: feedClassicMessage, share: 0.05 },
  entire: { feed: entire, share: 0.15 },
  assembler: { feed: assembler, share: 0.08 },
  network: { feed: network, share: 0.12 },
  records: { feed: records, share: 0.1 },
  'bind-event': { feed: bindEvent, share: 0.06 },
  config: { feed: config, share: 0.05 },
  fuse: { feed: fuse, share: 0.12 },
  device: { feed: device, share: 0.03 },
  activation: { feed: activation, share: 0.02 },
  events: { feed: events, share: 0.05 },
  observing: { feed: observing, share: 0.02 },
};
