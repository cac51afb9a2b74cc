import { type Memory, plainMemory } from '../base/memory.ts';
import { readU32 } from '../base/u32.ts';
import { STAYS_NOW } from '../transport/channel.ts';

/**
 * The frames between a client and the daemon, on one connection, which is one Ksock on one bus. All
 * numbers are in network order, and every length is a multiple of 4. docs/protocol.md tells the whole.
 *
 *      0 u32 length of the frame in bytes, these included
 *      4 u8  kind    5 u8 detail    6 u16 consumed
 *      8 u32 token
 *     12 what the kind says
 *
 * `handed`, from a client: how many of the messages that it was lent it has given to its program since
 * it last said so. `token` is the client's, and comes back with the answer.
 */
export const FRAME_HEADER = 12;

export const FRAME_AT = { length: 0, kind: 4, detail: 5, consumed: 6, token: 8, body: 12 } as const;

export const MAX_CONSUMED = 0xffff;

/** Raised whenever a peer of another version would misunderstand. */
export const PROTOCOL_VERSION = 3;

/** The mode in the HELLO of somebody who only wants to know who answers: WELCOME tells, with Ksock id 0. */
export const ASK_WHO = 0;

/** `KBUS` in ASCII: the first word of HELLO and WELCOME. */
export const PROTOCOL_MAGIC = 0x4b425553;

export const FrameKind = {
  /** Client, first: u32 magic, u32 version, u32 mode (1 r, 3 rw, 0 see ASK_WHO), u32 process id. Text: the program. */
  HELLO: 1,
  /**
   * Daemon, first: u32 magic, u32 version, u32 bus number, u32 Ksock id, u32 the daemon's process id,
   * u32 how many sends may be pending, u32 how many bytes they may have, u32 the largest frame in bytes.
   */
  WELCOME: 2,
  /** Daemon, last: u32 error number. Text: why the connection ends. */
  FAREWELL: 3,

  /**
   * Client: messages to send: u32 count, and as many records (message/records.ts). `detail` holds SendDetail bits,
   * which hold for all of them. `token` is the first one's; each of those behind it has the next.
   */
  SEND: 10,
  /** Client: take one message; `detail` 1 waits for it. Answered by TAKEN or NONE. Nothing may be lent. */
  TAKE: 11,
  /** Client: u32 how many more messages may be lent to it. */
  CREDIT: 12,
  /** Client: the oldest PREFETCH_URGENT that was not told of yet has come; `handed` counts behind it from here on. */
  URGENT_ACK: 14,
  /** Client: `detail` holds an Op; u32 argument; text. Answered by RESULT or REFUSED. */
  CALL: 13,

  // These have messages: u32 count, u32 from, u32 serial, and as many records. The ids of messages that have none
  // of a Limpet are [0:serial] and those behind it. `detail` YOU: they are Requests for the reader to answer.
  /** Daemon: messages, lent: they stay unread until they are consumed. To be read after those lent before. */
  PREFETCH: 20,
  /** Daemon: the same, of one message that is to be read before those lent before: it is urgent. */
  PREFETCH_URGENT: 21,
  /** Daemon: the message that TAKE asked for; it is read. */
  TAKEN: 22,
  /**
   * Daemon: the Reply or Status to a Request that was sent to be ANSWERED. Of several, each has the token behind that
   * of the one before it.
   */
  ANSWER: 24,
  /** Daemon: TAKE found none, or was cancelled. */
  NONE: 23,
  /**
   * Daemon: u32 count, u32 network id, u32 serial, u32 bytes: this many sends, from `token` on, are done; ids rise by
   * one; their data had so many bytes together. With no id, of one: a Request that waits for ROOM, which only a QUIET
   * REFUSED, or its ANSWER, will follow.
   */
  SENT: 25,
  /** Daemon: u32 count: so many messages were missed, for the queue was full. Text: the name of the first. */
  MISSED: 30,
  /** Daemon: u32 value, u32 value. Text. The answer to a CALL. */
  RESULT: 26,
  /**
   * Daemon: u32 error number. `detail` 0: the answer to a CALL. 1: to a SEND, 2: to a QUIET one: u32 network id and
   * u32 serial of the id that it used, and of the message u32 network id and u32 serial of its in_reply_to, u32 to,
   * u32 flags, u32 bytes of data, u32 length of its name. Text: its name, and why it was refused, if that is told.
   * The same text, without a name, may follow the answer to a CALL.
   */
  REFUSED: 27,
} as const;

export const SendDetail = {
  /** ALL_OR_WAIT is carried through: the answer comes when the message was delivered. */
  WAIT: 1,
  /** The Reply comes as ANSWER with this token, not through the queue. */
  ANSWERED: 2,
  /** No SENT comes: only a refusal is told. */
  QUIET: 4,
  /** SENT may come late, for many at once: the client will SYNC, or wait until fewer are pending. */
  LAZY: 8,
  /** A Request waits for a place of its sender's, and for one of its Replier's, aside from all other sends. */
  ROOM: 16,
} as const;

