import { describe, expect, it } from 'vitest';
import { checkU32, padded } from '../../src/base/u32.ts';
import { Message } from '../../src/message/index.ts';

describe('a length padded to words', () => {
  it.for([
    [0, 0],
    [1, 4],
    [4, 4],
    [5, 8],
    [2 ** 31 - 1, 2 ** 31],
    [2 ** 32 - 1, 2 ** 32],
    [2 ** 32, 2 ** 32],
  ])('of %i is %i', ([length, expected]) => {
    expect(padded(length as number)).toBe(expected);
  });

  it('does not wrap when a message claims almost 2^32 bytes of data', () => {
    for (const claimed of [0xffff_fffd, 0xffff_ffff]) {
      const bytes = new Message('$.A').toBytes();
      bytes.set(new Uint8Array(new Uint32Array([claimed]).buffer), 56);
      expect(() => Message.fromBytes(bytes)).toThrow('EINVAL');
    }
  });
});

describe('a u32', () => {
  it('is exactly a whole number that fits into 32 bits', () => {
    for (const value of [0, 1, 0xffff_ffff]) expect(checkU32('to', value)).toBe(value);
    for (const value of [-1, 0.5, 2 ** 32, Number.NaN]) {
      expect(() => checkU32('to', value)).toThrow(`to must be a whole number`);
    }
  });
});
