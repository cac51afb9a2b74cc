import { padded, writeU32 } from '../base/u32.ts';
import { type MessageBatch, wordsOf } from '../bus/message-batch.ts';
import {
  copyHead,
  HEAD_AT,
  headLengthAt,
  nameAt,
  RecordWords,
  SAME,
  writeRecord,
} from '../message/codec/records.ts';
import { MAX_NAME } from '../message/name.ts';
import type { EventWriter } from './event-writer.ts';

// Writes the messages of a batch into an event, as records.

/** Records of several messages are not made longer than this: a longer batch becomes several events. */
const MAX_RECORDS_BYTES = 64 * 1024;

/** The most that one record takes beside its data. */
const MOST_RECORD_HEAD = 1100;

const words = new RecordWords();

/** Parts of a batch that are fit for an event each. */
export function* eventParts(given: MessageBatch): Generator<MessageBatch> {
  const batch = given.spelled();
  if (batch.count > 1 && batch.hasSharedOrigin) {
    // An event has no place for the origin but the records.
    for (let index = 0; index < batch.count; index++) yield batch.one(index);
    return;
  }
  if (!isLong(batch)) {
    yield batch;
    return;
  }
  const cursor = batch.cursor();
  let [from, start] = [0, cursor.at];
  for (let index = 1; index < batch.count; index++) {
    cursor.next();
    if (cursor.end - start <= MAX_RECORDS_BYTES) continue;
    yield batch.stretch(from, index - from);
    [from, start] = [index, cursor.at];
  }
  yield batch.stretch(from, batch.count - from);
}

function isLong(batch: MessageBatch): boolean {
  return batch.count > 1 && batch.movedLength > MAX_RECORDS_BYTES;
}

/** The parts of a batch of several names, all of whose messages a filter shows; with the index of the first. */
export function* shownParts(
  batch: MessageBatch,
  from: number,
  count: number,
  shows: (name: string) => boolean,
): Generator<{ index: number; count: number }> {
  const cursor = batch.cursor(from);
  let first = -1;
  for (let index = from; index < from + count; index++) {
    if (index > from) cursor.next();
    if (shows(nameAt(cursor.bytes, cursor.headAt))) {
      if (first < 0) first = index;
    } else if (first >= 0) {
      yield { index: first, count: index - first };
      first = -1;
    }
  }
  if (first >= 0) yield { index: first, count: from + count - first };
}

/** Whether the data of some message has more than `limit` bytes. */
export function isCut(batch: MessageBatch, limit: number): boolean {
  if (batch.count === 1) return batch.dataLength > limit;
  // The largest size is that of a whole message: if it is more, the data may still be shorter.
  return batch.largest > limit && batch.dataBytes > limit;
}

/** About how many bytes the records of the batch take at most, and the lengths of cut data behind them. */
export function mostBytesOf(batch: MessageBatch, limit: number): number {
  if (batch.count > 1) return batch.movedLength + 5 * batch.count;
  return MOST_RECORD_HEAD + Math.min(batch.dataLength, limit) + 5;
}

/** Writes the records, and then, if `cut`, the length of each message's whole data. */
export function writeRecords(
  writer: EventWriter,
  batch: MessageBatch,
  cut: boolean,
  limit: number,
): void {
  const { bytes } = writer;
  const lengthAt = writer.at;
  const start = lengthAt + 4;
  if (batch.span === null || batch.hasSharedOrigin || (cut && batch.count === 1)) {
    writer.at = writeOne(batch, bytes, start, cut ? limit : batch.dataLength);
  } else if (cut) {
    writer.at = writeCut(batch, bytes, start, limit);
  } else {
    writer.at = batch.copyTo(bytes, start);
  }
  writeU32(bytes, lengthAt, writer.at - start);
  if (cut) writeWholeLengths(writer, batch);
}

/** Writes the first message. */
function writeOne(batch: MessageBatch, bytes: Uint8Array, start: number, limit: number): number {
  const fields = wordsOf(batch, words);
  const shown = Math.min(batch.dataLength, limit);
  let at = writeRecord(bytes, start, seenName(batch.name), batch.flags, fields, words, shown);
  let left = shown;
  for (const piece of batch.dataPieces()) {
    if (left === 0) break;
    const some = piece.subarray(0, left);
    bytes.set(some, at);
    at += some.length;
    left -= some.length;
  }
  return pad(bytes, at, shown);
}

function writeCut(batch: MessageBatch, bytes: Uint8Array, start: number, limit: number): number {
  const cursor = batch.cursor();
  let at = start;
  for (let index = 0; index < batch.count; index++) {
    if (index > 0) cursor.next();
    const shown = Math.min(cursor.dataLength, limit);
    const hasHead = index === 0 || !cursor.isSame;
    writeU32(bytes, at, hasHead ? shown : SAME + shown);
    at += HEAD_AT;
    if (hasHead) {
      copyHead(cursor.bytes, cursor.headAt, cursor.repeats, bytes, at);
      at += headLengthAt(cursor.bytes, cursor.headAt);
    }
    for (let byte = 0; byte < shown; byte++) {
      bytes[at++] = cursor.bytes[cursor.dataAt + byte] as number;
    }
    at = pad(bytes, at, shown);
  }
  return at;
}

function writeWholeLengths(writer: EventWriter, batch: MessageBatch): void {
  if (batch.count === 1) {
    writer.number(batch.dataLength);
    return;
  }
  const cursor = batch.cursor();
  for (let index = 0; index < batch.count; index++) {
    if (index > 0) cursor.next();
    writer.number(cursor.dataLength);
  }
}

/** Writes zeros behind data of this length; gives where the padding ends. */
function pad(bytes: Uint8Array, from: number, length: number): number {
  const end = from + padded(length) - length;
  for (let at = from; at < end; at++) bytes[at] = 0;
  return end;
}

/** A program in this process may try to send any string as a name. */
function seenName(name: string): string {
  if (name.length <= MAX_NAME && PRINTABLE.test(name)) return name;
  return name === '' ? '?' : name.slice(0, MAX_NAME).replace(UNPRINTABLE, '?');
}

const PRINTABLE = /^[\x20-\x7e]+$/;
const UNPRINTABLE = /[^\x20-\x7e]/g;
