import { copyBytes } from '../../base/copy-bytes.ts';
import { padded, writeU32 } from '../../base/u32.ts';
import { knownNames, type ToldNumbers } from './known-names.ts';
import {
  copyHead,
  Field,
  fieldsAt,
  HEAD_AT,
  headLength,
  nameAfter,
  nameLengthAt,
  numberAt,
  RecordCursor,
  SAME,
} from './records.ts';

// Records that leave out names: for readers who know these names by number, and for others.

/** The numbers of names that `count` records, from the one at the cursor on, leave out, and that their reader was not told. */
export function untoldOf(cursor: RecordCursor, count: number, told: ToldNumbers): number[] {
  const { bytes } = cursor;
  const untold: number[] = [];
  for (let index = 0; index < count; index++) {
    if (index > 0) cursor.next();
    if (index > 0 && cursor.isSame) continue;
    const { headAt } = cursor;
    const number = numberAt(bytes, headAt);
    if ((fieldsAt(bytes, headAt) & Field.KNOWN) !== 0 && !told.has(number)) untold.push(number);
  }
  return untold;
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

/** Writes what {@link spelled} gives to `start`; gives where it ends. */
export function writeSpelled(
  cursor: RecordCursor,
  count: number,
  target: Uint8Array,
  start: number,
): number {
  const { bytes } = cursor;
  let to = start;
  for (let index = 0; index < count; index++) {
    if (index > 0) cursor.next();
    const { dataAt, dataLength, end, headAt, repeats } = cursor;
    const hasHead = index === 0 || !cursor.isSame;
    writeU32(target, to, hasHead ? dataLength : SAME + dataLength);
    to += HEAD_AT;
    if (hasHead) to = spellHead(bytes, headAt, repeats, target, to);
    copyBytes(bytes, dataAt, end, target, to);
    to += end - dataAt;
  }
  return to;
}

/** As {@link copyHead}, with the name; gives where the head ends. */
function spellHead(
  bytes: Uint8Array,
  headAt: number,
  repeats: number,
  target: Uint8Array,
  to: number,
): number {
  copyHead(bytes, headAt, repeats, target, to);
  const fields = fieldsAt(bytes, headAt);
  const end = to + spelledLength(bytes, headAt);
  if ((fields & Field.KNOWN) === 0) return end;
  target[to + 3] = fields & ~Field.KNOWN;
  const name = knownNames.name(numberAt(bytes, headAt));
  const at = to + nameAfter(fields);
  // First the zeros of the padding, then the name over them.
  writeU32(target, end - 4, 0);
  for (let index = 0; index < name.length; index++) target[at + index] = name.charCodeAt(index);
  return end;
}
