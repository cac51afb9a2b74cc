import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { entireLength } from '../../../src/message/codec/device.ts';
import {
  checkRecords,
  copyHead,
  Field,
  flagsAt,
  HeadReader,
  headLengthAt,
  nameAt,
  RecordCursor,
  RecordWords,
  writeRecord,
} from '../../../src/message/codec/records.ts';
import { Flag } from '../../../src/message/flags.ts';
import type { Head } from '../../../src/message/head.ts';
import { MessageId, OrigFrom } from '../../../src/message/id.ts';
import { Message } from '../../../src/message/message.ts';
import { holds } from '../../model/property.ts';
import { record, same } from '../../support/frames.ts';
import { EVERY_FIELD } from '../every-field.ts';

const { TO, REPLY, ID, CARRIED } = Field;

/** Words in network order. */
function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, at) => {
    bytes.writeUInt32BE(value, at * 4);
  });
  return bytes;
}

/** The words of a message, as `RecordWords` has them. */
function wordsOf(message: Message): RecordWords {
  const found = new RecordWords();
  found.to = message.to;
  found.replyNetwork = message.inReplyTo.networkId;
  found.replySerial = message.inReplyTo.serialNum;
  found.idNetwork = message.id.networkId;
  found.idSerial = message.id.serialNum;
  found.origNetwork = message.origFrom.networkId;
  found.origLocal = message.origFrom.localId;
  found.finalNetwork = message.finalTo.networkId;
  found.finalLocal = message.finalTo.localId;
  return found;
}

/** The record that `writeRecord` writes at `at`, in memory that was not cleared; then the data. */
function written(message: Message, at = 0): Buffer {
  const bytes = new Uint8Array(at + 1200).fill(0xee);
  const { name, flags, dataLength, data } = message;
  const found = wordsOf(message);
  const dataAt = writeRecord(bytes, at, name, flags, found.fields, found, dataLength);
  bytes.set(data, dataAt);
  bytes.fill(0, dataAt + dataLength, dataAt + 4 * Math.ceil(dataLength / 4));
  return Buffer.from(bytes.subarray(at, dataAt + 4 * Math.ceil(dataLength / 4)));
}

/** A message with exactly these fields. */
function having(fields: number): Message {
  return new Message('$.Fred', 'hello', {
    flags: 0xffff_0010,
    ...((fields & TO) !== 0 && { to: 5 }),
    ...((fields & REPLY) !== 0 && { inReplyTo: new MessageId(3, 4) }),
    ...((fields & ID) !== 0 && { id: new MessageId(1, 2) }),
    ...((fields & CARRIED) !== 0 && { origFrom: new OrigFrom(7, 8), finalTo: new OrigFrom(9, 10) }),
  });
}

const ALL_FIELDS = Array.from({ length: 16 }, (_, fields) => fields);

const newSums = () => ({ data: 0, size: 0, largest: 0, heads: 0, known: 0 });

/** What is wrong with bytes, among others, that should be this number of records. */
function check(bytes: Uint8Array, count: number, forbidden = 0, sums = newSums()): string {
  const padded = new Uint8Array(bytes.length + 9).fill(0xee);
  padded.set(bytes, 5);
  return checkRecords(padded, 5, bytes.length, count, forbidden, sums);
}

