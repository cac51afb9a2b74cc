import { Flag } from '../../src/message/flags.ts';
import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';
import { FrameKind, PROTOCOL_MAGIC, PROTOCOL_VERSION } from '../../src/wire/protocol.ts';

/** A decoded frame; the code under test is not used. */
export interface Frame {
  readonly kind: string;
  readonly detail: number;
  readonly consumed: number;
  readonly token: number;
  readonly words: readonly number[];
  readonly body: Buffer;
  /** Its message, if it has one. */
  readonly message?: Message;
  /** The number of its name. */
  readonly number?: number;
}

const KINDS = new Map<number, string>(
  Object.entries(FrameKind).map(([name, kind]) => [kind, name]),
);

/** The number of words before the records, in frames of messages. */
const WORDS_BEFORE: Record<string, number> = {
  SEND: 3,
  PREFETCH: 3,
  PREFETCH_URGENT: 3,
  TAKEN: 3,
  ANSWER: 3,
};

/** A SAME record. */
const SAME = 0x8000_0000;
const TO = 1;
const REPLY = 2;
const ID = 4;
const CARRIED = 8;
const KNOWN = 16;

/** In the detail of the daemon's frames of messages. */
const YOU = 1;
/** In the detail of PREFETCH. */
const CARRIED_ONES = 2;

const roundedUp = (length: number): number => 4 * Math.ceil(length / 4);

/** Takes the complete frames from the front of some bytes; an incomplete one may be left. */
export function wholeFramesOf(bytes: Uint8Array): { whole: Frame[]; rest: Buffer } {
  let rest = Buffer.from(bytes);
  const whole: Frame[] = [];
  while (rest.length >= 4 && rest.readUInt32BE(0) <= rest.length) {
    const length = rest.readUInt32BE(0);
    const body = rest.subarray(12, length);
    whole.push({
      kind: KINDS.get(rest[4] as number) ?? String(rest[4]),
      detail: rest[5] as number,
      consumed: rest.readUInt16BE(6),
      token: rest.readUInt32BE(8),
      words: Array.from({ length: body.length >> 2 }, (_, at) => body.readUInt32BE(at * 4)),
      body,
    });
    rest = rest.subarray(length);
  }
  return { whole, rest };
}

/**
 * The same, but splits a frame of messages into a frame for each. Throws an Error for a malformed
 * frame.
 */
export function framesOf(bytes: Uint8Array): { frames: Frame[]; rest: Buffer; whole: Frame[] } {
  const { whole, rest } = wholeFramesOf(bytes);
  return { frames: whole.flatMap(messageFrames), rest, whole };
}

/** A frame for each of its messages; or the frame, if it has none. */
function messageFrames(frame: Frame): Frame[] {
  const { kind, body, words, detail, token } = frame;
  if (WORDS_BEFORE[kind] === undefined) return [frame];
  const isCarried = kind === 'PREFETCH' && (detail & CARRIED_ONES) !== 0;
  const before = isCarried ? 5 : (WORDS_BEFORE[kind] as number);
  const [count = 0, from = 0, serial = 0, network = 0, ksock = 0] = words.slice(0, before);
  let at = before * 4;
  const word = (): number => {
    at += 4;
    return body.readUInt32BE(at - 4);
  };
  const text = (length: number): Buffer => {
    const start = at;
    at += roundedUp(length);
    if (body.subarray(start + length, at).some((byte) => byte !== 0)) throw new Error('no zeros');
    return body.subarray(start, start + length);
  };
  const frames: Frame[] = [];
  let [name, fields, flags, to, number] = ['', 0, 0, 0, 0];
  let inReplyTo = MessageId.UNSET;
  let id = MessageId.UNSET;
  let origFrom = OrigFrom.UNSET;
  let finalTo = OrigFrom.UNSET;
  for (let index = 0; index < count; index++) {
    const first = word();
    if (first >= SAME) {
      if (name === '' || (fields & (ID | CARRIED)) !== 0)
        throw new Error('SAME without a head before it');
      const { networkId, serialNum } = inReplyTo;
      if ((fields & REPLY) !== 0) inReplyTo = new MessageId(networkId, serialNum + 1);
    } else {
      const sizes = word();
      fields = sizes & 0xffff;
      flags = word();
      number = word();
      to = (fields & TO) !== 0 ? word() : 0;
      inReplyTo = (fields & REPLY) !== 0 ? new MessageId(word(), word()) : MessageId.UNSET;
      id = (fields & ID) !== 0 ? new MessageId(word(), word()) : MessageId.UNSET;
      const hasOrigin = (fields & CARRIED) !== 0;
      origFrom = hasOrigin ? new OrigFrom(word(), word()) : OrigFrom.UNSET;
      finalTo = hasOrigin ? new OrigFrom(word(), word()) : OrigFrom.UNSET;
      // Of a name that was told, a test sees the number.
      name = (fields & KNOWN) !== 0 ? `#${number}` : text(sizes >>> 16).toString('latin1');
    }
    const data = Uint8Array.from(text(first % SAME));
    const you = before > 1 && (detail & YOU) !== 0 ? Flag.WANT_YOU_TO_REPLY : 0;
    const message = new Message(name, data, {
      flags: (flags | you) >>> 0,
      to,
      from,
      inReplyTo,
      id: id.isSet || serial === 0 ? id : new MessageId(network, serial + index),
      origFrom: network === 0 ? origFrom : new OrigFrom(network, ksock),
      finalTo,
    });
    frames.push({
      ...frame,
      token: kind === 'SEND' || kind === 'ANSWER' ? token + index : token,
      // The first one has `consumed`.
      consumed: index === 0 ? frame.consumed : 0,
      message,
      number,
    });
  }
  if (at !== body.length) throw new Error(`${count} messages in ${body.length} bytes end at ${at}`);
  return frames;
}

