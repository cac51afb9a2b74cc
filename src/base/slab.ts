import type { Memory } from './memory.ts';

const NO_BYTES = new Uint8Array(0);

/** Memory that is given out front to back, so that what is put there one after the other lies together. */
export class Slab {
  bytes: Uint8Array = NO_BYTES;
  private viewOrNull: DataView | null = null;
  /** Where what `reserve` or `keep` gave begins. */
  at = 0;
  private readonly size: number;
  private readonly memory: Memory;
  private used = 0;

  /** So many bytes are taken from `memory` at once, for the first time when they are needed. */
  constructor(size: number, memory: Memory) {
    this.size = size;
    this.memory = memory;
  }

  /** Of `bytes`; who only keeps what came needs none. */
  get view(): DataView {
    if (this.viewOrNull === null) {
      const { buffer, byteOffset, byteLength } = this.bytes;
      this.viewOrNull = new DataView(buffer, byteOffset, byteLength);
    }
    return this.viewOrNull;
  }

  /** Makes `length` bytes of `bytes` from `at` on the caller's. */
  reserve(length: number): void {
    if (this.used + length > this.bytes.length) {
      this.bytes = this.memory(Math.max(this.size, length));
      this.viewOrNull = null;
      this.used = 0;
    }
    this.at = this.used;
    this.used += length;
  }

  /**
   * Copies `length` bytes of `from` to `bytes`, where they begin at `at`, `phase` bytes behind a multiple of 4.
   */
  keep(from: Uint8Array, at: number, length: number, phase: number): void {
    this.reserve(length + 7);
    this.at = ((this.at + 3) & ~3) + phase;
    this.bytes.set(from.subarray(at, at + length), this.at);
  }
}
