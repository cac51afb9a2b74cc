import { appended } from '../base/appended.ts';
import type { Memory } from '../base/memory.ts';
import { padded, writeU32 } from '../base/u32.ts';
import { HEAD_AT, headLength, RecordWords, SAME, writeRecord } from '../message/codec/records.ts';
import { Flag, KBUS_FLAGS } from '../message/flags.ts';
import { Head } from '../message/head.ts';
import type { Message } from '../message/message.ts';
import type { Channel } from '../transport/channel.ts';
import { MAX_SEND_BYTES, writeFrameHeader, writeSendHead } from './frame.ts';
import { FRAME_AT, FRAME_HEADER, MAX_CONSUMED, RECORDS_AT, SendDetail } from './protocol.ts';

const SLAB_BYTES = 65_536;
/** At most this many slabs are kept for reuse. */
const MAX_FREE_SLABS = 8;

/**
 * Posts wait while the backlog of the channel has this many bytes: one slab, beside what the system's socket buffer
 * holds. More would leave the processor's cache before it is read: the daemon then takes longer for each message.
 */
const CROWDED_BYTES = SLAB_BYTES;

/** Data from this size on is not copied, but written from its own memory. */
export const SENT_IN_PLACE_BYTES = 16_384;

const NO_HEAD = new Head('', 0);

/** Whether the record of a message may be SAME: it has the head of the one before it, or is the Reply to the next Request. */
function follows(head: Head, before: Head): boolean {
  if (!before.isReply) {
    return head === before && before.idNetwork === 0 && !isCarried(before);
  }
  return (
    head.replySerial === before.replySerial + 1 &&
    head.replyNetwork === before.replyNetwork &&
    head.to === before.to &&
    head.flags === before.flags &&
    head.name === before.name &&
    (head.idNetwork | before.idNetwork) === 0 &&
    !isCarried(head) &&
    !isCarried(before)
  );
}

function isCarried({ origFrom, finalTo }: Head): boolean {
  return origFrom.isSet || finalTo.isSet;
}

const words = new RecordWords();

/** How a connection writes the records of messages with nothing but flags, name and data. */
export interface PlainRecords {
  /** Bytes of the head. */
  headLength(head: Head): number;
  /** Writes a record with these flags at `at`, up to its data; `view` is that of `bytes`. */
  write(
    bytes: Uint8Array,
    view: DataView,
    at: number,
    head: Head,
    flags: number,
    dataLength: number,
  ): void;
}

/** With the names. */
export const spelledRecords: PlainRecords = {
  headLength: ({ name }) => headLength(name.length, 0),
  write: (bytes, _view, at, { name }, flags, dataLength) =>
    writeRecord(bytes, at, name, flags, 0, words, dataLength),
};

/** Sets `words` to those of a head; gives the Field bits of those that are set. */
function wordsOf(head: Head, serial: number): number {
  words.to = head.to;
  words.replyNetwork = head.replyNetwork;
  words.replySerial = head.replySerial;
  words.idNetwork = head.idNetwork;
  words.idSerial = serial;
  words.origNetwork = head.origFrom.networkId;
  words.origLocal = head.origFrom.localId;
  words.finalNetwork = head.finalTo.networkId;
  words.finalLocal = head.finalTo.localId;
  return words.fields;
}

/** V8 would look up `set` of a Buffer for each message, which takes a tenth of the time of a post. */
const { set: copy } = Uint8Array.prototype;

/**
 * Encodes and batches a client's frames: writes them into slabs, one after the other, and flushes them at the end of the
 * tick, or when a slab is full.
 */
export class FrameWriter {
  private readonly channel: Channel;
  private readonly defer: (flush: () => void) => void;
  private readonly beforeFlush: () => void;
  private readonly plain: PlainRecords;
  private readonly memory: Memory;
  slab!: Uint8Array;
  view!: DataView;
  /** The slab as words. Each frame begins at a multiple of 4. */
  words!: Int32Array;
  private from = 0;
  private to = 0;
  private pieces: Uint8Array[] = [];
  private isFlushing = false;
  private readonly flushNow = (): void => this.flush();

  // The open SEND, to which further messages may be added. It begins at `openAt` (-1: none is open), and ends at `to`.
  private openAt = -1;
  private openDetail = 0;
  private openToken = 0;
  private openCount = 0;
  /** The consumed messages that the open SEND reports. */
  private openConsumed = 0;
  /** The head of the last message in the open SEND. */
  private lastHead = NO_HEAD;

  /** Full slabs, which the channel may still be writing. */
  private full: Uint8Array[] = [];
  /** Slabs for reuse, which are still in the processor's cache. */
  private readonly free: Uint8Array[] = [];
  /** The backlog has {@link CROWDED_BYTES}: the program should wait before it sends more. */
  isCrowded = false;

