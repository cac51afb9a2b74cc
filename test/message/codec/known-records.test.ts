import { beforeEach, describe, expect, it } from 'vitest';
import { knownNames, ToldNumbers } from '../../../src/message/codec/known-names.ts';
import { spelled, untoldOf, writeSpelled } from '../../../src/message/codec/known-records.ts';
import { checkRecords, HEAD_AT, RecordCursor } from '../../../src/message/codec/records.ts';
import { MessageId } from '../../../src/message/id.ts';
import { Message } from '../../../src/message/message.ts';
import { knownRecord, record, same } from '../../support/frames.ts';

/** Their numbers are 1, 2 and 3. */
const NAMES = ['$.Sensor.Hall', '$.a', '$.Four'];

let told: ToldNumbers;
beforeEach(() => {
  knownNames.clear();
  told = new ToldNumbers();
  for (const name of NAMES) told.add(knownNames.numberOf(name));
});

const known = (name: string, data: string): Buffer =>
  knownRecord(name, 1 + NAMES.indexOf(name), data);

const reply = (text: string, serial: number): Message =>
  new Message('$.Ask', text, { to: 5, inReplyTo: new MessageId(0, serial) });

/** Records of each kind, and how they are with their names. */
const MIXED: readonly (readonly [Buffer, Buffer])[] = [
  [known('$.Sensor.Hall', '21.5'), record(new Message('$.Sensor.Hall', '21.5'))],
  [same('21'), same('21')],
  [record(new Message('$.Long', 'x'.repeat(200))), record(new Message('$.Long', 'x'.repeat(200)))],
  [known('$.a', ''), record(new Message('$.a'))],
  [record(reply('noon', 7)), record(reply('noon', 7))],
  [same('one'), same('one')],
  [known('$.Four', 'last'), record(new Message('$.Four', 'last'))],
];

/** The records, behind `before` other bytes, and a cursor at the one at `from`. */
function cursorAt(from: number, before = 0): RecordCursor {
  const records = Buffer.concat(MIXED.map(([short]) => short));
  const bytes = Uint8Array.from(Buffer.concat([Buffer.alloc(before, 0xee), records]));
  const { length } = records;
  const sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  expect(checkRecords(bytes, before, length, MIXED.length, 0, sums, null, told)).toBe('');
  expect([sums.heads, sums.known]).toEqual([5, 3]);
  const cursor = new RecordCursor(bytes, before, before + HEAD_AT, 0);
  for (let index = 0; index < from; index++) cursor.next();
  return cursor;
}

/** Without numbers: whole records need none. */
function numberless(bytes: Uint8Array, count: number): Buffer {
  const copy = Buffer.from(bytes);
  const cursor = new RecordCursor(bytes, 0, HEAD_AT, 0);
  for (let index = 0; index < count; index++) {
    if (index > 0) cursor.next();
    copy.writeUInt32BE(0, cursor.headAt + 8);
  }
  expect(cursor.end).toBe(bytes.length);
  return copy;
}

describe('Records that leave out names', () => {
  it.for([0, 4, 5, 6, 7])('are spelled with them, wherever they lie: at %i.', (before) => {
    const whole = spelled(cursorAt(0, before), MIXED.length);
    expect(numberless(whole, MIXED.length)).toEqual(Buffer.concat(MIXED.map(([, long]) => long)));
  });

  it.for([
    [1, '$.Sensor.Hall', '21'],
    [5, '$.Ask', 'one'],
  ] as const)('are spelled from a SAME one on: it gets its head (%i).', ([from, name, text]) => {
    const cursor = new RecordCursor(spelled(cursorAt(from), 2), 0, HEAD_AT, 0);
    expect(cursor.isSame).toBe(false);
    const first = name === '$.Ask' ? record(reply(text, 8)) : record(new Message(name, text));
    expect(numberless(cursor.bytes.subarray(0, cursor.end), 1)).toEqual(first);
  });

  it('are written between other bytes, which stay as they are.', () => {
    const bytes = new Uint8Array(1000).fill(0xee);
    const end = writeSpelled(cursorAt(0), MIXED.length, bytes, 8);
    expect(bytes.subarray(8, end)).toEqual(spelled(cursorAt(0), MIXED.length));
    const around = [...bytes.subarray(0, 8), ...bytes.subarray(end)];
    expect(around.every((byte) => byte === 0xee)).toBe(true);
  });

  it('need the names that their reader was not told, and no others.', () => {
    const reader = new ToldNumbers();
    const numbers = NAMES.map((name) => knownNames.numberOf(name));
    const [hall, a, four] = numbers as [number, number, number];
    expect(untoldOf(cursorAt(0), MIXED.length, reader)).toEqual([hall, a, four]);
    reader.add(hall);
    expect(untoldOf(cursorAt(0), MIXED.length, reader)).toEqual([a, four]);
    // A SAME record needs the name of the one before it.
    expect(untoldOf(cursorAt(1), 1, new ToldNumbers())).toEqual([hall]);
    expect(reader.hasAll).toBe(false);
    for (const number of numbers) reader.add(number);
    expect([reader.hasAll, untoldOf(cursorAt(0), MIXED.length, reader)]).toEqual([true, []]);
  });
});
