import type { Address } from '../hub/address.ts';
import type { Entry } from '../hub/frame.ts';
import { weightOf } from '../hub/losses.ts';
import { Decoder, Encoder, LinkError } from '../link/native-codec.ts';

/**
 * A message that the stream of a federation keeps. Its subject has the network id of its sender. Numbers are big-endian.
 *
 *      0 u8  version: 1      1 u8[3] 0
 *      4 f64 life of the sender's Limpet     12 f64, f64 numbers of the first and of the last of its Announcements
 *     28 f64 number in the stream of the first message of this life; 0: this is it
 *     36 u32 which piece of a parcel this is, from 0     40 u32 how many there are     44 bytes of the parcel
 *
 * A parcel has one section after another:
 *
 *      0 u16 number of marks     2 u16 0     4 u32 length of the frame
 *        u32 network id, u32 token, u32 count     a mark: what comes on the wire of that token to this Limpet, up to this many
 *                                                 messages, was sent before the section
 *        the Announcements, as an ENTRIES frame of a native link (native-codec.ts); `n` and `heard` are their number. One that tells
 *        of others that are missed has their number, too, and so the last one of several
 */
const VERSION = 1;
const HEADER = 44;
const SECTION = 8;
const MARK = 12;

/** What was sent on a wire before something else. */
export interface WireMark {
  readonly peer: number;
  readonly token: number;
  readonly count: number;
}

/** Announcements between which the sender sent nothing else. */
export interface Section {
  readonly marks: readonly WireMark[];
  readonly origin: Address;
  readonly entries: readonly Entry[];
}

/** The number of the first Announcement that an entry stands for; its `n` is the last. */
export const firstOf = ({ n, message }: Entry): number => n - weightOf(message) + 1;

export interface Piece {
  readonly life: number;
  readonly first: number;
  readonly last: number;
  readonly since: number;
  readonly index: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** The messages of a parcel, each of at most `maxPayload` bytes. */
export function encodeParcel(
  sections: readonly Section[],
  since: number,
  maxPayload: number,
): Uint8Array[] {
  const frames = sections.map(({ origin, entries }) =>
    new Encoder().frame({ kind: 'entries', origin, entries }),
  );
  let length = 0;
  for (const [at, { marks }] of sections.entries()) {
    length += SECTION + marks.length * MARK + (frames[at] as Uint8Array).length;
  }
  const room = maxPayload - HEADER;
  const count = Math.ceil(length / room);
  // The only message of a parcel is written in place.
  const offset = count === 1 ? HEADER : 0;
  const bytes = Buffer.allocUnsafe(offset + length);
  let at = offset;
  for (const [which, { marks }] of sections.entries()) {
    const frame = frames[which] as Uint8Array;
    bytes.writeUInt32BE(marks.length * 0x1_0000, at);
    bytes.writeUInt32BE(frame.length, at + 4);
    at += SECTION;
    for (const { peer, token, count: messages } of marks) {
      bytes.writeUInt32BE(peer, at);
      bytes.writeUInt32BE(token, at + 4);
      bytes.writeUInt32BE(messages, at + 8);
      at += MARK;
    }
    bytes.set(frame, at);
    at += frame.length;
  }
  if (count === 1) {
    writeHeader(bytes, sections, since, 0, 1);
    return [bytes];
  }
  return Array.from({ length: count }, (_, index) => {
    const part = bytes.subarray(index * room, (index + 1) * room);
    const piece = Buffer.allocUnsafe(HEADER + part.length);
    writeHeader(piece, sections, since, index, count);
    piece.set(part, HEADER);
    return piece;
  });
}

function writeHeader(
  bytes: Buffer,
  sections: readonly Section[],
  since: number,
  index: number,
  count: number,
): void {
  const [{ origin, entries }] = sections as [Section];
  const { entries: lastEntries } = sections.at(-1) as Section;
  bytes.writeUInt32BE(VERSION * 0x100_0000, 0);
  bytes.writeDoubleBE(origin.life, 4);
  bytes.writeDoubleBE(firstOf(entries[0] as Entry), 12);
  bytes.writeDoubleBE((lastEntries.at(-1) as Entry).n, 20);
  bytes.writeDoubleBE(since, 28);
  bytes.writeUInt32BE(index, 36);
  bytes.writeUInt32BE(count, 40);
}

/** Throws a LinkError for bytes that no Limpet sends. */
export function decodePiece(bytes: Uint8Array): Piece {
  if (bytes.length < HEADER) throw new LinkError(`a message of ${bytes.length} bytes`);
  if (bytes[0] !== VERSION) throw new LinkError(`version ${bytes[0]} of the messages of a stream`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const piece = {
    life: view.getFloat64(4),
    first: view.getFloat64(12),
    last: view.getFloat64(20),
    since: view.getFloat64(28),
    index: view.getUint32(36),
    count: view.getUint32(40),
    bytes: bytes.subarray(HEADER),
  };
  const { life, first, last, since, index, count } = piece;
  const isValid = [life, first, last, since].every(Number.isSafeInteger) && since >= 0;
  if (isValid && life > 0 && first > 0 && last >= first && index < count) return piece;
  throw new LinkError('a message without a valid header');
}

/** Reads the sections of a parcel one by one; each is decoded when it is its turn. Throws a LinkError. */
export class ParcelReader {
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly origin: Address;
  private at = 0;

  constructor(bytes: Uint8Array, origin: Address) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.origin = origin;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The marks of the next section. */
  marks(): WireMark[] {
    const { at, view } = this;
    this.need(SECTION);
    const count = view.getUint16(at);
    this.need(SECTION + count * MARK);
    return Array.from({ length: count }, (_, index) => {
      const from = at + SECTION + index * MARK;
      return {
        peer: view.getUint32(from),
        token: view.getUint32(from + 4),
        count: view.getUint32(from + 8),
      };
    });
  }

  /** The next section's entries; goes on to the one behind it. */
  entries(): readonly Entry[] {
    const { at, view, origin } = this;
    const start = SECTION + view.getUint16(at) * MARK;
    const length = view.getUint32(at + 4);
    this.need(start + length);
    this.at += start + length;
    const decoded = new Decoder().decode(this.bytes.subarray(at + start, this.at));
    if (decoded.kind !== 'frame' || decoded.frame.kind !== 'entries') {
      throw new LinkError('a section without entries');
    }
    const { frame } = decoded;
    if (frame.origin.id !== origin.id || frame.origin.life !== origin.life) {
      throw new LinkError(`Announcements of Limpet ${frame.origin.id}, sent by ${origin.id}`);
    }
    return frame.entries;
  }

  private need(length: number): void {
    if (this.at + length > this.bytes.length) throw new LinkError('a parcel that ends too soon');
  }
}
