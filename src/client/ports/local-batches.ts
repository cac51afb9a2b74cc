import { copyBytes } from '../../base/copy-bytes.ts';
import { readU32, writeU32 } from '../../base/u32.ts';
import { MessageBatch } from '../../bus/message-batch.ts';
import {
  checkRecords,
  copyHead,
  HEAD_AT,
  headLengthAt,
  SAME,
  type Sums,
} from '../../message/codec/records.ts';
import { KBUS_FLAGS } from '../../message/flags.ts';
import {
  type BatchedNames,
  MAX_BATCH_BYTES,
  RecordBatch,
  stretchOf,
} from '../../message/record-batch.ts';
import { CarriedRecords } from './carried-records.ts';
import type { LocalPort } from './local-port.ts';
import type { Refused } from './port.ts';
import type { RecordBatches } from './record-batches.ts';

/** The batches of a bus in this process. */
export class LocalBatches implements RecordBatches {
  private readonly port: LocalPort;
  private readonly names: BatchedNames;
  private readonly sums: Sums = { data: 0, size: 0, largest: 0, heads: 0 };

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
    const bytes = new Uint8Array(length);
    let to = 0;
    for (const piece of pieces) to = copyPiece(piece, bytes, to);
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
    const { bytes, from, idSerial, span } = batch;
    const { at, headAt } = batch.cursor(index);
    const left = batch.count - index;
    const stretch = stretchOf(bytes, at, headAt, span.end, left, this.names);
    if (stretch === null) return null;
    const { count, end, waits } = stretch;
    const ownHead = headAt === at + HEAD_AT ? 0 : headLengthAt(bytes, headAt);
    return {
      bytes,
      at,
      headAt,
      ownHead,
      end,
      count,
      length: ownHead + end - at,
      from,
      serial: idSerial + index,
      waits,
      isLast: count < left,
    };
  }

  post(batch: RecordBatch, wait: boolean, refused: Refused): boolean {
    const { count } = batch;
    const { bus, ksock, sends } = this.port;
    const length = CarriedRecords.lengthOfAll(batch);
    const bytes = new Uint8Array(length);
    new CarriedRecords(batch, wait).write(count, bytes, new Int32Array(bytes.buffer), 0);
    const { sums } = this;
    const wrong = checkRecords(bytes, 0, length, count, KBUS_FLAGS, sums, bus.names);
    if (wrong !== '') throw new Error(`a batch that was not checked: ${wrong}`);
    ksock.tookSteps(sums.heads);
    const sent = MessageBatch.ofRecords(bytes, 0, length, count, sums, null);
    return sends.postBatch(sent, wait, refused);
  }
}

/** Records of one queue entry. */
interface Piece {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly end: number;
  /** The head of the first, and its length if it lies elsewhere, since the record is SAME; otherwise 0. */
  readonly headAt: number;
  readonly ownHead: number;
  /** Bytes of the records, with that head. */
  readonly length: number;
  readonly count: number;
  /** The Ksock that sent them, and the serial number of the first. */
  readonly from: number;
  readonly serial: number;
  readonly waits: boolean;
  /** No other one follows in the same batch. */
  readonly isLast: boolean;
}

/** Copies records to `to`, the first with its head; gives where they end. */
function copyPiece(piece: Piece, target: Uint8Array, to: number): number {
  const { at, bytes, end, headAt, ownHead } = piece;
  if (ownHead === 0) {
    copyBytes(bytes, at, end, target, to);
    return to + end - at;
  }
  writeU32(target, to, readU32(bytes, at) - SAME);
  copyHead(bytes, headAt, 0, target, to + HEAD_AT);
  const next = to + HEAD_AT + ownHead;
  copyBytes(bytes, at + HEAD_AT, end, target, next);
  return next + end - at - HEAD_AT;
}
