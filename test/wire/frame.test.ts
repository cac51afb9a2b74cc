import { describe, expect, it } from 'vitest';
import { Op } from '../../src/message/calls.ts';
import { textOf, wordOf, wordsFrame } from '../../src/wire/frame.ts';
import { FRAME_HEADER, FrameKind, ProtocolError, SendDetail } from '../../src/wire/protocol.ts';
import { frameText, wholeFramesOf } from '../support/frames.ts';

describe('frames of words and text', () => {
  const view = (bytes: Uint8Array) => ({
    bytes,
    at: 0,
    length: bytes.length,
  });

  it.for(Object.entries(FrameKind))('%s can be written and read.', ([name, kind]) => {
    for (const words of [[], [1], [0, 0xffff_ffff, 7, 8, 9, 10, 11, 12]]) {
      for (const text of ['', 'a', 'abc', 'abcd', 'é😀', 'x'.repeat(500)]) {
        const bytes = wordsFrame(kind, 0xff, 0xffff, 0xffff_fffe, words, text);
        expect(bytes.length % 4).toBe(0);
        const { whole, rest } = wholeFramesOf(bytes);
        expect(rest).toHaveLength(0);
        const [one] = whole;
        expect(one).toMatchObject({
          kind: name,
          detail: 0xff,
          consumed: 0xffff,
          token: 0xffff_fffe,
        });
        expect(one?.words.slice(0, words.length)).toEqual(words);
        expect(frameText(one!, words.length)).toBe(text);
        words.forEach((word, at) => {
          expect(wordOf(view(bytes), at)).toBe(word);
        });
        expect(textOf(view(bytes), words.length)).toBe(text);
      }
    }
  });

  it('a missing word is a ProtocolError.', () => {
    const bytes = wordsFrame(FrameKind.RESULT, 0, 0, 0, [1, 2]);
    expect(wordOf(view(bytes), 1)).toBe(2);
    expect(() => wordOf(view(bytes), 2)).toThrow(ProtocolError);
    // The bytes after the frame don't belong to it.
    const longer = Buffer.concat([bytes, Buffer.alloc(8)]);
    expect(() => wordOf({ ...view(longer), length: bytes.length }, 2)).toThrow(ProtocolError);
    expect(() => textOf({ ...view(longer), length: bytes.length }, 3)).toThrow(ProtocolError);
  });

  it('a text that is longer than its frame is a ProtocolError.', () => {
    for (const length of [4, 5, 0x7fff_ffff, 0xffff_ffff]) {
      const bytes = Buffer.from(wordsFrame(FrameKind.FAREWELL, 0, 0, 0, [1], 'abc'));
      bytes.writeUInt32BE(length, FRAME_HEADER + 4);
      if (length === 4) expect(textOf(view(bytes), 1)).toBe('abc\0');
      else expect(() => textOf(view(bytes), 1)).toThrow(ProtocolError);
    }
  });

  it('a text that is not UTF-8 is no error.', () => {
    const bytes = Buffer.from(wordsFrame(FrameKind.CALL, 0, 0, 0, [1], 'abc'));
    bytes[FRAME_HEADER + 8] = 0xff;
    expect(textOf(view(bytes), 1)).toBe('\ufffdbc');
  });
});

describe('The numbers of the protocol', () => {
  it('are unique.', () => {
    for (const table of [FrameKind, Op]) {
      expect(new Set(Object.values(table)).size).toBe(Object.values(table).length);
    }
    const bits = Object.values(SendDetail);
    for (const bit of bits) expect(bit & (bit - 1)).toBe(0);
    expect(new Set(bits).size).toBe(bits.length);
  });
});
