import type { Random } from '../../harness/random.mjs';

/** Numbers near the limits of lengths and counts. */
const WORDS = [0, 1, 2, 3, 4, 11, 12, 13, 0x7f, 0x80, 0xff, 0xffff, 0x7fff_ffff, 0x8000_0000];
const HIGH = [0xffff_ffff, 0xffff_fffe, 0xffff_fffc, 0x1_0000 - 4, 16 * 1024 * 1024, 0x4000_0000];

/** The longest input, in bytes. */
const MAX = 8192;

/** Some bytes of the corpus, changed in a few places. */
export function mutate(random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  let bytes: Uint8Array = random.pick(corpus).slice();
  for (let left = random.below(random.chance(0.5) ? 3 : 12); left > 0; left--) {
    bytes = change(random, bytes, corpus);
  }
  return bytes.length > MAX ? bytes.subarray(0, MAX) : bytes;
}

function change(random: Random, bytes: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
  const { length } = bytes;
  const at = random.below(length + 1);
  const aligned = at & ~3;
  switch (random.below(9)) {
    case 0:
      if (length > 0) bytes[random.below(length)]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (length > 0) bytes[random.below(length)] = random.below(256);
      return bytes;
    case 2:
    case 3: {
      if (aligned + 4 > length) return bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const word = random.chance(0.5)
        ? random.pick(WORDS)
        : random.chance(0.5)
          ? random.pick(HIGH)
          : view.getUint32(aligned) + random.below(17) - 8;
      view.setUint32(aligned, word, random.chance(0.2));
      return bytes;
    }
    case 4:
      return bytes.subarray(0, at);
    case 5: {
      const end = Math.min(length, at + random.below(64));
      return join(bytes.subarray(0, at), bytes.subarray(end));
    }
    case 6: {
      const end = Math.min(length, at + random.below(128));
      return join(bytes.subarray(0, end), bytes.subarray(at));
    }
    case 7: {
      const other = random.pick(corpus);
      const from = random.below(other.length + 1) & ~3;
      return join(bytes.subarray(0, aligned), other.subarray(from));
    }
    default: {
      // Bytes after the end.
      const more = new Uint8Array(random.below(20));
      for (let index = 0; index < more.length; index++) more[index] = random.below(256);
      return join(bytes, more);
    }
  }
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}

/** The kinds of frames with messages, and the number of words before the records. */
const BEFORE: Record<number, number> = { 10: 3, 20: 3, 21: 3, 22: 3, 24: 3 };

/** The frames of the bytes, some with more messages: of the next frame, the last one again, or SAME ones. */
export function together(random: Random, bytes: Uint8Array): Uint8Array {
  const frames: Uint8Array[] = [];
  for (let at = 0; at + 12 <= bytes.length; ) {
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
    if (length < 12 || at + length > bytes.length) break;
    const frame = bytes.slice(at, at + length);
    const last = frames.at(-1);
    if (last !== undefined && last[4] === frame[4] && random.chance(0.5)) {
      frames[frames.length - 1] = joinFrames(last, frame, random.chance(0.9) ? 1 : 0);
    } else {
      frames.push(frame);
    }
    at += length;
  }
  const many = frames.map((frame) => (random.chance(0.3) ? moreOf(random, frame) : frame));
  if (random.chance(0.5)) number(many);
  const joined = many.reduce((all, frame) => join(all, frame), new Uint8Array(0));
  return joined.length > MAX ? joined.subarray(0, MAX) : joined;
}

/** A frame with the messages of both; the count rises by `more`, or not (0). */
function joinFrames(frame: Uint8Array, other: Uint8Array, more: number): Uint8Array {
  const before = BEFORE[frame[4] as number];
  if (before === undefined || frame.length < 12 + before * 4) return frame;
  const count = other.length < 16 ? 0 : new DataView(other.buffer, other.byteOffset).getUint32(12);
  return withMore(frame, other.subarray(12 + before * 4), more * count);
}

/** A name that both ends know by number 1. */
export const KNOWN_NAME = '$.Known';

/** The frame with a few more messages: SAME ones, or without their name. */
function moreOf(random: Random, frame: Uint8Array): Uint8Array {
  const before = BEFORE[frame[4] as number];
  if (before === undefined || frame.length < 12 + before * 4) return frame;
  let records: Uint8Array = new Uint8Array(0);
  const count = 1 + random.below(5);
  for (let left = count; left > 0; left--) {
    const length = random.below(9);
    const dataAt = random.chance(0.2) ? 16 : 4;
    const record = new Uint8Array(dataAt + ((length + 3) & ~3));
    const view = new DataView(record.buffer);
    if (dataAt === 4) {
      view.setUint32(0, 0x8000_0000 + length);
    } else {
      view.setUint32(0, length);
      view.setUint32(4, KNOWN_NAME.length * 0x1_0000 + 16);
      view.setUint32(12, random.chance(0.95) ? 1 : 2);
    }
    records = join(records, record.fill(left, dataAt, dataAt + length));
  }
  return withMore(frame, records, count);
}

function withMore(frame: Uint8Array, records: Uint8Array, count: number): Uint8Array {
  const joined = join(frame, records);
  const view = new DataView(joined.buffer);
  view.setUint32(0, joined.length);
  view.setUint32(12, view.getUint32(12) + count);
  return joined;
}

/** Gives frames rising tokens, with a gap for those that each frame uses. */
function number(frames: readonly Uint8Array[]): void {
  let token = 1;
  for (const frame of frames) {
    const view = new DataView(frame.buffer, frame.byteOffset);
    view.setUint32(8, token);
    token += frame[4] === 10 && frame.length >= 16 ? view.getUint32(12) & 0xff : 1;
  }
}

/** How bytes arrive: whole, one by one, or cut anywhere. */
export type Cut = 'whole' | 'single' | 'any';

/** The bytes in pieces. */
export function* cut(random: Random, bytes: Uint8Array, how: Cut) {
  for (let at = 0; at < bytes.length; ) {
    const most = random.chance(0.2) ? 2000 : 200;
    const length = how === 'whole' ? bytes.length : how === 'single' ? 1 : 1 + random.below(most);
    yield bytes.subarray(at, at + length);
    at += length;
  }
}
