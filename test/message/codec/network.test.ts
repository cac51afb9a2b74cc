import { describe, expect, it } from 'vitest';
import {
  decodeNetwork,
  encodeNetwork,
  measureNetwork,
  NETWORK_HEADER,
  networkLength,
} from '../../../src/message/codec/network.ts';
import { Message } from '../../../src/message/message.ts';
import { EVERY_FIELD, EVERY_WORD } from '../every-field.ts';

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

/** What is wrong with bytes among others; '' if they are a message. */
function check(bytes: Uint8Array): string {
  const around = new Uint8Array(bytes.length + 9).fill(0xee);
  around.set(bytes, 5);
  const message = decodeNetwork(around.subarray(5, 5 + bytes.length));
  return typeof message === 'string' ? message : '';
}

function read(bytes: Uint8Array): Message {
  const message = decodeNetwork(Uint8Array.from(bytes));
  if (typeof message === 'string') throw new Error(message);
  return message;
}

/** The message with one word changed. */
function withWord(at: number, value: number): Buffer {
  const bytes = Buffer.from(BYTES);
  bytes.writeUInt32BE(value, at);
  return bytes;
}

describe('the layout between programs: sixteen words in network order (spec 3 §5.2)', () => {
  it('is that of the specification, word by word.', () => {
    expect(Buffer.from(encodeNetwork(EVERY_FIELD)).equals(BYTES)).toBe(true);
    expect(networkLength(6, 5)).toBe(BYTES.length);
    expect(BYTES.length % 4).toBe(0);
  });

  it('is read as it was written.', () => {
    expect(check(BYTES)).toBe('');
    expect(read(BYTES).extract().map(String)).toEqual(EVERY_FIELD.extract().map(String));
    const plain = new Message('$.a');
    expect(read(encodeNetwork(plain)).extract().map(String)).toEqual(plain.extract().map(String));
  });

  it.for([0, 1, 2, 3, 4, 5])('pads a name and data with zeros: %i more letters.', (more) => {
    const message = new Message(`$.a${'b'.repeat(more)}`, new Uint8Array(more).fill(9));
    const bytes = encodeNetwork(message);
    expect(check(bytes)).toBe('');
    expect(read(bytes).equivalent(message)).toBe(true);
  });

  it.for<[string, Uint8Array, RegExp]>([
    ['a wrong start guard', withWord(0, 1), /a guard of the message header is wrong/],
    ['a wrong end guard', withWord(60, 1), /a guard of the message header is wrong/],
    ['no name', withWord(52, 0), /a name of 0 bytes/],
    ['a name that is too long', withWord(52, 1001), /a name of 1001 bytes/],
    ['a name of 4294967295 bytes', withWord(52, 0xffff_ffff), /a name of 4294967295 bytes/],
    ['a shorter name than there is', withWord(52, 2), /84 bytes, where the message has 80/],
    ['a longer name than there is', withWord(52, 9), /84 bytes.* 84 bytes|where/],
    ['less data than there is', withWord(56, 4), /84 bytes, where the message has 80/],
    ['more data than there is', withWord(56, 9), /9 bytes of data, where one may have 84/],
    ['2 GiB of data', withWord(56, 0x8000_0000), /2147483648 bytes of data, where one may have 84/],
    ['4294967293 bytes of data', withWord(56, 0xffff_fffd), /4294967293 bytes of data/],
    ['4294967295 bytes of data', withWord(56, 0xffff_ffff), /4294967295 bytes of data/],
    ['a wrong last guard', withWord(BYTES.length - 4, 1), /the last guard is wrong/],
    ['bytes after the end', Buffer.concat([BYTES, words(0)]), /88 bytes, where the message has 84/],
  ])('%s is refused.', ([, bytes, wrong]) => {
    expect(check(bytes)).toMatch(wrong);
  });

  it('gives its length as soon as its header is complete.', () => {
    const header = BYTES.subarray(0, NETWORK_HEADER);
    expect(measureNetwork(header, 84)).toBe(84);
    expect(measureNetwork(header, 83)).toBe(
      'a message with 5 bytes of data, where one may have 83 bytes in all',
    );
  });

  it('is refused if it is truncated anywhere.', () => {
    for (let length = 0; length < BYTES.length; length++) {
      expect(check(BYTES.subarray(0, length))).not.toBe('');
    }
  });
});
