import { copyBytes } from '../../base/copy-bytes.ts';
import { padded, writeU32 } from '../../base/u32.ts';
import {
  Field,
  FLAGS_AT,
  flagsAt,
  HEAD_AT,
  headLengthAt,
  nameLengthAt,
  type RecordCursor,
  RecordWords,
  WORDS_AT,
} from '../../message/codec/records.ts';
import { Flag } from '../../message/flags.ts';
import { RecordBatch } from '../../message/record-batch.ts';

/** What a record has beside flags, name and data on other buses: id, orig_from and final_to. */
const CARRIED = Field.ID | Field.CARRIED;
const CARRIED_BYTES = 24;

/** Batches of up to this many bytes are copied to where words are aligned, if theirs are not. */
const MAX_ALIGNED_BYTES = 64 * 1024;

/** Longer stretches, in bytes, are copied faster by a view of them than by a loop. */
const MAX_LOOP_BYTES = 384;

const words = new RecordWords();

let scratch: Uint8Array | null = null;

/** The batch in memory where its words are aligned, until the next call: they are written faster from there. */
function aligned(batch: RecordBatch): RecordBatch {
  const { at, bytes, count, end, headAt, network, sender, serial, waits } = batch;
  const from = Math.min(at, headAt);
  const length = end - from;
  if (((bytes.byteOffset + at) & 3) === 0 || length > MAX_ALIGNED_BYTES) return batch;
  scratch ??= new Uint8Array(MAX_ALIGNED_BYTES);
  copyBytes(bytes, from, end, scratch, 0);
  const places = [at - from, headAt - from, length] as const;
  return new RecordBatch(scratch, ...places, count, network, serial, sender, waits);
}

/**
 * Writes the records of a batch as those of another bus: each with its id, orig_from and final_to. Only one at a time may be in
 * use.
 */
export class CarriedRecords {
  private readonly batch: RecordBatch;
  private readonly cursor: RecordCursor;
  private readonly wait: boolean;
  /** The words that they share, as this machine has them; and those of `batch`, if they are aligned. */
  private readonly carried = new Int32Array(CARRIED_BYTES / 4);
  private readonly source: Int32Array | null;
  /** How many are written. */
  private done = 0;

  constructor(given: RecordBatch, wait: boolean) {
    const batch = aligned(given);
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
