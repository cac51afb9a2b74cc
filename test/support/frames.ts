import type { Message } from '../../src/message/message.ts';
import { Kind, PROTOCOL_MAGIC, PROTOCOL_VERSION } from '../../src/wire/frames.ts';

/** A frame taken apart, without the code that is tried. */
export interface Frame {
  readonly kind: string;
  readonly detail: number;
  readonly handed: number;
  readonly token: number;
  readonly words: readonly number[];
  readonly body: Buffer;
}

const KINDS = new Map<number, string>(Object.entries(Kind).map(([name, kind]) => [kind, name]));

/** Takes the whole frames from the front of some bytes; what is left is half a frame. */
export function framesOf(bytes: Uint8Array): { frames: Frame[]; rest: Buffer } {
  let rest = Buffer.from(bytes);
  const frames: Frame[] = [];
  while (rest.length >= 4 && rest.readUInt32BE(0) <= rest.length) {
    const length = rest.readUInt32BE(0);
    const body = rest.subarray(12, length);
    const words = Array.from({ length: body.length >> 2 }, (_, at) => body.readUInt32BE(at * 4));
    frames.push({
      kind: KINDS.get(rest[4] as number) ?? String(rest[4]),
      detail: rest[5] as number,
      handed: rest.readUInt16BE(6),
      token: rest.readUInt32BE(8),
      words,
      body,
    });
    rest = rest.subarray(length);
  }
  return { frames, rest };
}

/** The text behind `words` words of a frame. */
export function frameText(frame: Frame, words: number): string {
  const at = words * 4;
  if (frame.body.length === at) return '';
  return frame.body.subarray(at + 4, at + 4 + frame.body.readUInt32BE(at)).toString();
}

export interface FrameParts {
  detail?: number;
  handed?: number;
  token?: number;
  words?: readonly number[];
  text?: string;
  body?: Uint8Array;
}

/** Puts a frame together, word by word. */
export function frame(kind: keyof typeof Kind | number, parts: FrameParts = {}): Buffer {
  const { detail = 0, handed = 0, token = 0, words = [], text, body = new Uint8Array(0) } = parts;
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
  bytes[4] = typeof kind === 'number' ? kind : Kind[kind];
  bytes[5] = detail;
  bytes.writeUInt16BE(handed, 6);
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

/** A message in the layout between programs, word by word (3-limpets). */
export function messageBody(message: Message): Buffer {
  const { id, inReplyTo, origFrom, finalTo, name, data } = message;
  const words = [
    0x7375624b,
    id.networkId,
    id.serialNum,
    inReplyTo.networkId,
    inReplyTo.serialNum,
    message.to,
    message.from,
    origFrom.networkId,
    origFrom.localId,
    finalTo.networkId,
    finalTo.localId,
    0,
    message.flags,
    name.length,
    data.length,
    0x4b627573,
  ];
  const padded = (bytes: Buffer, length: number): Buffer =>
    Buffer.concat([bytes, Buffer.alloc(length - bytes.length)]);
  const head = Buffer.alloc(64);
  words.forEach((word, at) => {
    head.writeUInt32BE(word, at * 4);
  });
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(0x4b627573);
  return Buffer.concat([
    head,
    padded(Buffer.from(name, 'latin1'), 4 * Math.ceil((name.length + 1) / 4)),
    padded(Buffer.from(data), 4 * Math.ceil(data.length / 4)),
    tail,
  ]);
}