describe('A record', () => {
  it('is that of the protocol, word by word.', () => {
    const bytes = Buffer.concat([
      words(5, 6 * 0x1_0000 + 15, 0xffff_0010, 0, 5, 3, 4, 1, 2, 7, 8, 9, 10),
      Buffer.from('$.Fred\0\0hello\0\0\0'),
    ]);
    expect(written(EVERY_FIELD)).toEqual(bytes);
    expect(written(EVERY_FIELD, 13)).toEqual(bytes);
    expect(written(new Message('$.ab'))).toEqual(
      Buffer.concat([words(0, 4 * 0x1_0000, 0, 0), Buffer.from('$.ab')]),
    );
    expect(check(bytes, 1)).toBe('');
  });

  it.for(ALL_FIELDS)('has the words of its fields, and no others: %i.', (fields) => {
    const message = having(fields);
    expect(wordsOf(message).fields).toBe(fields);
    const bytes = written(message, 4);
    expect(bytes).toEqual(record(message));
    expect(check(bytes, 1)).toBe('');
    const cursor = new RecordCursor(bytes, 0, 4, 0);
    expect(new RecordWords().read(bytes, cursor.headAt, 0)).toEqual(wordsOf(message));
    expect([nameAt(bytes, cursor.headAt), flagsAt(bytes, cursor.headAt)]).toEqual([
      '$.Fred',
      0xffff_0010,
    ]);
    expect(headLengthAt(bytes, cursor.headAt)).toBe(bytes.length - 4 - 8);
    expect(bytes.toString('latin1', cursor.dataAt, cursor.dataAt + cursor.dataLength)).toBe(
      'hello',
    );
  });

  it('has a field if one of its words is not 0.', () => {
    const fieldsOf = (options: ConstructorParameters<typeof Message>[2]): number =>
      wordsOf(new Message('$.a', null, options)).fields;
    expect(fieldsOf({ to: 0xffff_ffff })).toBe(TO);
    expect(fieldsOf({ inReplyTo: new MessageId(0, 1) })).toBe(REPLY);
    expect(fieldsOf({ inReplyTo: new MessageId(0x8000_0000, 0) })).toBe(REPLY);
    expect(fieldsOf({ id: new MessageId(0xffff_ffff, 0) })).toBe(ID);
    // KBUS sets the ids of this bus.
    expect(fieldsOf({ id: new MessageId(0, 1) })).toBe(0);
    expect(fieldsOf({ origFrom: new OrigFrom(0, 1) })).toBe(CARRIED);
    expect(fieldsOf({ finalTo: new OrigFrom(1, 0) })).toBe(CARRIED);
    expect(fieldsOf({ from: 7, flags: 0xffff })).toBe(0);
  });

  it.for([0, 1, 2, 3, 4, 5])('pads a name and data with zeros: %i more letters.', (more) => {
    const message = new Message(`$.a${'b'.repeat(more)}`, new Uint8Array(more).fill(9));
    for (let at = 0; at < 4; at++) {
      const bytes = written(message, at);
      expect(bytes).toEqual(record(message));
      expect([...bytes].filter((byte) => byte === 0xee)).toEqual([]);
    }
  });
});

describe('Consecutive records', () => {
  const plain = new Message('$.a', 'one');
  const reply = new Message('$.Fred', 'two', { inReplyTo: new MessageId(7, 0xff), to: 9 });
  const bytes = Buffer.concat([
    record(plain),
    same('2'),
    same(''),
    record(new Message('$.b')),
    record(reply),
    same('and three'),
    same('four'),
    record(plain),
  ]);

  /** All records from the cursor on. */
  function* walked(cursor: RecordCursor, count: number) {
    const read = new RecordWords();
    for (let left = count; left > 0; left--) {
      const { headAt, repeats, dataAt, dataLength, isSame, size, at, end } = cursor;
      const { replySerial } = read.read(bytes, headAt, repeats);
      const text = bytes.toString('latin1', dataAt, dataAt + dataLength);
      const name = nameAt(bytes, headAt);
      expect(size).toBe(entireLength(name.length, dataLength));
      expect(end % 4).toBe(0);
      expect(end).toBeGreaterThan(at);
      yield [name, repeats, isSame, text, replySerial];
      if (left > 1) cursor.next();
      if (left > 1) expect(cursor.at).toBe(end);
      else expect(cursor.end).toBe(end);
    }
  }

  const ALL = [
    ['$.a', 0, false, 'one', 0],
    ['$.a', 1, true, '2', 0],
    ['$.a', 2, true, '', 0],
    ['$.b', 0, false, '', 0],
    ['$.Fred', 0, false, 'two', 0xff],
    // SAME increments the serial that Replies answer, also past a byte.
    ['$.Fred', 1, true, 'and three', 0x100],
    ['$.Fred', 2, true, 'four', 0x101],
    ['$.a', 0, false, 'one', 0],
  ];

  it('are walked over; a SAME record has the head of the one before it.', () => {
    expect([...walked(new RecordCursor(bytes, 0, 4, 0), 8)]).toEqual(ALL);
  });

  it('are walked over from any record on.', () => {
    for (let from = 0; from < 8; from++) {
      const cursor = new RecordCursor(bytes, 0, 4, 0);
      for (let passed = 0; passed < from; passed++) cursor.next();
      const { at, headAt, repeats } = cursor;
      const another = new RecordCursor(bytes, at, headAt, repeats);
      expect([...walked(another, 8 - from)]).toEqual(ALL.slice(from));
    }
  });

  it('have the sums of all data, and of all sizes.', () => {
    const sums = newSums();
    expect(check(bytes, 8, 0, sums)).toBe('');
    const sizes = [3, 1, 0].map((length) => entireLength(3, length));
    sizes.push(entireLength(3, 0), entireLength(3, 3));
    const replies = [3, 9, 4].map((length) => entireLength(6, length));
    const all = [...sizes, ...replies];
    expect(sums).toEqual({
      data: 3 + 1 + 3 + 9 + 4 + 3,
      size: all.reduce((sum, size) => sum + size, 0),
      largest: Math.max(...all),
      heads: 4,
      known: 0,
    });
    // Sums of earlier records are not included.
    expect(check(record(plain), 1, 0, sums)).toBe('');
    expect(sums).toEqual({
      data: 3,
      size: entireLength(3, 3),
      largest: entireLength(3, 3),
      heads: 1,
      known: 0,
    });
  });

  it.for(ALL_FIELDS)(
    'have heads that can be copied with the number of their message: fields %i.',
    (fields) => {
      const message = having(fields);
      const from = record(message);
      const length = headLengthAt(from, 4);
      for (const repeats of [0, 1, 300]) {
        const copied = new Uint8Array(length + 12).fill(0xee);
        copyHead(from, 4, repeats, copied, 8);
        const further = Message.fromMessage(message);
        if ((fields & REPLY) !== 0) further.inReplyTo = new MessageId(3, 4 + repeats);
        expect(Buffer.from(copied.subarray(8, 8 + length))).toEqual(
          record(further).subarray(4, 4 + length),
        );
        expect([...copied.subarray(0, 8), ...copied.subarray(8 + length)]).toEqual(
          new Array(12).fill(0xee),
        );
      }
    },
  );
});

