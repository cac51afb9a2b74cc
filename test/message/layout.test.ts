import { describe, expect, it } from 'vitest';
import {
  checkLayout,
  layoutDataAt,
  layoutLength,
  MessageReader,
  writeEnd,
  writeHead,
} from '../../src/message/layout.ts';
import { Message } from '../../src/message/message.ts';
import { EVERY_FIELD, EVERY_WORD } from './every-field.ts';

const WORDS = [0x7375624b, ...EVERY_WORD, 0x4b627573];

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, at) => {
    bytes.writeUInt32BE(value, at * 4);
  });
  return bytes;
}

const BYTES = Buffer.concat([
  words(...WORDS),
  Buffer.from('$.Fred\0\0'),
  Buffer.from('hello\0\0\0'),
  words(0x4b627573),
]);

/** What `writeHead` and `writeEnd` make of a message at `at`, in memory that was not clean. */
function write(message: Message, at: number): Uint8Array {
  const length = layoutLength(message.name.length, message.dataLength);
  const bytes = new Uint8Array(at + length).fill(0xee);
  const { id, inReplyTo, origFrom, finalTo } = message;
  const view = new DataView(bytes.buffer);
  const dataAt = at + layoutDataAt(message.name.length);
  writeHead(
    bytes,
    view,
    at,
    id.networkId,
    id.serialNum,
    inReplyTo.networkId,
    inReplyTo.serialNum,
    message.to,
    message.from,
    origFrom.networkId,
    origFrom.localId,
    finalTo.networkId,
    finalTo.localId,
    message.flags,
    message.name,
    message.dataLength,
  );
  writeEnd(view, dataAt, message.dataLength);
  bytes.set(message.data, dataAt);
  return bytes.subarray(at);
}

function check(bytes: Uint8Array): string {
  const padded = new Uint8Array(bytes.length + 9).fill(0xee);
  padded.set(bytes, 5);
  return checkLayout(padded, 5, bytes.length);
}

function read(bytes: Uint8Array): Message {
  return new MessageReader().message(Uint8Array.from(bytes), 0);
}

/** The message with one word changed. */
function withWord(at: number, value: number): Buffer {
  const bytes = Buffer.from(BYTES);
  bytes.writeUInt32BE(value, at);
  return bytes;
}

describe('the layout between programs: sixteen words in network order (3-limpets)', () => {
  it('is what the specification says, word by word.', () => {
    expect(Buffer.from(write(EVERY_FIELD, 0)).equals(BYTES)).toBe(true);
    expect(Buffer.from(write(EVERY_FIELD, 13)).equals(BYTES)).toBe(true);
    expect(layoutLength(6, 5)).toBe(BYTES.length);
    expect(BYTES.length % 4).toBe(0);
  });

  it('is read back as it was written.', () => {
    expect(check(BYTES)).toBe('');
    expect(read(BYTES).extract().map(String)).toEqual(EVERY_FIELD.extract().map(String));
    const plain = new Message('$.a');
    expect(read(write(plain, 0)).extract().map(String)).toEqual(plain.extract().map(String));
  });

  it.for([0, 1, 2, 3, 4, 5])('pads a name and data with zeros: %i more letters.', (more) => {
    const message = new Message(`$.a${'b'.repeat(more)}`, new Uint8Array(more).fill(9));
    const bytes = write(message, 0);
    expect(check(bytes)).toBe('');
    expect(read(bytes).equivalent(message)).toBe(true);
    expect([...bytes].filter((byte) => byte === 0xee)).toEqual([]);
  });

  it.for<[string, Uint8Array, RegExp]>([
    ['a wrong start guard', withWord(0, 1), /a guard of the message header is wrong/],
    ['a wrong end guard', withWord(60, 1), /a guard of the message header is wrong/],
    ['no name', withWord(52, 0), /a name of 0 bytes/],
    ['a name that is too long', withWord(52, 1001), /a name of 1001 bytes/],
    ['a name of 4294967295 bytes', withWord(52, 0xffff_ffff), /a name of 4294967295 bytes/],
    ['a shorter name than there is', withWord(52, 2), /don't make a message of 84 bytes/],
    ['a longer name than there is', withWord(52, 9), /don't make a message of 84 bytes/],
    ['less data than there is', withWord(56, 4), /don't make a message of 84 bytes/],
    ['more data than there is', withWord(56, 9), /don't make a message of 84 bytes/],
    ['2 GiB of data', withWord(56, 0x8000_0000), /2147483648 bytes don't make/],
    ['4294967293 bytes of data', withWord(56, 0xffff_fffd), /don't make a message/],
    ['4294967295 bytes of data', withWord(56, 0xffff_ffff), /don't make a message/],
    ['a wrong last guard', withWord(BYTES.length - 4, 1), /the last guard is wrong/],
    ['bytes after the end', Buffer.concat([BYTES, words(0)]), /don't make a message of 88 bytes/],
  ])('%s is seen.', ([, bytes, wrong]) => {
    expect(check(bytes)).toMatch(wrong);
  });

  it('is not believed when it is cut off anywhere.', () => {
    for (let length = 0; length < BYTES.length; length++) {
      expect(check(BYTES.subarray(0, length))).not.toBe('');
    }
  });
});
