import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { encodeEntire } from '../../../src/message/codec/device.ts';
import { Errno, type ErrorCode } from '../../../src/message/errno.ts';
import { KbusError } from '../../../src/message/error.ts';
import { Message } from '../../../src/message/message.ts';
import { EVERY_FIELD, EVERY_WORD } from '../every-field.ts';

const LITTLE = endianness() === 'LE';

/** Words of a header, as spec 2 §2 lists them. */
function header(words: readonly number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4);
  words.forEach((word, at) => {
    if (LITTLE) bytes.writeUInt32LE(word, at * 4);
    else bytes.writeUInt32BE(word, at * 4);
  });
  return bytes;
}

/** The words after these: padding, and the pointers. */
const WORDS = [0x7375624b, ...EVERY_WORD, 0, 0, 0, 0, 0, 0x4b627573, 0];
const BYTES = Buffer.concat([
  header(WORDS),
  Buffer.from('$.Fred\0\0'),
  Buffer.from('hello\0\0\0'),
  header([0x4b627573]),
]);

function refusal(bytes: Uint8Array): ErrorCode | 'STATUS' {
  try {
    Message.fromBytes(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(KbusError);
    return (error as KbusError).code;
  }
  return expect.fail('it was not refused');
}

/** The message with one word of its header changed. */
function withWord(at: number, word: number): Buffer {
  const words = WORDS.slice();
  words[at / 4] = word;
  return Buffer.concat([header(words), BYTES.subarray(88)]);
}

describe('the "entire" layout on a 64-bit machine (spec 2 §3.2)', () => {
  it('is that of the specification, word by word.', () => {
    expect(WORDS).toHaveLength(88 / 4);
    expect(Buffer.from(encodeEntire(EVERY_FIELD)).equals(BYTES)).toBe(true);
    expect(EVERY_FIELD.totalLength()).toBe(BYTES.length);
    if (LITTLE) {
      expect(BYTES.subarray(0, 4).toString()).toBe('Kbus');
      expect(BYTES.subarray(80, 84).toString()).toBe('subK');
    }
  });

  it('is read as it was written, at any alignment.', () => {
    const moved = new Uint8Array(BYTES.length + 7);
    moved.set(BYTES, 3);
    const got = Message.fromBytes(moved.subarray(3, 3 + BYTES.length));
    expect(got.extract().map(String)).toEqual(EVERY_FIELD.extract().map(String));
    expect(Message.fromBytes(BYTES).equivalent(EVERY_FIELD)).toBe(true);
  });

  it('is copied when it is read.', () => {
    const bytes = encodeEntire(EVERY_FIELD);
    const got = Message.fromBytes(bytes);
    bytes.fill(0);
    expect(got.text()).toBe('hello');
  });

  it.for([0, 1, 2, 3, 4, 5, 100])('data of %i bytes is padded to words.', (length) => {
    const data = Uint8Array.from({ length }, (_, at) => at + 1);
    const bytes = encodeEntire(new Message('$.a', data));
    expect(bytes.length).toBe(88 + 4 + 4 * Math.ceil(length / 4) + 4);
    expect([...Message.fromBytes(bytes).data]).toEqual([...data]);
  });

  it('padding may have any value.', () => {
    const bytes = BYTES.subarray();
    bytes.fill(0xaa, 60, 64);
    bytes.fill(0xaa, 84, 88);
    bytes.fill(0xaa, 95, 96);
    bytes.fill(0xaa, 101, 104);
    expect(Message.fromBytes(bytes).equivalent(EVERY_FIELD)).toBe(true);
  });

  it.for<[string, Uint8Array, ErrorCode]>([
    ['a wrong start guard', withWord(0, 0x7375624c), 'EINVAL'],
    ['a wrong end guard', withWord(80, 0), 'EINVAL'],
    ['a name of no length', withWord(52, 0), 'EINVAL'],
    ['a name of 1001 bytes', withWord(52, 1001), 'ENAMETOOLONG'],
    ['a name of 4294967295 bytes', withWord(52, 0xffff_ffff), 'ENAMETOOLONG'],
    ['a name pointer', withWord(64, 8), 'EINVAL'],
    ['a data pointer without a name pointer', withWord(72, 8), 'EINVAL'],
    ['both ALL_ flags', withWord(48, 0x300), 'EINVAL'],
    ['a Request that is a Reply', withWord(48, 1), 'EINVAL'],
    ['a shorter name than there is', withWord(52, 3), 'EMSGSIZE'],
    ['a longer name than there is', withWord(52, 8), 'EINVAL'],
    ['less data than there is', withWord(56, 4), 'EMSGSIZE'],
    ['more data than there is', withWord(56, 9), 'EINVAL'],
    ['2 GiB of data', withWord(56, 0x8000_0000), 'EINVAL'],
    ['4294967295 bytes of data', withWord(56, 0xffff_ffff), 'EINVAL'],
    ['4294967293 bytes of data', withWord(56, 0xffff_fffd), 'EINVAL'],
    ['a wrong last guard', Buffer.concat([BYTES.subarray(0, -1), Buffer.of(0)]), 'EINVAL'],
    ['bytes after the end', Buffer.concat([BYTES, Buffer.of(0)]), 'EMSGSIZE'],
    ['a wildcard', Buffer.from(encodeEntire(new Message('$.Fred.*', 'x'))), 'EBADMSG'],
    ['a name that is no name', Buffer.from(encodeEntire(new Message('$.F é', 'x'))), 'EBADMSG'],
    ['a letter that is no byte', Buffer.from(encodeEntire(new Message('$.\u0141'))), 'EBADMSG'],
  ])('%s is refused: %s', ([, bytes, code]) => {
    expect(refusal(bytes)).toBe(code);
  });

  it('is refused if it is truncated anywhere: EINVAL.', () => {
    for (let length = 0; length < BYTES.length; length++) {
      expect(refusal(BYTES.subarray(0, length))).toBe('EINVAL');
    }
  });

  it('each error has the number of its code.', () => {
    try {
      Message.fromBytes(new Uint8Array(0));
    } catch (error) {
      expect((error as KbusError).errno).toBe(Errno.EINVAL);
    }
  });
});
