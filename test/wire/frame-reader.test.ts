import { describe, expect, it } from 'vitest';
import { Announcement } from '../../src/message/message.ts';
import { FrameReader } from '../../src/wire/frame-reader.ts';
import { FRAME_HEADER, ProtocolError } from '../../src/wire/protocol.ts';
import { frame, messagesFrame } from '../support/frames.ts';

const MAX = 1000;

/** Frames of many lengths, one of them empty. */
const FRAMES = [
  frame('NONE', { token: 1 }),
  frame('SENT', { token: 2, words: [3, 4, 5] }),
  frame('CALL', { detail: 1, consumed: 7, token: 0xffff_ffff, words: [1], text: '$.a' }),
  messagesFrame('SEND', [new Announcement('$.Name', 'some data')], { token: 4 }),
  frame('PREFETCH', { body: new Uint8Array(MAX - FRAME_HEADER) }),
  frame('TAKE', { token: 6 }),
];
const BYTES = Buffer.concat(FRAMES);

/** Reads pieces of these lengths, each in memory with other bytes around it. */
function read(bytes: Uint8Array, lengths: Iterable<number>): Buffer[] {
  const reader = new FrameReader(MAX);
  const frames: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    const piece = bytes.subarray(at, at + length);
    at += length;
    const among = new Uint8Array(piece.length + 9).fill(0xee);
    among.set(piece, 5);
    reader.push(among, 5, 5 + piece.length);
    while (reader.read()) {
      frames.push(Buffer.from(reader.bytes.subarray(reader.at, reader.at + reader.length)));
    }
  }
  expect(at).toBeGreaterThanOrEqual(bytes.length);
  expect(reader.isBetweenFrames).toBe(true);
  return frames;
}

/** As `toEqual`, but fast for very many. */
function same(frames: readonly Buffer[], expected: readonly Buffer[]): void {
  const isSame =
    frames.length === expected.length &&
    frames.every((one, at) => one.equals(expected[at] as Buffer));
  if (!isSame) expect(frames).toEqual(expected);
}

