import { Buffer } from 'node:buffer';
import { copyBytes } from '../../base/copy-bytes.ts';
import type { Memory } from '../../base/memory.ts';
import { padded, readU32, writeU32 } from '../../base/u32.ts';
import { MessageBatch } from '../../bus/message-batch.ts';
import { entireLength } from '../../message/codec/device.ts';
import { spelledLength, writeSpelled } from '../../message/codec/known-records.ts';
import {
  copyWithHead,
  FLAGS_AT,
  flagsAt,
  HEAD_AT,
  headLengthAt,
  NUMBER_AT,
  nameLengthAt,
  numberAt,
  type RecordCursor,
  SAME,
  WORDS_AT,
} from '../../message/codec/records.ts';
import { Flag } from '../../message/flags.ts';
import {
  type BatchedNames,
  MAX_BATCH_BYTES,
  RecordBatch,
  stretchOf,
} from '../../message/record-batch.ts';
import { MAX_JOINED_BYTES } from '../../wire/frame.ts';
import type { LocalPort } from './local-port.ts';
import type { Refused } from './port.ts';
import type { RecordBatches } from './record-batches.ts';

/** Not filled with zeros: all of it is written. */
const memory: Memory = (length) => new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);

/** The batches of a bus in this process. */
export class LocalBatches implements RecordBatches {
  private readonly port: LocalPort;
  private readonly names: BatchedNames;
  // Of the last part.
  private end = 0;
  private heads = 0;

  constructor(port: LocalPort, names: BatchedNames) {
    this.port = port;
    this.names = names;
  }

  next(): RecordBatch | null {
    const { ksock } = this.port;
    const { queue } = ksock;
    if (!ksock.isOpen || queue.entries === 0) return null;
    const first = this.piece(0, queue.readOf(0));
    if (first === null) return null;
    const { from, serial, waits } = first;
    const pieces = [first];
    let { count, isLast, length } = first;
    // A full queue makes the sender send in small parts what came together.
    for (let entry = 1; !isLast && entry < queue.entries; entry++) {
      const next = this.piece(entry, 0);
      if (next === null || next.from !== from || next.waits !== waits) break;
      if (next.serial !== serial + count || length + next.length > MAX_BATCH_BYTES) break;
      pieces.push(next);
      count += next.count;
      length += next.length;
      isLast = next.isLast;
    }
    // The memory is the daemon's, which will use it again.
    const bytes = memory(length);
    let to = 0;
    for (const { records, count: some } of pieces) to = writeSpelled(records, some, bytes, to);
    ksock.takeMany(count);
    const made = new RecordBatch(bytes, 0, HEAD_AT, length, count, 0, serial, from, waits);
    this.names.renumber(made);
    return made;
  }

  /** The Announcements of an entry, from `index` on, that may be in a batch; null if the first may not. */
  private piece(entry: number, index: number): Piece | null {
    const { queue } = this.port.ksock;
    const batch = queue.batch(entry);
    const isForListeners = queue.binding(entry)?.replier === false;
    if (batch.span === null || batch.more !== null || !isForListeners) return null;
    if (batch.idNetwork !== 0) return null;
    const { bytes, from, idSerial, span } = batch;
    const records = batch.cursor(index);
    const { at, headAt } = records;
    const left = batch.count - index;
    const stretch = stretchOf(bytes, at, headAt, span.end, left, this.names, true);
    if (stretch === null) return null;
    const { count, length, waits } = stretch;
    const ownHead = headAt === at + HEAD_AT ? 0 : spelledLength(bytes, headAt);
    return {
      records,
      count,
      length: ownHead + length,
      from,
      serial: idSerial + index,
      waits,
      isLast: count < left,
    };
  }

  post(batch: RecordBatch, wait: boolean, refused: Refused): boolean {
    const { count, network, sender, serial, waits } = batch;
    // The batch may be on its way to other Limpets, too: there, the numbers of its names must not change.
    const bytes = recordsOf(batch);
    const mayNotWait = waits && !wait;
    let isReady = true;
    for (let index = 0, at = 0; index < count; ) {
      const part = this.part(bytes, at, count - index, mayNotWait);
      at = this.end;
      part.comeFrom(network, sender, serial + index);
      index += part.count;
      this.port.ksock.tookSteps(this.heads);
      isReady = this.port.sends.postBatch(part, wait, refused);
    }
    return isReady;
  }

  /** Records from `from` on, of `most` that were checked, which the daemon sends in one frame; their names get numbers, and `this.end` is where they end. */
  private part(bytes: Uint8Array, from: number, most: number, mayNotWait: boolean): MessageBatch {
    const { names } = this.port.bus;
    let count = 0;
    let at = from;
    let heads = 0;
    let bare = 0;
    let data = 0;
    let size = 0;
    let largest = 0;
    while (count < most) {
      const word = readU32(bytes, at);
      const headAt = at + HEAD_AT;
      let dataLength = word - SAME;
      let dataAt = headAt;
      if (word < SAME) {
        dataLength = word;
        dataAt += headLengthAt(bytes, headAt);
        if (count > 0 && dataAt + padded(dataLength) - from > MAX_JOINED_BYTES) break;
        const nameLength = nameLengthAt(bytes, headAt);
        const number = names.of(bytes, headAt + WORDS_AT, nameLength, numberAt(bytes, headAt));
        writeU32(bytes, headAt + NUMBER_AT, number);
        if (mayNotWait) {
          writeU32(bytes, headAt + FLAGS_AT, flagsAt(bytes, headAt) & ~Flag.ALL_OR_WAIT);
        }
        bare = entireLength(nameLength, 0);
        heads++;
      }
      const dataBytes = padded(dataLength);
      at = dataAt + dataBytes;
      count++;
      data += dataLength;
      size += bare + dataBytes;
      if (bare + dataBytes > largest) largest = bare + dataBytes;
    }
    this.end = at;
    this.heads = heads;
    return MessageBatch.ofRecords(
      bytes,
      from,
      at,
      count,
      { data, size, largest, heads, known: 0 },
      null,
    );
  }
}

/** The records of a batch in memory of their own, the first with its head. */
function recordsOf({ at, bytes, end, headAt }: RecordBatch): Uint8Array {
  const ownHead = headAt === at + HEAD_AT ? 0 : headLengthAt(bytes, headAt);
  const records = memory(ownHead + end - at);
  if (ownHead === 0) {
    copyBytes(bytes, at, end, records, 0);
    return records;
  }
  copyBytes(bytes, at + HEAD_AT, end, records, copyWithHead(bytes, at, headAt, 0, records, 0));
  return records;
}

/** Records of one queue entry. */
interface Piece {
  /** At the first of them. */
  readonly records: RecordCursor;
  readonly count: number;
  /** Bytes of the records with all names, and with the head of the first. */
  readonly length: number;
  /** The Ksock that sent them, and the serial number of the first. */
  readonly from: number;
  readonly serial: number;
  readonly waits: boolean;
  /** No other one follows in the same batch. */
  readonly isLast: boolean;
}
