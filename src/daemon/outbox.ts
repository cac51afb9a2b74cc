import { appended } from '../base/appended.ts';
import type { Slab } from '../base/slab.ts';
import type { MessageBatch } from '../bus/message-batch.ts';
import {
  copyHead,
  HEAD_AT,
  headLength,
  headLengthAt,
  type RecordCursor,
  RecordWords,
  writeRecord,
} from '../message/codec/records.ts';
import type { Channel } from '../transport/channel.ts';
import { writeFrameHeader } from '../wire/frame.ts';
import { FRAME_AT, FRAME_HEADER, FrameKind, RECORDS_AT, YOU } from '../wire/protocol.ts';

/** From this size on, records are sent from where they lie instead of being copied behind the head of their frame. */
export const BY_REFERENCE = 4096;

/**
 * Several messages are not put into a longer frame than this: a client reads no more at once. It is less than the
 * longest frame that WELCOME tells of, however long the frame was in which they came.
 */
const MAX_BATCH_BYTES = 32 * 1024;

/**
 * What one connection is to be sent when the turn ends: stretches of buffers, most of which are shared with other
 * connections, joined where they lie side by side.
 */
export class Outbox {
  private readonly channel: Channel;
  private readonly slab: Slab;
  private pieces: Uint8Array[] = [];
  private bytes: Uint8Array | null = null;
  private from = 0;
  private to = 0;

  // The frame of messages that is open: more may be added to it while they lie behind those that it has, have the same
  // sender, and numbers that go on. FrameKind 0: none is.
  private kind = 0;
  private detail = 0;
  private token = 0;
  private count = 0;
  private sender = 0;
  private serial = 0;
  private records: Uint8Array | null = null;
  private recordsAt = 0;
  private recordsEnd = 0;
  /** The head of the first record, if that is SAME: what it is the same as doesn't go with it. */
  private headAt = 0;
  private repeats = 0;

  constructor(channel: Channel, slab: Slab) {
    this.channel = channel;
    this.slab = slab;
  }

  /** A frame that the caller made. */
  frame(frame: Uint8Array): void {
    this.close();
    this.append(frame, 0, frame.length);
  }

  /** A frame of up to four words. */
  words(
    kind: number,
    detail: number,
    token: number,
    count: number,
    first = 0,
    second = 0,
    third = 0,
    fourth = 0,
  ): void {
    this.close();
    const length = FRAME_HEADER + count * 4;
    const { slab } = this;
    slab.reserve(length);
    const { view, at } = slab;
    writeFrameHeader(view, at, length, kind, detail, 0, token);
    const body = at + FRAME_AT.body;
    if (count > 0) view.setUint32(body, first);
    if (count > 1) view.setUint32(body + 4, second);
    if (count > 2) view.setUint32(body + 8, third);
    if (count > 3) view.setUint32(body + 12, fourth);
    this.append(slab.bytes, at, at + length);
  }

  /**
   * `count` messages of a batch, from the one at `within` on, go out in a frame of this kind; `token` is the first
   * one's.
   */
  messages(
    kind: number,
    token: number,
    batch: MessageBatch,
    within: number,
    count: number,
    you: boolean,
  ): void {
    const detail = you ? YOU : 0;
    const serial = batch.idNetwork === 0 ? batch.idSerial + within : 0;
    const { span } = batch;
    if (span === null || batch.more !== null) {
      this.close();
      this.alone(kind, detail, token, batch, serial);
      return;
    }
    const cursor = batch.cursor(within);
    const { at, headAt, repeats } = cursor;
    const to = batch.startOf(within + count);
    if (count === 1 || to - at <= MAX_BATCH_BYTES) {
      this.add(kind, detail, token, batch, serial, count, at, to, headAt, repeats);
    } else {
      this.addLong(kind, detail, token, batch, serial, count, cursor);
    }
  }

  /** Adds what lies from `from` up to `to` to the frame that is open, or begins another. */
  private add(
    kind: number,
    detail: number,
    token: number,
    batch: MessageBatch,
    serial: number,
    count: number,
    from: number,
    to: number,
    headAt: number,
    repeats: number,
  ): void {
    if (
      kind === this.kind &&
      // Frames of the other kinds have one message each.
      (kind === FrameKind.PREFETCH ||
        (kind === FrameKind.ANSWER && token === this.token + this.count)) &&
      detail === this.detail &&
      batch.bytes === this.records &&
      from === this.recordsEnd &&
      batch.from === this.sender &&
      serial === this.serial + this.count &&
      // Of a frame whose message has the id of a Limpet, it is 0.
      this.serial !== 0 &&
      to - this.recordsAt <= MAX_BATCH_BYTES
    ) {
      this.count += count;
      this.recordsEnd = to;
      return;
    }
    this.close();
    this.kind = kind;
    this.detail = detail;
    this.token = token;
    this.count = count;
    this.sender = batch.from;
    this.serial = serial;
    this.records = batch.bytes;
    this.recordsAt = from;
    this.recordsEnd = to;
    this.headAt = headAt;
    this.repeats = repeats;
  }

