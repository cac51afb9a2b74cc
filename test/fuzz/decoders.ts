import { strictEqual } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { parse, TomlError } from 'smol-toml';
import { Bus } from '../../src/bus/index.ts';
import { FramePort } from '../../src/client/frame-port.ts';
import { Refusal } from '../../src/client/port.ts';
import { checkSettings } from '../../src/daemon/check-settings.ts';
import { ConfigError, readConfig } from '../../src/daemon/config.ts';
import { Slab } from '../../src/daemon/outbox.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import { Turn } from '../../src/daemon/turn.ts';
import { RequestDecoder } from '../../src/device/fuse/request.ts';
import { Assembler } from '../../src/message/assembler.ts';
import { splitReplierBindEventData } from '../../src/message/bind-event.ts';
import { decodeEntire } from '../../src/message/entire.ts';
import { KbusError } from '../../src/message/error.ts';
import { checkLayout, NameReader, readLayout } from '../../src/message/layout.ts';
import { Announcement, Message, Request } from '../../src/message/message.ts';
import type { Channel } from '../../src/wire/channel.ts';
import { Kind, Op, wordsFrame } from '../../src/wire/frames.ts';
import type { Random } from '../simulator/random.ts';
import { cut } from './mutate.ts';

/** Feeds bytes to a decoder; throws when it does anything but what is documented. */
export type Feed = (bytes: Uint8Array, random: Random) => void | Promise<void>;

/** A peer's bytes may make an answer of so much, and no more. */
const MAX_ANSWER = 64 * 1024 * 1024;

