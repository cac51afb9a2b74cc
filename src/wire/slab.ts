import type { Memory } from './frames.ts';

/** Memory that is given out front to back, so that what is put there one after the other lies together. */
export class Slab {
  bytes: Uint8Array;
  view: DataView;
  /** Where what `reserve` or `keep` gave begins. */
  at = 0;
  private readonly size: number;
  private readonly memory: Memory;
  private used = 0;

  /** So many bytes are taken from `memory` at once. */
  constructor(size: number, memory: Memory) {
    this.size = size;
    this.memory = memory;
    this.bytes = memory(size);
    this.view = viewOfAll(this.bytes);
  }

  /** Makes `length` bytes of `bytes` from `at` on the caller's. */
  reserve(length: number): void {
    if (this.used + length > this.bytes.length) {
      this.bytes = this.memory(Math.max(this.size, length));
      this.view = viewOfAll(this.bytes);
      this.used = 0;
    }
    this.at = this.used;
    this.used += length;
  }

  /** Copies `length` bytes of `from` to `bytes`, where they begin at `at`. */
  keep(from: Uint8Array, at: number, length: number): void {
    this.reserve(length);
    this.bytes.set(from.subarray(at, at + length), this.at);
  }
}

function viewOfAll({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