  /** The same of `count` messages from the cursor on that are too long for one frame. */
  private addLong(
    kind: number,
    detail: number,
    token: number,
    batch: MessageBatch,
    serial: number,
    count: number,
    cursor: RecordCursor,
  ): void {
    const rises = kind === FrameKind.ANSWER ? 1 : 0;
    for (let done = 0; done < count; ) {
      const { at, headAt, repeats } = cursor;
      let some = 1;
      let to = cursor.end;
      while (done + some < count) {
        cursor.next();
        if (cursor.end - at > MAX_BATCH_BYTES) break;
        to = cursor.end;
        some++;
      }
      const first = token + rises * done;
      this.add(kind, detail, first, batch, serial + done, some, at, to, headAt, repeats);
      done += some;
    }
  }

  /** A message that doesn't lie in a record, or whose data lies in pieces. */
  private alone(
    kind: number,
    detail: number,
    token: number,
    batch: MessageBatch,
    serial: number,
  ): void {
    const { slab } = this;
    const { dataLength } = batch;
    const fields = wordsOf(batch);
    const dataAt = RECORDS_AT + HEAD_AT + headLength(batch.name.length, fields);
    const byReference = dataLength > BY_REFERENCE;
    const padding = (4 - (dataLength & 3)) & 3;
    const length = dataAt + dataLength + padding;
    slab.reserve(byReference ? dataAt + 4 : length);
    const { bytes, view, at } = slab;
    writeFrameHeader(view, at, length, kind, detail, 0, token);
    this.common(view, at, 1, batch.from, serial);
    writeRecord(bytes, at + RECORDS_AT, batch.name, batch.flags, fields, words, dataLength);
    if (!byReference) {
      if (padding > 0) view.setUint32(at + length - 4, 0);
      batch.writeData(bytes, at + dataAt);
      this.append(bytes, at, at + length);
      return;
    }
    this.append(bytes, at, at + dataAt);
    for (const piece of batch.dataPieces()) this.append(piece, 0, piece.length);
    if (padding > 0) {
      view.setUint32(at + dataAt, 0);
      this.append(bytes, at + dataAt, at + dataAt + padding);
    }
  }

  private common(view: DataView, at: number, count: number, from: number, serial: number): void {
    view.setUint32(at + FRAME_HEADER, count);
    view.setUint32(at + FRAME_HEADER + 4, from);
    view.setUint32(at + FRAME_HEADER + 8, serial);
  }

  /** What comes next is not of the frame that is open. */
  private close(): void {
    if (this.kind === 0) return;
    const { slab, headAt, recordsAt, recordsEnd } = this;
    const records = this.records as Uint8Array;
    const isWhole = headAt === recordsAt + HEAD_AT;
    // A record that is SAME is given the head that it has.
    const head = isWhole ? 0 : headLengthAt(records, headAt);
    const length = RECORDS_AT + head + recordsEnd - recordsAt;
    const isShort = recordsEnd - recordsAt <= BY_REFERENCE;
    const own = isShort ? length : isWhole ? RECORDS_AT : RECORDS_AT + HEAD_AT + head;
    slab.reserve(own);
    const { bytes, view, at } = slab;
    writeFrameHeader(view, at, length, this.kind, this.detail, 0, this.token);
    this.common(view, at, this.count, this.sender, this.serial);
    let from = recordsAt;
    let to = at + RECORDS_AT;
    if (!isWhole) {
      bytes[to] = (records[from] as number) & 0x7f;
      for (let index = 1; index < HEAD_AT; index++)
        bytes[to + index] = records[from + index] as number;
      copyHead(records, headAt, this.repeats, bytes, to + HEAD_AT);
      from += HEAD_AT;
      to += HEAD_AT + head;
    }
    this.kind = 0;
    this.records = null;
    if (isShort) {
      copyBytes(records, from, recordsEnd, bytes, to);
      this.append(bytes, at, at + length);
      return;
    }
    this.append(bytes, at, to);
    this.append(records, from, recordsEnd);
  }

  private append(bytes: Uint8Array, from: number, to: number): void {
    if (bytes === this.bytes && from === this.to) {
      this.to = to;
      return;
    }
    this.cut();
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  /** Sends it all, in one system call where the channel can. */
  flush(): void {
    this.close();
    this.cut();
    if (this.pieces.length === 0) return;
    const { pieces } = this;
    this.pieces = [];
    this.channel.write(pieces);
  }

  private cut(): void {
    const { bytes, from, to } = this;
    if (bytes === null) return;
    // All of it, mostly, when one frame came.
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    this.pieces = appended(this.pieces, piece);
    this.bytes = null;
  }
}

const words = new RecordWords();

/** Puts the words of a message into `words`; which of them it needs. */
function wordsOf(batch: MessageBatch): number {
  const { carried } = batch;
  words.to = batch.to;
  words.replyNetwork = batch.replyNetwork;
  words.replySerial = batch.replySerial;
  words.idNetwork = batch.idNetwork;
  words.idSerial = batch.idSerial;
  words.origNetwork = carried?.origNetwork ?? 0;
  words.origLocal = carried?.origLocal ?? 0;
  words.finalNetwork = carried?.finalNetwork ?? 0;
  words.finalLocal = carried?.finalLocal ?? 0;
  return words.fields;
}

/** Up to so many bytes are copied one by one: a view costs more. */
const FEW = 96;

function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  const length = end - start;
  if (length <= FEW)
    for (let index = 0; index < length; index++) to[at + index] = from[start + index] as number;
  else to.set(from.subarray(start, end), at);
}
