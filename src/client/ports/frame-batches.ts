import { HEAD_AT } from '../../message/codec/records.ts';
import type { Head } from '../../message/head.ts';
import type { Message } from '../../message/message.ts';
import { type BatchedNames, RecordBatch, stretchOf } from '../../message/record-batch.ts';
import { MAX_SEND_BYTES, writeSendHead } from '../../wire/frame.ts';
import { RECORDS_AT, SendDetail } from '../../wire/protocol.ts';
import { CarriedRecords } from './carried-records.ts';
import type { FramePort } from './frame-port.ts';
import type { Refused } from './port.ts';
import type { PrefetchedBatch } from './prefetched-batch.ts';
import type { RecordBatches } from './record-batches.ts';

/** The batches of a port to a daemon. */
export class FrameBatches implements RecordBatches {
  private readonly port: FramePort;
  private readonly names: BatchedNames;

  constructor(port: FramePort, names: BatchedNames) {
    this.port = port;
    this.names = names;
  }

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

  post(batch: RecordBatch, wait: boolean, refused: Refused): boolean {
    const { port } = this;
    const messages = batch.messages();
    // The first one begins what the sends in flight count together.
    port.post(messages.next().value as Message, wait, refused);
    if (batch.count === 1) return port.inFlight.isReady;
    const rest = batch.from(1);
    const detail = wait ? SendDetail.WAIT | SendDetail.LAZY : SendDetail.LAZY;
    if (port.inFlight.addPosts(rest.count, rest.dataBytes, detail)) this.write(rest, wait, detail);
    else for (const message of messages) port.post(message, wait, refused);
    return port.inFlight.isReady;
  }

  /** Writes SENDs. */
  private write(batch: RecordBatch, wait: boolean, detail: number): void {
    const { prefetching, writer } = this.port;
    const ahead = batch.cursor();
    const records = new CarriedRecords(batch, wait);
    for (let left = batch.count; left > 0; ) {
      let count = 0;
      let length = RECORDS_AT;
      while (count < left) {
        const more = CarriedRecords.lengthOf(ahead);
        if (count > 0 && length + more > MAX_SEND_BYTES) break;
        length += more;
        if (++count < left) ahead.next();
      }
      const at = writer.reserve(length);
      const { slab, view, words } = writer;
      const consumed = prefetching.takeConsumed();
      writeSendHead(view, at, length, detail, consumed, this.tokens(count), count);
      records.write(count, slab, words, at + RECORDS_AT);
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
  if (batch.you !== 0 || batch.sharedWords !== undefined) return null;
  const { bytes, end: limit, from, left, serial, at } = batch;
  // A first one that is SAME has the head of a message that was read before, and was none for a batch.
  const stretch = stretchOf(bytes, at, -1, limit, left, names);
  if (stretch === null) return null;
  const { count, end, headAt, waits } = stretch;
  batch.at = end;
  batch.left -= count;
  batch.serial += count;
  // A record that follows may be SAME.
  if (batch.left > 0) batch.head = batch.heads.read(bytes, headAt, limit, 0) as Head;
  // The bytes stay where they are: nobody reads them again, so the numbers of their names may change.
  batch.kept.referenced++;
  const made = new RecordBatch(bytes, at, at + HEAD_AT, end, count, 0, serial, from, waits);
  names.renumber(made);
  return made;
}