/** Where the records begin in a SEND, and in the frames of a daemon that have messages. */
export const SENT_RECORDS_AT = FRAME_HEADER + 4;
export const RECORDS_AT = FRAME_HEADER + 12;

/** In the detail of a frame of messages: they are Requests for their reader to answer. */
export const YOU = 1;

/** The peer broke the rules of the protocol: the connection can't go on. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

/** Writes a frame's header. */
export function writeFrameHeader(
  view: DataView,
  at: number,
  length: number,
  kind: number,
  detail: number,
  consumed: number,
  token: number,
): void {
  view.setUint32(at, length);
  view.setUint32(at + FRAME_AT.kind, (kind << 24) | (detail << 16) | consumed);
  view.setUint32(at + FRAME_AT.token, token);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A frame of words and text: all but those that have messages. */
export function wordsFrame(
  kind: number,
  detail: number,
  consumed: number,
  token: number,
  words: readonly number[],
  text = '',
): Uint8Array {
  const encoded = encoder.encode(text);
  const textAt = FRAME_HEADER + words.length * 4;
  // Text is padded with zeros, and says its length first, so that every frame is a multiple of 4.
  const hasText = text !== '';
  const length = hasText ? textAt + 4 + ((encoded.length + 3) & ~3) : textAt;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  writeFrameHeader(view, 0, length, kind, detail, consumed, token);
  words.forEach((word, index) => {
    view.setUint32(FRAME_HEADER + index * 4, word);
  });
  if (hasText) {
    view.setUint32(textAt, encoded.length);
    bytes.set(encoded, textAt + 4);
  }
  return bytes;
}

export { type Memory, plainMemory };

/** One frame where it lies: what a {@link FrameReader} gives. Good until the next one is read. */
export interface FrameView {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly length: number;
}

/** The word at `index` of a frame's body. A ProtocolError when the frame is too short for it. */
export function wordOf(frame: FrameView, index: number): number {
  const at = FRAME_HEADER + index * 4;
  if (at + 4 > frame.length) {
    throw new ProtocolError(`a frame of ${frame.length} bytes has no word ${index}`);
  }
  return readU32(frame.bytes, frame.at + at);
}

/** The text behind `words` words of a frame's body; '' when there is none. */
export function textOf(frame: FrameView, words: number): string {
  const at = FRAME_HEADER + words * 4;
  if (at === frame.length) return '';
  const length = wordOf(frame, words);
  if (length > frame.length - at - 4) {
    throw new ProtocolError(`a text of ${length} bytes in a frame of ${frame.length}`);
  }
  const from = frame.at + at + 4;
  return decoder.decode(frame.bytes.subarray(from, from + length));
}

/** Pieces up to this size are put together at once: an object for each would be larger. */
const CRUMB = 256;

/** A frame is given in pieces only if the first has room for the head of any message, and few are small. */
const FIRST_PIECE = 2048;
const FEW_PIECES = 16_384;

/**
 * Cuts the bytes of a connection into frames, however they come. A frame that lies whole in a chunk, or in chunks side by side, is given where it lies;
 * one that doesn't is put together in memory that grows with what has come, or given in large pieces.
 */
export class FrameReader {
  /** The longest frame that is believed. */
  maxLength: number;
  private readonly whole: number;
  private readonly memory: Memory;
  private pieces: Uint8Array[] = [];
  /** Memory of the last piece, when small ones are put together in it; and how much of it is used. */
  private crumbs: Uint8Array | null = null;
  private crumbsTo = 0;
  private gathered = 0;
  /** Length of the frame being gathered; 0 while not even that is known. */
  private wanted = 0;

  bytes: Uint8Array = new Uint8Array(0);
  /** Where the frame begins in `bytes`. */
  at = 0;
  /** Its length. */
  length = 0;
  /** The pieces of the frame behind the end of `bytes`; null when all of it lies there. */
  more: Uint8Array[] | null = null;
  // What is still to be read of `bytes`, and what comes behind it.
  private next = 0;
  private end = 0;
  private rest: Uint8Array | null = null;
  private restFrom = 0;
  private restTo = 0;

  /**
   * Frames longer than `whole` may be given in pieces. Of such a frame, the first piece has the head of a
   * message, if it is one. `memory` gives what others are put together in, and needn't clear it.
   */
  constructor(maxLength: number, whole = Number.POSITIVE_INFINITY, memory = plainMemory) {
    this.maxLength = maxLength;
    this.whole = whole;
    this.memory = memory;
  }

  /**
   * Gives it the next bytes of the connection, which must not change any more; then call `read` until
   * it is false.
   */
  push(bytes: Uint8Array, from = 0, to: number = bytes.length): void {
    if (this.gathered === 0 && this.next === this.end) {
      this.open(bytes, from, to);
    } else if (this.gathered === 0 && bytes === this.bytes && from === this.end) {
      this.end = to;
    } else {
      if (this.gathered === 0) this.keepPiece();
      this.rest = bytes;
      this.restFrom = from;
      this.restTo = to;
    }
  }

  /** What is left of `bytes` is the beginning of a frame that ends elsewhere. */
  private keepPiece(): void {
    this.crumbs = null;
    this.pieces.push(this.bytes.subarray(this.next, this.end));
    this.gathered = this.end - this.next;
    this.next = this.end;
  }

  /** Moves on to the next whole frame; false when more bytes are needed. */
  read(): boolean {
    this.more = null;
    if (this.next === this.end && this.rest !== null && !this.gather(this.rest)) return false;
    const left = this.end - this.next;
    if (left >= 4) {
      const length = this.checkLength(readU32(this.bytes, this.next));
      if (length <= left || this.more !== null) {
        this.at = this.next;
        this.length = length;
        this.next = this.more === null ? this.at + length : this.end;
        this.wanted = 0;
        return true;
      }
      this.wanted = length;
    }
    return false;
  }

  /** Puts the frame together, if it was given in pieces. */
  join(): void {
    if (this.more === null) return;
    const pieces = [this.bytes.subarray(this.at, this.end), ...this.more];
    const whole = joined(pieces, this.memory(this.length));
    this.more = null;
    this.open(whole, 0, whole.length);
    this.at = 0;
    this.next = this.end;
  }

  /** How many bytes are still to come of the frame that is half there; 0 if that isn't known. */
  get missing(): number {
    const there = this.gathered + this.end - this.next;
    return Math.max(0, this.wanted - there);
  }

  /**
   * Moves what is half there to the front of `memory`, the rest of which may be overwritten then. Gives how many
   * bytes that are; STAYS_NOW: it lies in pieces, or elsewhere.
   */
  rewind(memory: Uint8Array): number {
    if (this.gathered > 0) return STAYS_NOW;
    const length = this.end - this.next;
    if (length === 0) return 0;
    if (this.bytes !== memory) return STAYS_NOW;
    memory.copyWithin(0, this.next, this.end);
    this.open(memory, 0, length);
    return length;
  }

  /** Whether the connection may end here: no frame is half there. */
  get isBetweenFrames(): boolean {
    return this.gathered === 0 && this.next === this.end;
  }

  private open(bytes: Uint8Array, from: number, to: number): void {
    this.bytes = bytes;
    this.next = from;
    this.end = to;
  }

  /** Adds the rest to the frame that is half there, if one is; true when there is something to read. */
  private gather(rest: Uint8Array): boolean {
    this.rest = null;
    if (this.gathered === 0) {
      this.open(rest, this.restFrom, this.restTo);
      return true;
    }
    let from = this.restFrom;
    if (this.wanted === 0) {
      from += this.add(rest, from, 4);
      if (this.gathered < 4) return false;
      const word = joined(this.pieces, new Uint8Array(4));
      this.pieces = [word];
      this.crumbs = null;
      this.wanted = this.checkLength(readU32(word, 0));
    }
    from += this.add(rest, from, this.wanted);
    if (this.gathered < this.wanted) return false;
    if (this.mayStayInPieces()) {
      const [first, ...more] = this.pieces as [Uint8Array, ...Uint8Array[]];
      this.more = more;
      this.open(first, 0, first.length);
    } else {
      this.open(joined(this.pieces, this.memory(this.wanted)), 0, this.wanted);
    }
    this.pieces = [];
    this.gathered = 0;
    this.wanted = 0;
    if (from < this.restTo) {
      this.rest = rest;
      this.restFrom = from;
    }
    return true;
  }

  private mayStayInPieces(): boolean {
    const { pieces, wanted, whole } = this;
    return (
      wanted > whole &&
      pieces.length <= 2 + wanted / FEW_PIECES &&
      (pieces[0] as Uint8Array).length >= FIRST_PIECE
    );
  }

  /** Adds what is there of the rest, until `length` bytes are gathered; how many that were. */
  private add(rest: Uint8Array, from: number, length: number): number {
    const count = Math.min(this.restTo - from, length - this.gathered);
    if (count > CRUMB) {
      this.crumbs = null;
      this.pieces.push(rest.subarray(from, from + count));
    } else if (count > 0) {
      this.addCrumb(rest, from, count);
    }
    this.gathered += count;
    return count;
  }

  private addCrumb(rest: Uint8Array, from: number, count: number): void {
    if (this.crumbs === null || this.crumbsTo + count > this.crumbs.length) {
      this.crumbs = new Uint8Array(CRUMB * 16);
      this.crumbsTo = 0;
    } else {
      this.pieces.pop();
    }
    for (let at = 0; at < count; at++) this.crumbs[this.crumbsTo++] = rest[from + at] as number;
    this.pieces.push(this.crumbs.subarray(0, this.crumbsTo));
  }

  private checkLength(length: number): number {
    if (length < FRAME_HEADER || length > this.maxLength || (length & 3) !== 0) {
      throw new ProtocolError(
        `a frame of ${length} bytes: the length must be a multiple of 4 from ${FRAME_HEADER} to ${this.maxLength}`,
      );
    }
    return length;
  }
}

/** Fills `bytes` with the pieces. */
function joined(pieces: readonly Uint8Array[], bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