describe('A malformed record', () => {
  const alike = (message: Message): Buffer => Buffer.concat([record(message), same('x')]);
  const reply = (network: number, serial: number): Message =>
    new Message('$.a', 'x', { inReplyTo: new MessageId(network, serial) });
  const lying = (at: number, word: number, fields = 0): Buffer => {
    const bytes = record(having(fields));
    bytes.writeUInt32BE(word, at);
    return bytes;
  };

  it.for<[string, Uint8Array, number, string]>([
    ['nothing', Buffer.alloc(0), 1, 'the frame ends before message 1 of 1'],
    ['fewer records than expected', record(having(0)), 2, 'the frame ends before message 2 of 2'],
    ['half a head', record(having(0)).subarray(0, 8), 1, 'the frame ends in the head of message 1'],
    [
      'half a name',
      record(having(0)).subarray(0, 16),
      1,
      'the frame ends in the name of message 1',
    ],
    [
      'words that are not there',
      lying(4, 6 * 0x1_0000 + CARRIED),
      1,
      'the frame ends in the name of message 1',
    ],
    ['no name', lying(4, 0), 1, 'a name of 0 bytes'],
    ['a name that is too long', lying(4, 1001 * 0x1_0000), 1, 'a name of 1001 bytes'],
    ['a name of 65535 bytes', lying(4, 0xffff_0000), 1, 'a name of 65535 bytes'],
    ['an unknown field', lying(4, 6 * 0x1_0000 + 16), 1, 'unknown fields in a message'],
    ['many unknown fields', lying(4, 6 * 0x1_0000 + 0xff00), 1, 'unknown fields in a message'],
    ['more data than the frame has', lying(0, 9), 1, 'data of 9 bytes, where 8 are left'],
    ['data of 2147483647 bytes', lying(0, 0x7fff_ffff), 1, 'data of 2147483647 bytes, where 8 are'],
    ['less data than the frame has', lying(0, 4), 1, '4 bytes behind the last message of a frame'],
    ['more records than expected', alike(having(0)), 1, '8 bytes behind the last message'],
    ['a first one that is SAME', same('x'), 1, 'the first message of a frame has the head of one'],
    [
      'one that is SAME as a Limpet’s',
      alike(having(ID)),
      2,
      "the head of another that is a Limpet's",
    ],
    ['a SAME record after a carried one', alike(having(CARRIED)), 2, "that is a Limpet's"],
    ['a Reply to nothing', lying(20, 0, REPLY).fill(0, 16, 20), 1, 'a Reply to [0:0]'],
    ['an id without a network', lying(16, 0, ID), 1, 'an id of network 0'],
    [
      'an id without a network, behind all else',
      lying(28, 0, TO | REPLY | ID),
      1,
      'an id of network 0',
    ],
    [
      'Replies past the last serial number',
      Buffer.concat([record(reply(7, 0xffff_fffe)), same('x'), same('x')]),
      3,
      'more Replies than there are serial numbers',
    ],
  ])('is refused: %s.', ([, bytes, count, says]) => {
    expect(check(bytes, count)).toContain(says);
  });

  it('is refused at any place.', () => {
    const right = record(having(15));
    expect(check(Buffer.concat([right, record(having(0)), same('1'), right]), 4)).toBe('');
    expect(check(Buffer.concat([right, lying(4, 0), same('1'), right]), 4)).toBe(
      'a name of 0 bytes',
    );
    expect(check(Buffer.concat([right, record(having(0)), right, same('1')]), 4)).toContain(
      'Limpet',
    );
  });

  it('is one with flags that only KBUS sets.', () => {
    const flags = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;
    for (const flag of [Flag.WANT_YOU_TO_REPLY, Flag.SYNTHETIC]) {
      const bytes = record(new Message('$.a', 'x', { flags: flag | Flag.URGENT }));
      expect(check(bytes, 1, flags)).toBe('a flag that only KBUS sets');
      expect(check(bytes, 1)).toBe('');
    }
    const all = record(new Message('$.a', 'x', { flags: (0xffff_ffff & ~flags) >>> 0 }));
    expect(check(all, 1, flags)).toBe('');
  });

  it('is not a Reply with the first or the last serial number.', () => {
    expect(check(alike(reply(7, 0xffff_fffe)), 2)).toBe('');
    expect(check(record(reply(0, 0xffff_ffff)), 1)).toBe('');
    expect(check(record(reply(7, 0)), 1)).toBe('');
    // A message that isn't a Reply has no number, even after one that has.
    expect(check(Buffer.concat([record(reply(7, 0xffff_ffff)), alike(having(TO))]), 3)).toBe('');
  });

  it('is one that is truncated anywhere, or followed by other bytes.', () => {
    for (const fields of ALL_FIELDS) {
      const bytes = Buffer.concat([record(having(fields)), record(having(TO)), same('more')]);
      expect(check(bytes, 3)).toBe('');
      for (let length = 0; length < bytes.length; length++) {
        expect(check(bytes.subarray(0, length), 3)).not.toBe('');
      }
      expect(check(Buffer.concat([bytes, words(0)]), 3)).not.toBe('');
    }
  });

  it('is not a single record whose head is complete, even if its data is not.', () => {
    const bytes = record(new Message('$.a', new Uint8Array(5000)));
    const there = Uint8Array.from(bytes.subarray(0, 100));
    const sums = newSums();
    expect(checkRecords(there, 0, bytes.length, 1, 0, sums)).toBe('');
    expect(sums.data).toBe(5000);
    expect(checkRecords(there, 0, bytes.length - 4, 1, 0, sums)).not.toBe('');
    expect(checkRecords(there, 0, bytes.length + 4, 1, 0, sums)).not.toBe('');
  });
});