  /** `beforeFlush` may add frames to a flush. */
  constructor(
    channel: Channel,
    defer: (flush: () => void) => void,
    memory: Memory,
    beforeFlush: () => void,
    plain: PlainRecords = spelledRecords,
  ) {
    this.channel = channel;
    this.defer = defer;
    this.memory = memory;
    this.beforeFlush = beforeFlush;
    this.plain = plain;
    this.renew(SLAB_BYTES);
  }

  /** Bytes that were flushed and not yet written to the connection. */
  get backlog(): number {
    return this.channel.backlog;
  }

  /** Writes a frame that the caller has encoded. */
  frame(frame: Uint8Array): void {
    const at = this.reserve(frame.length);
    this.slab.set(frame, at);
    this.flushSoon();
  }

  /** Writes a frame of one word, or none. */
  word(kind: number, detail: number, consumed: number, token: number, word?: number): void {
    const length = word === undefined ? FRAME_HEADER : FRAME_HEADER + 4;
    const at = this.reserve(length);
    writeFrameHeader(this.view, at, length, kind, detail, consumed, token);
    if (word !== undefined) this.view.setUint32(at + FRAME_HEADER, word);
    this.flushSoon();
  }

  /** Writes a message. Data of {@link SENT_IN_PLACE_BYTES} or more is not copied, and must not change until it is written. */
  message(message: Message, detail: number, consumed: number, token: number): void {
    const { head, dataLength } = message;
    // The fast path: most messages have the head of the one before.
    if (
      head === this.lastHead &&
      head.isPlain &&
      detail === this.openDetail &&
      token === this.openToken + 1 &&
      consumed === 0 &&
      this.to + HEAD_AT + dataLength + 3 - this.openAt <= MAX_SEND_BYTES &&
      this.to + HEAD_AT + dataLength + 3 <= this.slab.length
    ) {
      this.openCount++;
      this.openToken = token;
      this.same(message, dataLength);
      return;
    }
    if (dataLength >= SENT_IN_PLACE_BYTES) {
      this.large(message, detail, consumed, token);
      return;
    }
    const isSame = this.isOpenFor(detail, consumed, token) && follows(head, this.lastHead);
    const isPlain = isSame || head.isPlain;
    const fields = isPlain ? 0 : wordsOf(head, message.idSerial);
    let dataAt = HEAD_AT;
    if (!isSame) {
      dataAt += isPlain ? this.plain.headLength(head) : headLength(head.name.length, fields);
    }
    const length = dataAt + padded(dataLength);
    if (
      this.openAt < 0 ||
      this.to + length - this.openAt > MAX_SEND_BYTES ||
      this.to + length > this.slab.length
    ) {
      // The message begins a new frame, so its record can't be SAME.
      if (isSame) {
        this.closeFrame();
        this.message(message, detail, consumed, token);
        return;
      }
      // The program awaits these: the daemon handles them while the program goes on.
      if (this.openAt >= 0 && (detail & SendDetail.LAZY) === 0) this.write();
      this.open(detail, consumed, token, length);
    } else {
      this.openConsumed += consumed;
      this.openCount++;
    }
    this.openToken = token;
    this.lastHead = head;
    const at = this.to;
    const { slab } = this;
    this.to += length;
    if (isSame) writeU32(slab, at, SAME + dataLength);
    else if (isPlain)
      this.plain.write(slab, this.view, at, head, flagsOf(head, detail), dataLength);
    else writeRecord(slab, at, head.name, flagsOf(head, detail), fields, words, dataLength);
    // First the zeros of the padding, then the data over them.
    if ((dataLength & 3) !== 0) writeU32(slab, this.to - 4, 0);
    if (dataLength > 0) copy.call(slab, message.data, at + dataAt);
  }

  /** Writes a SAME record. */
  private same(message: Message, dataLength: number): void {
    const { slab, to } = this;
    writeU32(slab, to, SAME + dataLength);
    this.to = to + HEAD_AT + padded(dataLength);
    if ((dataLength & 3) !== 0) writeU32(slab, this.to - 4, 0);
    if (dataLength > 0) copy.call(slab, message.data, to + HEAD_AT);
  }

  /** Whether the open SEND can take a message of this detail; if not, closes it. */
  private isOpenFor(detail: number, consumed: number, token: number): boolean {
    if (this.openAt < 0) return false;
    if (
      detail === this.openDetail &&
      token === this.openToken + 1 &&
      this.openConsumed + consumed <= MAX_CONSUMED
    ) {
      return true;
    }
    this.closeFrame();
    return false;
  }