/** The text after `words` words of a frame. */
export function frameText(frame: Frame, words: number): string {
  const at = words * 4;
  if (frame.body.length === at) return '';
  return frame.body.subarray(at + 4, at + 4 + frame.body.readUInt32BE(at)).toString();
}

export interface FrameParts {
  detail?: number;
  consumed?: number;
  token?: number;
  words?: readonly number[];
  text?: string;
  body?: Uint8Array;
}

/** Encodes a frame, word by word. */
export function frame(kind: keyof typeof FrameKind | number, parts: FrameParts = {}): Buffer {
  const { detail = 0, consumed = 0, token = 0, words = [], text, body = new Uint8Array(0) } = parts;
  const texts: Buffer[] = [];
  if (text !== undefined) {
    const encoded = Buffer.from(text);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(encoded.length);
    texts.push(length, encoded, Buffer.alloc((4 - (encoded.length & 3)) & 3));
  }
  const head = Buffer.alloc(12 + words.length * 4);
  words.forEach((word, at) => {
    head.writeUInt32BE(word, 12 + at * 4);
  });
  const bytes = Buffer.concat([head, ...texts, body]);
  bytes.writeUInt32BE(bytes.length, 0);
  bytes[4] = typeof kind === 'number' ? kind : FrameKind[kind];
  bytes[5] = detail;
  bytes.writeUInt16BE(consumed, 6);
  bytes.writeUInt32BE(token, 8);
  return bytes;
}

export const hello = (mode = 3, version: number = PROTOCOL_VERSION): Buffer =>
  frame('HELLO', { words: [PROTOCOL_MAGIC, version, mode, 77], text: 'test' });

export const welcome = (
  limits: { sends?: number; bytes?: number; frame?: number; version?: number } = {},
): Buffer => {
  const { sends = 100, bytes = 100_000, frame: longest = 1_000_000 } = limits;
  const { version = PROTOCOL_VERSION } = limits;
  return frame('WELCOME', { words: [PROTOCOL_MAGIC, version, 0, 5, 4242, sends, bytes, longest] });
};

function wordsOf(...words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, at) => {
    bytes.writeUInt32BE(word, at * 4);
  });
  return bytes;
}

const withZeros = (bytes: Uint8Array): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(roundedUp(bytes.length) - bytes.length)]);

/** Encodes a message as a complete record, word by word. `number` is that of its name. */
export function record(message: Message, forbidden = 0, number = 0): Buffer {
  const { id, inReplyTo, origFrom, finalTo, name, data, to } = message;
  const isCarried = origFrom.isSet || finalTo.isSet;
  const fields: [number, boolean, readonly number[]][] = [
    [TO, to !== 0, [to]],
    [REPLY, inReplyTo.isSet, [inReplyTo.networkId, inReplyTo.serialNum]],
    [ID, id.networkId !== 0, [id.networkId, id.serialNum]],
    [
      CARRIED,
      isCarried,
      [origFrom.networkId, origFrom.localId, finalTo.networkId, finalTo.localId],
    ],
  ];
  const there = fields.filter(([, isThere]) => isThere);
  const bits = there.reduce((sum, [bit]) => sum + bit, 0);
  return Buffer.concat([
    wordsOf(data.length, name.length * 0x1_0000 + bits, (message.flags & ~forbidden) >>> 0, number),
    wordsOf(...there.flatMap(([, , words]) => words)),
    withZeros(Buffer.from(name, 'latin1')),
    withZeros(data),
  ]);
}

/** Encodes a record that leaves out its name, which has this number. */
export function knownRecord(name: string, number: number, data: string, flags = 0): Buffer {
  const bytes = Buffer.from(data);
  const head = wordsOf(bytes.length, name.length * 0x1_0000 + KNOWN, flags, number);
  return Buffer.concat([head, withZeros(bytes)]);
}

/** Encodes a SAME record. */
export function same(data: string): Buffer {
  const bytes = Buffer.from(data);
  return Buffer.concat([wordsOf(SAME + bytes.length), withZeros(bytes)]);
}

export interface MessageParts {
  detail?: number;
  consumed?: number;
  token?: number;
  count?: number;
  from?: number;
  serial?: number;
}

/** Encodes a frame of messages; arguments of bytes are records. */
export function messagesFrame(
  kind: 'SEND' | 'PREFETCH' | 'PREFETCH_URGENT' | 'TAKEN' | 'ANSWER',
  messages: readonly (Message | Buffer)[],
  parts: MessageParts = {},
): Buffer {
  const [first] = messages;
  const head = first instanceof Message ? first : null;
  const { count = messages.length, from = head?.from ?? 0, ...rest } = parts;
  const { serial = head?.id.networkId === 0 ? head.id.serialNum : 0, ...frameParts } = rest;
  // The frame has the fields that KBUS sets for all its messages.
  const forbidden = kind === 'SEND' ? 0 : Flag.WANT_YOU_TO_REPLY;
  const you = ((head?.flags ?? 0) & forbidden) !== 0 ? YOU : 0;
  const words = kind === 'SEND' ? [count, 0, 0] : [count, from, serial];
  const body = Buffer.concat(
    messages.map((one) => (one instanceof Message ? record(one, forbidden) : one)),
  );
  return frame(kind, { detail: you, ...frameParts, words, body });
}

/** Encodes a frame of messages that differ from this one only in their data. */
export function alikeFrame(
  kind: 'SEND' | 'PREFETCH' | 'ANSWER',
  message: Message,
  data: readonly string[],
  parts: MessageParts = {},
): Buffer {
  const first = Message.fromMessage(message);
  const [text = '', ...more] = data;
  first.data = text;
  return messagesFrame(kind, [first, ...more.map(same)], parts);
}
