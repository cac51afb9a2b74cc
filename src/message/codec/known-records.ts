import { appended } from '../../base/appended.ts';
import { copyBytes } from '../../base/copy-bytes.ts';
import { padded, writeU32 } from '../../base/u32.ts';
import { knownNames, type ToldNumbers } from './known-names.ts';
import {
  copyHead,
  Field,
  fieldsAt,
  HEAD_AT,
  headLength,
  headLengthAt,
  isSameAt,
  nameLengthAt,
  numberAt,
  RecordCursor,
  recordEnd,
} from './records.ts';

// Records that leave out names: for readers who know these names by number, and for others.

/** Longer stretches, in bytes, are copied faster by a view of them than by a loop. */
const MAX_LOOP_BYTES = 384;

const NONE: number[] = [];

/**
 * The numbers of names that `count` records, from the one at the cursor on, leave out, and that their reader was not told. The
 * cursor stays.
 */
export function untoldOf(cursor: RecordCursor, count: number, told: ToldNumbers): number[] {
  const { bytes, headAt } = cursor;
  let untold = withUntold(NONE, bytes, headAt, told);
  let at = cursor.end;
  for (let index = 1; index < count; index++) {
    if (!isSameAt(bytes, at)) untold = withUntold(untold, bytes, at + HEAD_AT, told);
    at = recordEnd(bytes, at);
  }
  return untold;
}

/** The same numbers, with that of the head at `headAt` if it belongs to them. */
function withUntold(
  untold: number[],
  bytes: Uint8Array,
  headAt: number,
  told: ToldNumbers,
): number[] {
  if ((fieldsAt(bytes, headAt) & Field.KNOWN) === 0) return untold;
  const number = numberAt(bytes, headAt);
  return told.has(number) ? untold : appended(untold, number);
}

/** Bytes of the head at `headAt` with its name. */
export function spelledLength(bytes: Uint8Array, headAt: number): number {
  return headLength(nameLengthAt(bytes, headAt), fieldsAt(bytes, headAt) & ~Field.KNOWN);
}

/** `count` records, from the one at the cursor on, with all names, and the first with its head. */
export function spelled({ at, bytes, headAt, repeats }: RecordCursor, count: number): Uint8Array {
  const cursor = new RecordCursor(bytes, at, headAt, repeats);
  let length = 0;
  for (let index = 0; index < count; index++) {
    if (index > 0) cursor.next();
    if (index === 0 || !cursor.isSame) length += spelledLength(bytes, cursor.headAt);
    length += HEAD_AT + padded(cursor.dataLength);
  }
  const records = new Uint8Array(length);
  writeSpelled(new RecordCursor(bytes, at, headAt, repeats), count, records, 0);
  return records;
}

/**
 * Writes what {@link spelled} gives to `start`; gives where it ends. `target` has memory of its own, and `start` is a multiple of 4:
 * words are copied, which takes a third of the time.
 */
export function writeSpelled(
  cursor: RecordCursor,
  count: number,
  target: Uint8Array,
  start: number,
): number {
  const { bytes } = cursor;
  const source = wordsOf(bytes, cursor.at);
  const words = new Int32Array(target.buffer, target.byteOffset, target.length >> 2);
  /** Copies bytes, whose place and number are multiples of 4. */
  const copy = (from: number, length: number, to: number): void => {
    if (source === null || length > MAX_LOOP_BYTES) {
      copyBytes(bytes, from, from + length, target, to);
      return;
    }
    let at = (bytes.byteOffset + from) >> 2;
    const end = (to + length) >> 2;
    for (let word = to >> 2; word < end; word++) words[word] = source[at++] as number;
  };
  let to = start;
  for (let index = 0; index < count; index++) {
    if (index > 0) cursor.next();
    const { at, dataAt, dataLength, end, headAt, repeats } = cursor;
    if (index > 0 && cursor.isSame) {
      copy(at, end - at, to);
      to += end - at;
      continue;
    }
    writeU32(target, to, dataLength);
    const toHead = to + HEAD_AT;
    const fields = fieldsAt(bytes, headAt);
    const length = headLengthAt(bytes, headAt);
    if (repeats === 0) copy(headAt, length, toHead);
    else copyHead(bytes, headAt, repeats, target, toHead);
    to = toHead + length;
    if ((fields & Field.KNOWN) !== 0) {
      target[toHead + 3] = fields & ~Field.KNOWN;
      to = 4 * knownNames.write(numberAt(bytes, headAt), words, to >> 2);
    }
    copy(dataAt, end - dataAt, to);
    to += end - dataAt;
  }
  return to;
}

/** The words of the memory in which the bytes lie; null if the one at `at` is not aligned there. */
function wordsOf({ buffer, byteOffset }: Uint8Array, at: number): Int32Array | null {
  return ((byteOffset + at) & 3) === 0 ? new Int32Array(buffer, 0, buffer.byteLength >> 2) : null;
}