/** Where what a session or a port writes goes, and is counted. */
class Drain implements Channel {
  readonly backlog = 0;
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

const host: SessionHost = {
  turn: new Turn(),
  slab: new Slab(),
  names: new NameReader(),
  pid: 1,
  newDevice: async () => -22,
  warn: () => {},
};

function hello(): Uint8Array {
  return wordsFrame(Kind.HELLO, 0, 0, 0, [0x4b425553, 1, 3, 77], 'fuzz');
}

function receive(to: { received(b: Uint8Array, f: number, t: number): void }, bytes: Uint8Array) {
  // A copy: what is received may be written over.
  const copy = bytes.slice();
  to.received(copy, 0, copy.length);
}

/** What a client says to the daemon. Another connection must not notice. */
const session: Feed = (bytes, random) => {
  const bus = new Bus({ maxMessages: 20, maxMessageSize: 4096, absoluteMaxMessageSize: 8192 });
  const [drain, witnessDrain] = [new Drain(), new Drain()];
  const [one, witness] = [new Session(host, bus, drain), new Session(host, bus, witnessDrain)];
  receive(witness, hello());
  receive(witness, wordsFrame(Kind.CALL, Op.BIND, 0, 1, [0], '$.*'));
  receive(one, hello());
  const how = random.pick(['whole', 'single', 'any'] as const);
  for (const piece of cut(random, bytes, how)) receive(one, piece);
  const before = witnessDrain.written;
  receive(witness, wordsFrame(Kind.CALL, Op.NUM_MESSAGES, 0, 2, [0]));
  strictEqual(witnessDrain.isEnded, false, 'another connection was ended');
  strictEqual(witnessDrain.written > before, true, 'another connection was not answered');
  one.closed();
  witness.closed();
  strictEqual(bus.ksocks.size, 0, 'a Ksock is left');
};

/** What a daemon says to the client. */
const port: Feed = async (bytes, random) => {
  const drain = new Drain();
  let ended = 0;
  let opened: FramePort | null = null;
  const flushes: (() => void)[] = [];
  let events: { received(b: Uint8Array, f: number, t: number): void } | null = null;
  const opening = FramePort.open(
    (toldTo) => {
      events = toldTo;
      return drain;
    },
    {
      mode: 'rw',
      pid: 1,
      program: 'fuzz',
      defer: (flush) => flushes.push(flush),
      deferLonger: (flush) => flushes.push(flush),
    },
    { closed: () => ended++ },
  ).then(
    (made) => {
      opened = made;
    },
    (error: unknown) => {
      if (!(error instanceof Refusal)) throw error;
    },
  );
  const to = events as unknown as { received(b: Uint8Array, f: number, t: number): void };
  const welcome = [0x4b425553, 1, 0, 5, 1, 100, 1_000_000, 8192];
  receive(to, wordsFrame(Kind.WELCOME, 0, 0, 0, welcome));
  await opening;
  const expected = (error: unknown): void => {
    if (!(error instanceof Refusal) && !(error instanceof KbusError)) failures.push(error);
  };
  const failures: unknown[] = [];
  const it = opened as unknown as FramePort;
  // Somebody waits for each kind of answer; the tokens are 1, 2, 3, ...
  it.call(Op.BIND, 0, '$.A').catch(expected);
  it.send(new Announcement('$.A', 'a'), false, undefined).catch(expected);
  it.request(new Request('$.A', 'b')).catch(expected);
  it.send(new Request('$.A', 'c'), true, undefined).catch(expected);
  it.post(new Announcement('$.A', 'd'), false, () => {});
  it.readable().catch(expected);
  const how = random.pick(['whole', 'single', 'any'] as const);
  for (const piece of cut(random, bytes, how)) receive(to, piece);
  for (let message = it.hand(); message !== null; message = it.hand()) message.text();
  for (const flush of flushes) flush();
  if (ended > 1 || (ended === 1) !== drain.isEnded) throw new Error(`ended ${ended} times`);
  (to as unknown as { closed(error: null): void }).closed(null);
  await Promise.resolve();
  if (failures.length > 0) throw failures[0];
};

const entire: Feed = (bytes) => {
  let message: Message;
  try {
    message = decodeEntire(bytes);
  } catch (error) {
    if (error instanceof KbusError) return;
    throw error;
  }
  const again = message.toBytes();
  strictEqual(again.length, bytes.length, 'what was decoded is encoded to another length');
  strictEqual(Message.fromBytes(again).equivalent(message), true);
};

const assembler: Feed = (bytes, random) => {
  let expected = 0;
  try {
    decodeEntire(bytes);
  } catch (error) {
    expected = (error as KbusError).errno;
  }
  const results = (['whole', 'single', 'any'] as const).map((how) => {
    const one = new Assembler();
    for (const piece of cut(random, bytes, how)) {
      const errno = one.write(piece, 1_000_000);
      if (errno !== 0) {
        strictEqual(one.isEmpty, true, 'what is refused is thrown away');
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
  if (expected === 0) strictEqual(results[0], 0, 'what can be decoded can be written');
};

const names = new NameReader();
const layout: Feed = (bytes, random) => {
  // Somewhere in a larger buffer.
  const at = random.below(4) * 4;
  const around = new Uint8Array(at + bytes.length + 8).fill(0xee);
  around.set(bytes, at);
  const view = new DataView(around.buffer);
  if (checkLayout(view, at, bytes.length) !== '') return;
  const message = readLayout(around, view, at, names);
  strictEqual(message.name.length > 0 && message.dataLength <= bytes.length, true);
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
  // Some have the right length in their header, as all that the kernel sends have.
  if (bytes.length >= 4 && random.chance(0.8)) {
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length, true);
  }
  const request = new RequestDecoder(bytes).decode(bytes.length);
  if (request?.op === 'write') strictEqual(request.data.length <= bytes.length, true);
};

/** Each decoder, and its share of the inputs. */
export const DECODERS: Record<string, { feed: Feed; share: number }> = {
  session: { feed: session, share: 0.1 },
  port: { feed: port, share: 0.1 },
  entire: { feed: entire, share: 0.15 },
  assembler: { feed: assembler, share: 0.1 },
  layout: { feed: layout, share: 0.2 },
  'bind-event': { feed: bindEvent, share: 0.1 },
  config: { feed: config, share: 0.05 },
  fuse: { feed: fuse, share: 0.2 },
};