  /** Begins a SEND, with room for a record of `length` bytes. */
  private open(detail: number, consumed: number, token: number, length: number): void {
    const at = this.reserve(RECORDS_AT, length);
    this.openAt = at;
    this.openDetail = detail;
    this.openConsumed = consumed;
    this.openCount = 1;
    // `closeFrame` writes the length, the count and `consumed`.
    writeSendHead(this.view, at, 0, detail, 0, token, 1);
    this.flushSoon();
  }

  /** Ends the open SEND. */
  private closeFrame(): void {
    this.lastHead = NO_HEAD;
    const { openAt, view } = this;
    if (openAt < 0) return;
    view.setUint32(openAt + FRAME_AT.length, this.to - openAt);
    view.setUint16(openAt + FRAME_AT.consumed, this.openConsumed);
    view.setUint32(openAt + FRAME_HEADER, this.openCount);
    this.openAt = -1;
  }

  /** Writes a SEND of one message whose data is not copied. */
  private large(message: Message, detail: number, consumed: number, token: number): void {
    const { head, data } = message;
    const fields = wordsOf(head, message.idSerial);
    const dataAt = RECORDS_AT + HEAD_AT + headLength(head.name.length, fields);
    const padding = padded(data.length) - data.length;
    const at = this.reserve(dataAt, 4);
    const { view, slab } = this;
    const length = dataAt + data.length + padding;
    writeSendHead(view, at, length, detail, consumed, token, 1);
    const flags = flagsOf(head, detail);
    writeRecord(slab, at + RECORDS_AT, head.name, flags, fields, words, data.length);
    this.cut();
    this.pieces.push(data);
    if (padding > 0) {
      view.setUint32(this.to, 0);
      this.to += padding;
    }
    // The next frame must begin at a multiple of 4 in the slab, too.
    this.cut();
    this.to = padded(this.to);
    this.from = this.to;
    this.flushSoon();
  }

  private cut(): void {
    if (this.from === this.to) return;
    this.pieces = appended(this.pieces, this.slab.subarray(this.from, this.to));
    this.from = this.to;
  }

  /** Reserves `length` bytes of the slab, with room for `more` after them; gives where they begin. Call `flushSoon` then. */
  reserve(length: number, more = 0): number {
    this.closeFrame();
    if (this.to + length + more > this.slab.length) {
      // A full slab is written at once, before the end of the tick.
      this.write();
      if (length + more > this.slab.length - this.to) {
        if (this.slab.length === SLAB_BYTES) this.full.push(this.slab);
        this.renew(Math.max(SLAB_BYTES, length + more));
      }
    }
    const at = this.to;
    this.to += length;
    return at;
  }

  private renew(length: number): void {
    this.slab = (length === SLAB_BYTES ? this.free.pop() : undefined) ?? this.memory(length);
    const { buffer, byteOffset } = this.slab;
    this.view = new DataView(buffer, byteOffset, length);
    this.words = new Int32Array(buffer, byteOffset, length >> 2);
    this.from = 0;
    this.to = 0;
  }

  /** Schedules a flush. */
  flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    this.defer(this.flushNow);
  }

  /** Delays the flush until `release`, instead of the end of the tick. */
  hold(): void {
    this.isFlushing = true;
  }

  /** Flushes the frames written since `hold`, if there are any. */
  release(): void {
    if (this.from !== this.to || this.pieces.length > 0) this.flush();
    else this.isFlushing = false;
  }

  /** Writes all frames to the channel. */
  flush(): void {
    this.beforeFlush();
    this.isFlushing = false;
    this.write();
  }

  private write(): void {
    this.closeFrame();
    this.cut();
    const { pieces } = this;
    if (pieces.length === 0) return;
    this.pieces = [];
    this.channel.write(pieces);
    const { backlog } = this.channel;
    this.isCrowded = backlog >= CROWDED_BYTES;
    if (backlog > 0) return;
    this.written();
    this.from = 0;
    this.to = 0;
  }

  /** The backlog has gone down. */
  drained(): void {
    const { backlog } = this.channel;
    this.isCrowded = backlog >= CROWDED_BYTES;
    if (backlog === 0) this.written();
  }

  /** The channel has written all full slabs: they can be reused. */
  private written(): void {
    for (const slab of this.full) if (this.free.length < MAX_FREE_SLABS) this.free.push(slab);
    this.full = [];
  }
}

function flagsOf({ flags }: Head, detail: number): number {
  const sent = flags & ~KBUS_FLAGS;
  return ((detail & SendDetail.WAIT) !== 0 ? sent | Flag.ALL_OR_WAIT : sent) >>> 0;
}