describe('FrameReader', () => {
  it('gives the missing bytes of a frame whose length it knows.', () => {
    const reader = new FrameReader(MAX);
    const bytes = frame('PREFETCH', { body: new Uint8Array(88) });
    const missing: number[] = [];
    for (const [from, to] of [
      [0, 2],
      [2, 30],
      [30, 90],
      [90, bytes.length],
    ] as const) {
      reader.push(bytes.slice(from, to));
      while (reader.read()) expect(reader.length).toBe(bytes.length);
      missing.push(reader.missing);
    }
    expect(missing).toEqual([0, bytes.length - 30, bytes.length - 90, 0]);
  });

  it('cuts the bytes of a connection into frames if they arrive whole.', () => {
    expect(read(BYTES, [BYTES.length])).toEqual(FRAMES);
    expect(
      read(
        BYTES,
        FRAMES.map((one) => one.length),
      ),
    ).toEqual(FRAMES);
  });

  it('does so byte by byte.', () => {
    expect(read(BYTES, Array(BYTES.length).fill(1))).toEqual(FRAMES);
  });

  it('does so for pieces of every length.', () => {
    for (let length = 2; length <= 64; length++) {
      same(read(BYTES, Array(Math.ceil(BYTES.length / length)).fill(length)), FRAMES);
    }
  });

  it('does so for two pieces, cut anywhere, and an empty piece between.', () => {
    for (let at = 0; at <= BYTES.length; at++) {
      same(read(BYTES, [at, 0, BYTES.length - at]), FRAMES);
    }
  });

  it('does so for three pieces, cut anywhere near the joint of two frames.', () => {
    const two = Buffer.concat(FRAMES.slice(0, 3));
    for (let from = 0; from <= two.length; from++) {
      for (let to = from; to <= two.length; to++) {
        same(read(two, [from, to - from, two.length - to]), FRAMES.slice(0, 3));
      }
    }
  });

  it('knows whether a frame is incomplete.', () => {
    const reader = new FrameReader(MAX);
    for (let at = 0; at < FRAMES[1]!.length; at++) {
      reader.push(FRAMES[1]!.subarray(at, at + 1));
      const isWhole = reader.read();
      expect(isWhole).toBe(at === FRAMES[1]!.length - 1);
      expect(reader.isBetweenFrames).toBe(isWhole);
    }
  });

  it.for([
    ['0', 0],
    ['less than a header', 8],
    ['no multiple of 4', 13],
    ['a multiple of 4 and 3', 15],
    ['more than is believed', MAX + 4],
    ['2 GiB', 0x8000_0000],
    ['almost 4 GiB', 0xffff_fffc],
    ['4294967295', 0xffff_ffff],
    ['the letters of HTTP', 0x4745_5420],
  ] as const)('refuses a length of %s, in any pieces.', ([, length]) => {
    const bytes = Buffer.alloc(16);
    bytes.writeUInt32BE(length);
    for (const size of [16, 4, 3, 1]) {
      const reader = new FrameReader(MAX);
      expect(() => {
        // It still reads a complete frame before that.
        reader.push(FRAMES[0] as Buffer);
        expect(reader.read()).toBe(true);
        expect(reader.read()).toBe(false);
        for (let at = 0; at < bytes.length; at += size) {
          reader.push(bytes.subarray(at, at + size));
          while (reader.read());
        }
      }).toThrow(ProtocolError);
    }
  });

  it('names the valid lengths.', () => {
    const reader = new FrameReader(MAX);
    reader.push(Buffer.from([0, 0, 0, 13]));
    expect(() => reader.read()).toThrow(
      'a frame of 13 bytes: the length must be a multiple of 4 from 12 to 1000',
    );
  });

  it('accepts longer frames after the limit was raised.', () => {
    const reader = new FrameReader(12);
    reader.push(FRAMES[0] as Buffer);
    expect(reader.read()).toBe(true);
    reader.maxLength = MAX;
    expect(reader.read()).toBe(false);
    reader.push(FRAMES[4] as Buffer);
    expect(reader.read()).toBe(true);
  });

  it('keeps no more memory than the bytes received, whatever length a frame claims.', () => {
    const reader = new FrameReader(1 << 30);
    const start = Buffer.alloc(16);
    start.writeUInt32BE(1 << 29);
    const before = process.memoryUsage();
    reader.push(start);
    expect(reader.read()).toBe(false);
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1 << 20);
  });

  it('keeps little more memory than the bytes received, even in tiny pieces.', () => {
    const reader = new FrameReader(1 << 30);
    const start = Buffer.alloc(16);
    start.writeUInt32BE(1 << 24);
    reader.push(start);
    expect(reader.read()).toBe(false);
    const before = process.memoryUsage();
    const count = 300_000;
    for (let at = 0; at < count; at++) {
      reader.push(new Uint8Array(1));
      if (reader.read()) expect.fail('it is not whole');
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    // An object for each byte would take a hundred times as much.
    expect(heapUsed + arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(
      count * 40,
    );
  });
});

describe('FrameReader with a reused buffer', () => {
  const MEMORY = 64;

  /** Reads all bytes through a buffer of this size, which is overwritten as soon as the reader allows it. */
  function readThrough(bytes: Uint8Array, step: number): Buffer[] {
    const reader = new FrameReader(MAX);
    const frames: Buffer[] = [];
    let memory = new Uint8Array(MEMORY);
    let at = 0;
    let from = 0;
    while (from < bytes.length) {
      const length = Math.min(step, bytes.length - from, MEMORY - at);
      memory.set(bytes.subarray(from, from + length), at);
      reader.push(memory, at, at + length);
      from += length;
      at += length;
      while (reader.read()) {
        frames.push(Buffer.from(reader.bytes.subarray(reader.at, reader.at + reader.length)));
      }
      if (at < MEMORY) continue;
      at = reader.rewind(memory);
      if (at < 0 || at === MEMORY) {
        memory = new Uint8Array(MEMORY);
        at = 0;
      }
      memory.fill(0xee, at);
    }
    expect(reader.isBetweenFrames).toBe(true);
    return frames;
  }

  it('keeps only an incomplete frame, which it moves to the front.', () => {
    const short = FRAMES.filter(({ length }) => length < MEMORY * 3);
    const many = [...short, ...short, ...short, ...short];
    for (let step = 1; step <= MEMORY; step++) {
      same(readThrough(Buffer.concat(many), step), many);
    }
  });

  it('keeps the whole buffer while a frame is in pieces, or in other memory.', () => {
    const reader = new FrameReader(MAX);
    const bytes = frame('PREFETCH', { body: new Uint8Array(88) });
    const memory = Uint8Array.from(bytes);
    reader.push(memory.slice(0, 10));
    expect(reader.read()).toBe(false);
    expect(reader.rewind(memory)).toBe(-1);
    reader.push(memory, 10, 50);
    expect(reader.read()).toBe(false);
    expect(reader.rewind(memory)).toBe(-1);
    reader.push(memory, 50, memory.length);
    expect(reader.read()).toBe(true);
    expect(reader.read()).toBe(false);
    expect(reader.rewind(memory)).toBe(0);
  });
});
