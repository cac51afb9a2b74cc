import { describe, expect, it } from 'vitest';
import { InboxReader } from '../../src/daemon/inbox-reader.ts';
import { frame } from '../support/frames.ts';

describe('InboxReader', () => {
  const before = frame('NONE', { token: 1 });
  const after = frame('SENT', { token: 2, words: [3, 4, 5] });
  const body = Buffer.alloc(20_000);
  for (let at = 0; at < body.length; at += 4) body.writeUInt32BE(at, at);
  const long = frame('SEND', { token: 9, body });
  const bytes = Buffer.concat([before, long, after]);
  const start = before.length;

  /** Reads three frames in pieces of these lengths; gives whether the long one stays in pieces. */
  function isInPieces(lengths: readonly number[], join = false): boolean {
    const reader = new InboxReader(100_000, 4096);
    const frames: Buffer[] = [];
    let inPieces = false;
    let at = 0;
    for (const length of lengths) {
      reader.push(Uint8Array.from(bytes.subarray(at, at + length)));
      at += length;
      while (reader.read()) {
        inPieces ||= reader.more !== null;
        if (join) reader.join();
        const { more } = reader;
        const end = more === null ? reader.at + reader.length : undefined;
        frames.push(Buffer.concat([reader.bytes.subarray(reader.at, end), ...(more ?? [])]));
      }
    }
    expect(Buffer.concat(frames).equals(bytes)).toBe(true);
    expect(frames.map(({ length }) => length)).toEqual([before.length, long.length, after.length]);
    return inPieces;
  }

  it('gives long frames in pieces, without a copy, if these are few and large.', () => {
    expect(isInPieces([start + 9000, bytes.length])).toBe(true);
    expect(isInPieces([start + 3000, 9000, bytes.length])).toBe(true);
    expect(isInPieces([start + long.length - 3, bytes.length])).toBe(true);
    expect(isInPieces([start + 9000, bytes.length], true)).toBe(true);
  });

  it('joins long frames if the pieces are not, or the head of the message is cut.', () => {
    expect(isInPieces([bytes.length])).toBe(false);
    expect(isInPieces([start + 100, bytes.length])).toBe(false);
    expect(isInPieces(Array(Math.ceil(bytes.length / 3000)).fill(3000))).toBe(false);
    expect(isInPieces(Array(bytes.length).fill(1))).toBe(false);
  });

  it('gives long frames whole if their pieces are adjacent in one buffer.', () => {
    for (const cut of [start + 2, start + 100, start + 9000]) {
      const reader = new InboxReader(100_000, 4096);
      let count = 0;
      for (const [from, to] of [
        [0, cut],
        [cut, bytes.length],
      ] as const) {
        reader.push(bytes, from, to);
        while (reader.read()) {
          expect([reader.bytes, reader.more]).toEqual([bytes, null]);
          count++;
        }
      }
      expect(count).toBe(3);
    }
  });
});
