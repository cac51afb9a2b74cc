import { Message } from '../../src/message/message.ts';
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

/** What a message of a run would be by itself. */
const ALONE: Record<string, string> = { SEND_RUN: 'SEND', LENT_RUN: 'LENT', ANSWER_RUN: 'ANSWER' };

/**
 * Takes the whole frames from the front of some bytes; what is left is half a frame. Of a run, every
 * message is given as the frame it would be by itself; `runs` is how many there were.
 */
export function framesOf(bytes: Uint8Array): { frames: Frame[]; rest: Buffer; runs: number } {
  let rest = Buffer.from(bytes);
  let runs = 0;
  const frames: Frame[] = [];
  while (rest.length >= 4 && rest.readUInt32BE(0) <= rest.length) {
    const length = rest.readUInt32BE(0);
    const body = rest.subarray(12, length);
    const words = Array.from({ length: body.length >> 2 }, (_, at) => body.readUInt32BE(at * 4));
    const one = {
      kind: KINDS.get(rest[4] as number) ?? String(rest[4]),
      detail: rest[5] as number,
      handed: rest.readUInt16BE(6),
      token: rest.readUInt32BE(8),
    };
    if (one.kind in ALONE) {
      const [count = 0] = words;
      const padded = ((words[15] as number) + 3) & ~3;
      const stride = Math.max(padded, 4);
      if (rest.length < length + count * stride) break;
      for (let index = 0; index < count; index++) {
        const from = length + index * stride;
        const row = rest.subarray(from, from + padded);
        frames.push(oneOfRun(one, body.subarray(4), index, row));
      }
      rest = rest.subarray(length + count * stride);
      runs++;
    } else {
      frames.push({ ...one, words, body });
      rest = rest.subarray(length);
    }
  }
  return { frames, rest, runs };
}

function oneOfRun(
  run: Omit<Frame, 'words' | 'body'>,
  head: Buffer,
  index: number,
  row: Buffer,
): Frame {
  const body = Buffer.concat([head, row, head.subarray(60, 64)]);
  const rise = (at: number): void => {
    body.writeUInt32BE(body.readUInt32BE(at) + index, at);
  };
  if (run.kind !== 'SEND_RUN') rise(8);
  if (body.readUInt32BE(16) !== 0) rise(16);
  const words = Array.from({ length: body.length >> 2 }, (_, at) => body.readUInt32BE(at * 4));
  const token = run.kind === 'LENT_RUN' ? run.token : run.token + index;
  // What was handed is told with the first.
  const handed = index === 0 ? run.handed : 0;
  return { ...run, kind: ALONE[run.kind] as string, handed, token, words, body };
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

/** A run of messages like this one, with these data, which are of one length. */
export function runFrame(
  kind: 'SEND_RUN' | 'LENT_RUN' | 'ANSWER_RUN',
  message: Message,
  data: readonly string[],
  parts: { detail?: number; handed?: number; token?: number; count?: number } = {},
): Buffer {
  const { count = data.length, ...rest } = parts;
  const alike = Message.fromMessage(message);
  alike.data = null;
  const head = messageBody(alike);
  head.writeUInt32BE(data[0]?.length ?? 0, 56);
  head.writeUInt32BE(message.id.serialNum, 8);
  const words = [count];
  const rows = data.map((text) =>
    Buffer.from(text.padEnd(Math.max(4, (text.length + 3) & ~3), '\0')),
  );
  const body = head.subarray(0, -4);
  return Buffer.concat([frame(kind, { ...rest, words, body }), ...rows]);
}