/** Whether bytes are this number of records: by the rules of docs/protocol.md, one by one. */
function isRight(bytes: Buffer, count: number): boolean {
  let rest = bytes;
  const take = (length: number): Buffer => {
    if (rest.length < length) throw new RangeError();
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
  const word = (): number => take(4).readUInt32BE();
  let fields = -1;
  let number = 0;
  try {
    for (let index = 0; index < count; index++) {
      const first = word();
      if (first >= 2 ** 31) {
        if (fields < 0 || (fields & (ID | CARRIED)) !== 0) return false;
        if ((fields & REPLY) !== 0 && ++number === 2 ** 32) return false;
      } else {
        const nameLength = take(2).readUInt16BE();
        fields = take(2).readUInt16BE();
        if (nameLength < 1 || nameLength > 1000 || fields > 15) return false;
        take(8);
        if ((fields & TO) !== 0) word();
        if ((fields & REPLY) !== 0) {
          const network = word();
          number = word();
          if (network === 0 && number === 0) return false;
        }
        if ((fields & ID) !== 0 && take(8).readUInt32BE() === 0) return false;
        if ((fields & CARRIED) !== 0) take(16);
        take(4 * Math.ceil(nameLength / 4));
      }
      take(4 * Math.ceil((first % 2 ** 31) / 4));
    }
  } catch {
    return false;
  }
  return rest.length === 0;
}

describe('Records with any byte changed', () => {
  it('are accepted exactly if they are still well formed.', () => {
    let right = 0;
    let wrong = 0;
    for (const fields of [0, TO | REPLY, ID | REPLY, 15]) {
      const last = record(new Message('$.a', 'x', { inReplyTo: new MessageId(0, 0xffff_fffe) }));
      const bytes = Buffer.concat([record(having(fields)), last, same('abc'), record(having(0))]);
      for (let at = 0; at < bytes.length; at++) {
        for (const value of [0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 0x7f, 0x80, 0x81, 0xff]) {
          const changed = Buffer.from(bytes);
          changed[at] = value;
          const expected = isRight(changed, 4);
          if (expected) right++;
          else wrong++;
          if ((check(changed, 4) === '') !== expected) {
            expect.fail(`byte ${at}, ${value}: ${check(changed, 4)} ${changed.toString('hex')}`);
          }
        }
      }
    }
    expect(Math.min(right, wrong)).toBeGreaterThan(500);
  });

  it('are distinguished likewise among random bytes.', () => {
    const anyWord = fc.oneof(
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 0x8000_0000, max: 0x8000_0010 }),
      fc.integer({ min: 0x1_0000, max: 0x8_000f }),
      fc.integer({ min: 0, max: 0xffff_ffff }),
    );
    holds(
      fc.property(
        fc.array(anyWord, { maxLength: 12 }),
        fc.integer({ min: 1, max: 3 }),
        (all, count) => {
          const bytes = words(...all);
          expect(check(bytes, count) === '').toBe(isRight(bytes, count));
        },
      ),
      3000,
    );
  });
});

