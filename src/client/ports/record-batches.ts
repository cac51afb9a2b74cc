import { copyBytes } from '../../base/copy-bytes.ts';
import { padded, readU32, writeU32 } from '../../base/u32.ts';
import {
  Field,
  FLAGS_AT,
  flagsAt,
  HEAD_AT,
  headLengthAt,
  nameLengthAt,
  type RecordCursor,
  RecordWords,
  SAME,
  WORDS_AT,
} from '../../message/codec/records.ts';
import { Flag } from '../../message/flags.ts';
import type { Head } from '../../message/head.ts';
import type { Message } from '../../message/message.ts';
import {
  type BatchedNames,
  isAnnouncement,
  MAX_BATCHED_DATA,
  RecordBatch,
  waitsAt,
} from '../../message/record-batch.ts';
import { writeFrameHeader } from '../../wire/frame.ts';
import { MAX_BATCH_BYTES } from '../../wire/frame-writer.ts';
import { FRAME_HEADER, FrameKind, SENT_RECORDS_AT, SendDetail } from '../../wire/protocol.ts';
import type { FramePort } from './frame-port.ts';
import type { Refused } from './port.ts';
import type { PrefetchedBatch } from './prefetched-batch.ts';

/** What a record has beside flags, name and data on other buses: id, orig_from and final_to. */
const CARRIED = Field.ID | Field.CARRIED;
const CARRIED_BYTES = 24;

/** Batches of up to this many bytes are copied to where words are aligned, if theirs are not. */
const MAX_ALIGNED_BYTES = 64 * 1024;

/** Longer stretches, in bytes, are copied faster by a view of them than by a loop. */
const MAX_LOOP_BYTES = 384;

/**
 * Reads and sends Announcements over a port in batches. Only Limpets do, so it is no part of the port, which pages have, too.
 */
export class RecordBatches {
  private readonly port: FramePort;
  private readonly names: BatchedNames;
  private aligned: Uint8Array | null = null;

  /** `names`: those of the messages that it may take. */
  constructor(port: FramePort, names: BatchedNames) {
    this.port = port;
    this.names = names;
  }

  /** Takes the Announcements at the front of the queue that may be in one batch; null if the next message is none. */
  next(): RecordBatch | null {
    const { isClosing, prefetching, refusals, unclaimed } = this.port;
    const { queue } = prefetching;
    if (isClosing || unclaimed.length > 0 || queue.length === 0) return null;
    const front = queue.batch ?? queue.nextBatch();
    const batch = front === null ? null : taken(front, this.names);
    if (front === null || batch === null) return null;
    queue.length -= batch.count;
    if (front.left === 0) queue.batch = null;
    if (refusals.closedBy === null) prefetching.noteConsumed(batch.count);
    return batch;
  }

  /** Posts messages of another bus, as {@link FramePort.post} does. */
  post(batch: RecordBatch, wait: boolean, refused: Refused): boolean {
    const { port } = this;
    const messages = batch.messages();
    // The first one begins what the sends in flight count together.
    port.post(messages.next().value as Message, wait, refused);
    if (batch.count === 1) return port.inFlight.isReady;
    const rest = this.align(batch.from(1));
    const detail = wait ? SendDetail.WAIT | SendDetail.LAZY : SendDetail.LAZY;
    if (port.inFlight.addPosts(rest.count, rest.dataBytes, detail)) this.write(rest, wait, detail);
    else for (const message of messages) port.post(message, wait, refused);
    return port.inFlight.isReady;
  }

  /** The batch in memory where its words are aligned, until the next call: they are written faster from there. */
  private align(batch: RecordBatch): RecordBatch {
    const { at, bytes, count, end, headAt, network, sender, serial, waits } = batch;
    const from = Math.min(at, headAt);
    const length = end - from;
    if (((bytes.byteOffset + at) & 3) === 0 || length > MAX_ALIGNED_BYTES) return batch;
    this.aligned ??= new Uint8Array(MAX_ALIGNED_BYTES);
    copyBytes(bytes, from, end, this.aligned, 0);
    const places = [at - from, headAt - from, length] as const;
    return new RecordBatch(this.aligned, ...places, count, network, serial, sender, waits);
  }

  /** Writes SENDs. */
  private write(batch: RecordBatch, wait: boolean, detail: number): void {
    const { prefetching, writer } = this.port;
    const ahead = batch.cursor();
    const records = new CarriedRecords(batch, wait);
    for (let left = batch.count; left > 0; ) {
      let count = 0;
      let length = SENT_RECORDS_AT;
      while (count < left) {
        const more = CarriedRecords.lengthOf(ahead);
        if (count > 0 && length + more > MAX_BATCH_BYTES) break;
        length += more;
        if (++count < left) ahead.next();
      }
      const at = writer.reserve(length);
      const { slab, view, words } = writer;
      const consumed = prefetching.takeConsumed();
      writeFrameHeader(view, at, length, FrameKind.SEND, detail, consumed, this.tokens(count));
      view.setUint32(at + FRAME_HEADER, count);
      records.write(count, slab, words, at + SENT_RECORDS_AT);
      writer.flushSoon();
      left -= count;
    }
  }

  /** The first of `count` tokens that follow each other. */
  private tokens(count: number): number {
    const { tokens } = this.port;
    for (;;) {
      const first = tokens.take();
      let next = first + 1;
      while (next < first + count && tokens.take() === next) next++;
      if (next === first + count) return first;
    }
  }
}

