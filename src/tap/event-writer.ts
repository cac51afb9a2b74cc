import { writeU32 } from '../base/u32.ts';

/** Bytes at the front of each block that the writer leaves alone: its driver puts the header of a frame there. */
export const BLOCK_HEADROOM = 12;

/** A block begins with the time of its first event, in microseconds since the tap began: u32 high, u32 low. */
export const BLOCK_TIME_BYTES = 8;

/** A block ends when it has so many bytes, so that a reader need not wait, nor have much memory. */
const BLOCK_BYTES = 32 * 1024;

/** Memory is taken in pieces of this size, each for several blocks. */
const SLAB_BYTES = 256 * 1024;

const NO_BYTES = new Uint8Array(0);
const encoder = new TextEncoder();

/**
 * Writes events, one after the other, into blocks. Each block can be read without those before it. `begin` an event, then
 * write its fields: numbers as LEB128, texts with their length before them.
 */
export class EventWriter {
  bytes: Uint8Array = NO_BYTES;
  at = 0;
  /** Where the block begins in `bytes`; -1 while there is none. */
  private blockAt = -1;
  /** A slab whose blocks nobody needs any more. */
  private spare: Uint8Array | null = null;
  /** The block that was released last. */
  private released: Uint8Array | null = null;
  /** The time of the last event. */
  private time = 0;
  private readonly finished: (block: Uint8Array) => void;

  /** `finished` gets each block that is complete. */
  constructor(finished: (block: Uint8Array) => void) {
    this.finished = finished;
  }

  /** Bytes of the block that is not complete yet. */
  get unfinished(): number {
    return this.blockAt < 0 ? 0 : this.at - this.blockAt;
  }

  /** Bytes of memory that it keeps to write into. */
  get kept(): number {
    return this.bytes.length + (this.spare?.length ?? 0);
  }

  /** Begins an event, of at most `length` bytes beside its code and time. */
  begin(code: number, time: number, length: number): void {
    const most = length + MOST_BEFORE_FIELDS;
    if (this.blockAt >= 0) {
      const isFull = this.at - this.blockAt >= BLOCK_BYTES;
      if (isFull || this.at + most + MOST_PADDING > this.bytes.length) this.finish();
    }
    if (this.blockAt < 0) this.beginBlock(most, time);
    const { bytes } = this;
    bytes[this.at++] = code;
    this.number(time - this.time);
    this.time = time;
  }

  private beginBlock(most: number, time: number): void {
    const needed = BLOCK_HEADROOM + BLOCK_TIME_BYTES + most + MOST_PADDING;
    if (this.at + needed > this.bytes.length) {
      const { spare } = this;
      const isEnough = spare !== null && needed <= SLAB_BYTES;
      this.bytes = isEnough ? spare : new Uint8Array(Math.max(SLAB_BYTES, needed));
      if (isEnough) this.spare = null;
      this.at = 0;
    }
    this.blockAt = this.at;
    this.at += BLOCK_HEADROOM;
    writeU32(this.bytes, this.at, Math.floor(time / 2 ** 32));
    writeU32(this.bytes, this.at + 4, time % 2 ** 32);
    this.at += BLOCK_TIME_BYTES;
    this.time = time;
  }

  /** Completes the block, if there is one. Its length is a multiple of 4. */
  finish(): void {
    const { blockAt } = this;
    if (blockAt < 0) return;
    while (((this.at - blockAt) & 3) !== 0) this.bytes[this.at++] = 0;
    this.blockAt = -1;
    this.finished(this.bytes.subarray(blockAt, this.at));
  }

  /** Nobody needs this block any more, nor those before it: their memory may serve again. */
  release(block: Uint8Array): void {
    const last = this.released;
    this.released = block;
    // Blocks come in order: with one of another slab, all of the last slab are released.
    if (last === null || last.buffer === block.buffer) return;
    if (last.buffer.byteLength === SLAB_BYTES) this.spare = new Uint8Array(last.buffer);
  }

  /** A whole number from 0 to 2^53 - 1. */
  number(value: number): void {
    const { bytes } = this;
    let { at } = this;
    let left = value;
    while (left > 0x7fff_ffff) {
      bytes[at++] = (left & 0x7f) | 0x80;
      left = Math.floor(left / 128);
    }
    while (left > 0x7f) {
      bytes[at++] = (left & 0x7f) | 0x80;
      left >>>= 7;
    }
    bytes[at++] = left;
    this.at = at;
  }

  bits(value: number): void {
    this.bytes[this.at++] = value;
  }

  id(network: number, serial: number): void {
    this.number(network);
    this.number(serial);
  }

  /** A text of ASCII, as names are. */
  name(name: string): void {
    this.number(name.length);
    const { bytes } = this;
    let { at } = this;
    for (let index = 0; index < name.length; index++) bytes[at++] = name.charCodeAt(index);
    this.at = at;
  }

  text(encoded: Uint8Array): void {
    this.number(encoded.length);
    this.bytes.set(encoded, this.at);
    this.at += encoded.length;
  }
}

/** Encoded text: its length is needed before it is written. */
export function encodedText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** Code and time of an event. */
const MOST_BEFORE_FIELDS = 1 + 8;

const MOST_PADDING = 3;

/** The most bytes that an event has without names, texts and messages. */
export const MOST_FIELDS = 160;