describe('HeadReader', () => {
  const read = (heads: HeadReader, message: Message, you = 0): Head => {
    const bytes = Uint8Array.from(Buffer.concat([Buffer.alloc(4), record(message)]));
    const head = heads.read(bytes, 8, bytes.length, you);
    if (head === null) throw new Error('no head was read');
    return head;
  };

  it.for(ALL_FIELDS)('reads all fields of a record: fields %i.', (fields) => {
    const head = read(new HeadReader(true), having(fields));
    const { name, flags, to, idNetwork, inReplyTo, origFrom, finalTo } = head;
    const expected = having(fields);
    expect([name, flags, to, idNetwork]).toEqual([
      '$.Fred',
      0xffff_0010,
      expected.to,
      expected.id.networkId,
    ]);
    expect([inReplyTo, origFrom, finalTo].map(String)).toEqual(
      [expected.inReplyTo, expected.origFrom, expected.finalTo].map(String),
    );
  });

  it('gives the same object for the same name and flags, from any sender.', () => {
    const heads = new HeadReader(true);
    const plain = new Message('$.a', 'x', { flags: 1 << 16 });
    const head = read(heads, plain);
    expect(read(heads, plain)).toBe(head);
    const others = [
      read(heads, plain, Flag.WANT_YOU_TO_REPLY),
      read(heads, new Message('$.a', 'x', { flags: 1 << 17 })),
      read(heads, new Message('$.a', 'x', { flags: 1 << 16, to: 1 })),
      read(heads, new Message('$.b', 'x', { flags: 1 << 16 })),
    ];
    expect(others.map(({ name, flags, to }) => [name, flags, to])).toEqual([
      ['$.a', (1 << 16) + 2, 0],
      ['$.a', 1 << 17, 0],
      ['$.a', 1 << 16, 1],
      ['$.b', 1 << 16, 0],
    ]);
    expect(others).not.toContain(head);
  });

  it('gives the end of the head, and the serial number of a Limpet’s id.', () => {
    const heads = new HeadReader(true);
    for (const fields of ALL_FIELDS) {
      const message = having(fields);
      const bytes = record(message);
      const head = heads.read(bytes, 4, bytes.length, 0);
      expect(heads.end).toBe(4 + headLengthAt(bytes, 4));
      if (head?.idNetwork !== 0) expect(heads.idSerial).toBe(2);
    }
  });

  it('refuses a head that goes past the limit, or has an impossible length.', () => {
    const bytes = record(new Message('$.a'));
    const end = 4 + headLengthAt(bytes, 4);
    for (let limit = 4; limit < end; limit++) {
      expect(new HeadReader(true).read(bytes, 4, limit, 0)).toBeNull();
    }
    expect(new HeadReader(true).read(bytes, 4, end, 0)?.name).toBe('$.a');
    for (const wrong of [
      [0, 0],
      [0xff, 0xff],
      [0, 4, 0, 0x10],
      [0, 4, 1, 0],
    ]) {
      const other = Uint8Array.from(bytes);
      other.set(wrong, 4);
      expect(new HeadReader(true).read(other, 4, end, 0)).toBeNull();
    }
  });
});