/** Takes the Announcements at the front of a batch that may be passed on together; null if the first may not. */
function taken(batch: PrefetchedBatch, names: BatchedNames): RecordBatch | null {
  if (!batch.isForListeners) return null;
  const { bytes, end, from, left, serial, at: start } = batch;
  let at = start;
  let count = 0;
  let headAt = 0;
  let waits = false;
  while (count < left && at + HEAD_AT <= end) {
    const word = readU32(bytes, at);
    const isSame = word >= SAME;
    let dataAt = at + HEAD_AT;
    if (isSame) {
      // The head is that of a message which was read before, and was none for a batch.
      if (count === 0) break;
    } else {
      if (!isAnnouncement(bytes, dataAt, end) || !names.has(bytes, dataAt)) break;
      const isWaiting = waitsAt(bytes, dataAt);
      if (count > 0 && isWaiting !== waits) break;
      waits = isWaiting;
      headAt = dataAt;
      dataAt += headLengthAt(bytes, headAt);
    }
    const dataLength = isSame ? word - SAME : word;
    const next = dataAt + padded(dataLength);
    const isLast = count + 1 === left;
    if (dataLength >= MAX_BATCHED_DATA || next > end || isLast !== (next === end)) break;
    at = next;
    count++;
  }
  if (count === 0) return null;
  batch.at = at;
  batch.left -= count;
  batch.serial += count;
  // A record that follows may be SAME.
  if (batch.left > 0) batch.head = batch.heads.read(bytes, headAt, end, 0) as Head;
  // The bytes stay where they are: nobody reads them again, so the numbers of their names may change.
  batch.kept.referenced++;
  const made = new RecordBatch(bytes, start, start + HEAD_AT, at, count, 0, serial, from, waits);
  names.renumber(made);
  return made;
}

/** Writes the records of a batch as those of another bus: each with its id, orig_from and final_to. */
class CarriedRecords {
  private readonly batch: RecordBatch;
  private readonly cursor: RecordCursor;
  private readonly wait: boolean;
  /** The words that they share, as this machine has them; and those of `batch`, if they are aligned. */
  private readonly carried = new Int32Array(CARRIED_BYTES / 4);
  private readonly source: Int32Array | null;
  /** How many are written. */
  private done = 0;

  constructor(batch: RecordBatch, wait: boolean) {
    this.batch = batch;
    this.cursor = batch.cursor();
    this.wait = wait;
    const { bytes, network, sender } = batch;
    words.idNetwork = network;
    words.origNetwork = network;
    words.origLocal = sender;
    words.write(new Uint8Array(this.carried.buffer), 0, CARRIED);
    const { buffer } = bytes;
    const isAligned = ((bytes.byteOffset + batch.at) & 3) === 0;
    this.source = isAligned ? new Int32Array(buffer, 0, buffer.byteLength >> 2) : null;
  }

  /** How long the record at the cursor becomes. */
  static lengthOf({ bytes, dataLength, headAt }: RecordCursor): number {
    return HEAD_AT + headLengthAt(bytes, headAt) + CARRIED_BYTES + padded(dataLength);
  }

  /** Writes the next `count` records at `start`. */
  write(count: number, slab: Uint8Array, slabWords: Int32Array, start: number): void {
    const { batch, carried, cursor, wait } = this;
    const { bytes, serial } = batch;
    let to = start;
    for (let index = 0; index < count; index++) {
      if (this.done > 0) cursor.next();
      const { dataAt, dataLength, headAt } = cursor;
      const nameAt = headAt + WORDS_AT;
      writeU32(slab, to, dataLength);
      const toHead = to + HEAD_AT;
      this.copy(headAt, WORDS_AT, slab, slabWords, toHead);
      slab[toHead + 3] = CARRIED;
      const flags = flagsAt(bytes, headAt) & ~Flag.ALL_OR_WAIT;
      writeU32(slab, toHead + FLAGS_AT, wait ? flags | Flag.ALL_OR_WAIT : flags);
      to = toHead + WORDS_AT;
      const at = to >> 2;
      for (let word = 0; word < carried.length; word++) {
        slabWords[at + word] = carried[word] as number;
      }
      writeU32(slab, to + 4, serial + this.done++);
      to += CARRIED_BYTES;
      const nameLength = padded(nameLengthAt(bytes, headAt));
      const dataBytes = padded(dataLength);
      if (dataAt === nameAt + nameLength) {
        this.copy(nameAt, nameLength + dataBytes, slab, slabWords, to);
      } else {
        this.copy(nameAt, nameLength, slab, slabWords, to);
        this.copy(dataAt, dataBytes, slab, slabWords, to + nameLength);
      }
      to += nameLength + dataBytes;
    }
  }

  /** Copies bytes of the batch; all places and lengths are multiples of 4, where memory is aligned. */
  private copy(
    from: number,
    length: number,
    slab: Uint8Array,
    slabWords: Int32Array,
    to: number,
  ): void {
    const { bytes } = this.batch;
    const { source } = this;
    if (source === null || length > MAX_LOOP_BYTES) {
      copyBytes(bytes, from, from + length, slab, to);
      return;
    }
    const shift = (bytes.byteOffset + from) >> 2;
    const at = to >> 2;
    for (let word = 0; word < length >> 2; word++) {
      slabWords[at + word] = source[shift + word] as number;
    }
  }
}

const words = new RecordWords();
