import { END_GUARD, START_GUARD } from './entire.ts';
import { Head } from './head.ts';
import { OrigFrom } from './id.ts';
import { type Message, ReceivedMessage } from './message.ts';
import { MAX_NAME } from './name.ts';
import { NameReader } from './name-reader.ts';
import { padded, readU32 } from './u32.ts';

/**
 * A message on its way between programs: on KBUS's own connections and on the links of Limpets (the
 * specification, 3-limpets). Sixteen u32 in network order
 *
 *      0 start guard      4 id (2 words)     12 in_reply_to (2)   20 to    24 from
 *     28 orig_from (2)   36 final_to (2)     44 extra             48 flags
 *     52 name_len        56 data_len         60 end guard
 *
 * then the name with a 0 byte, padded with zeros to a multiple of 4; the data, padded likewise; and
 * the end guard again.
 */
export const LAYOUT_HEADER = 64;

export const AT = {
  startGuard: 0,
  idNetwork: 4,
  idSerial: 8,
  replyNetwork: 12,
  replySerial: 16,
  to: 20,
  from: 24,
  origNetwork: 28,
  origLocal: 32,
  finalNetwork: 36,
  finalLocal: 40,
  extra: 44,
  flags: 48,
  nameLength: 52,
  dataLength: 56,
  endGuard: 60,
} as const;

/** Bytes of a message in this layout: a multiple of 4. */
export function layoutLength(nameLength: number, dataLength: number): number {
  return LAYOUT_HEADER + padded(nameLength + 1) + padded(dataLength) + 4;
}

/** Where the data begins, counted from the start guard. */
export function layoutDataAt(nameLength: number): number {
  return LAYOUT_HEADER + padded(nameLength + 1);
}

/** Writes the head of a message: fourteen words, the guards, the name and its padding. */
export function writeHead(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  idNetwork: number,
  idSerial: number,
  replyNetwork: number,
  replySerial: number,
  to: number,
  from: number,
  origNetwork: number,
  origLocal: number,
  finalNetwork: number,
  finalLocal: number,
  flags: number,
  name: string,
  dataLength: number,
): void {
  view.setUint32(at, START_GUARD);
  view.setUint32(at + AT.idNetwork, idNetwork);
  view.setUint32(at + AT.idSerial, idSerial);
  view.setUint32(at + AT.replyNetwork, replyNetwork);
  view.setUint32(at + AT.replySerial, replySerial);
  view.setUint32(at + AT.to, to);
  view.setUint32(at + AT.from, from);
  view.setUint32(at + AT.origNetwork, origNetwork);
  view.setUint32(at + AT.origLocal, origLocal);
  view.setUint32(at + AT.finalNetwork, finalNetwork);
  view.setUint32(at + AT.finalLocal, finalLocal);
  view.setUint32(at + AT.extra, 0);
  view.setUint32(at + AT.flags, flags);
  view.setUint32(at + AT.nameLength, name.length);
  view.setUint32(at + AT.dataLength, dataLength);
  view.setUint32(at + AT.endGuard, END_GUARD);
  const nameAt = at + LAYOUT_HEADER;
  // The zeros of the padding first, and the name over them.
  view.setUint32(at + layoutDataAt(name.length) - 4, 0);
  for (let index = 0; index < name.length; index++) bytes[nameAt + index] = name.charCodeAt(index);
}

/** Writes what follows data that begins at `at`, and is to be written there next: padding, and the last guard. */
export function writeEnd(view: DataView, at: number, dataLength: number): void {
  const paddedLength = padded(dataLength);
  if (paddedLength !== dataLength) view.setUint32(at + paddedLength - 4, 0);
  view.setUint32(at + paddedLength, END_GUARD);
}

/**
 * Whether `length` bytes from `at` on are one message of this layout, no more and no less: '' or what
 * is wrong. `last` is the last word, if that doesn't lie there. The name's letters, the flags and the
 * size are the bus's to check.
 */
export function checkLayout(bytes: Uint8Array, at: number, length: number, last?: number): string {
  const wrong = checkHeader(bytes, at, length);
  if (wrong !== '') return wrong;
  const nameLength = readU32(bytes, at + AT.nameLength);
  const dataLength = readU32(bytes, at + AT.dataLength);
  // Before it is rounded up, a length near 2^32 must be known to be small.
  if (dataLength > length || layoutLength(nameLength, dataLength) !== length) {
    return `a name of ${nameLength} and data of ${dataLength} bytes don't make a message of ${length} bytes`;
  }
  const guard = last ?? readU32(bytes, at + length - 4);
  return guard === END_GUARD ? '' : 'the last guard is wrong';
}

/** Whether they are the head of a message, without its data and last guard: likewise. */
export function checkHead(bytes: Uint8Array, at: number, length: number): string {
  const wrong = checkHeader(bytes, at, length);
  if (wrong !== '') return wrong;
  const nameLength = readU32(bytes, at + AT.nameLength);
  if (layoutDataAt(nameLength) === length) return '';
  return `a name of ${nameLength} bytes doesn't make a message head of ${length} bytes`;
}

function checkHeader(bytes: Uint8Array, at: number, length: number): string {
  if (length < LAYOUT_HEADER) return `a message of ${length} bytes is shorter than its header`;
  if (readU32(bytes, at) !== START_GUARD || readU32(bytes, at + AT.endGuard) !== END_GUARD) {
    return 'a guard of the message header is wrong';
  }
  const nameLength = readU32(bytes, at + AT.nameLength);
  return nameLength === 0 || nameLength > MAX_NAME ? `a name of ${nameLength} bytes` : '';
}

function origFromOf(network: number, local: number): OrigFrom {
  return network === 0 && local === 0 ? OrigFrom.UNSET : new OrigFrom(network, local);
}

/** Makes messages of bytes that passed {@link checkLayout}. Their data stays where it lies. */
export class MessageReader {
  private readonly names = new NameReader();

  message(bytes: Uint8Array, at: number): Message {
    const head = this.head(bytes, at);
    const serial = readU32(bytes, at + AT.idSerial);
    const dataAt = at + layoutDataAt(head.name.length);
    return new ReceivedMessage(head, serial, bytes, dataAt, readU32(bytes, at + AT.dataLength));
  }

  /** What alike messages have in common. */
  head(bytes: Uint8Array, at: number): Head {
    return new Head(
      this.names.read(bytes, at + LAYOUT_HEADER, readU32(bytes, at + AT.nameLength)).text,
      readU32(bytes, at + AT.flags),
      readU32(bytes, at + AT.to),
      readU32(bytes, at + AT.from),
      readU32(bytes, at + AT.idNetwork),
      readU32(bytes, at + AT.replyNetwork),
      readU32(bytes, at + AT.replySerial),
      origFromOf(readU32(bytes, at + AT.origNetwork), readU32(bytes, at + AT.origLocal)),
      origFromOf(readU32(bytes, at + AT.finalNetwork), readU32(bytes, at + AT.finalLocal)),
    );
  }
}
