import type { Memory } from './memory.ts';

const NO_BYTES = new Uint8Array(0);

/** Memory that is given out from front to back, so that stretches reserved one after the other lie side by side. */
export class Slab {
  bytes: Uint8Array = NO_BYTES;
  private viewOrNull: DataView | null = null;
  /** Where the stretch that `reserve` or `keep` gave last begins in `bytes`. */
  at = 0;
  private readonly size: number;
  private readonly memory: Memory;
  private used = 0;

  /** Takes `size` bytes from `memory` at a time, first when they are needed. */
  constructor(size: number, memory: Memory) {
    this.size = size;
    this.memory = memory;
  }

  /** A view of `bytes`, made when it is first needed. */
  get view(): DataView {
    if (this.viewOrNull === null) {
      const { buffer, byteOffset, byteLength } = this.bytes;
      this.viewOrNull = new DataView(buffer, byteOffset, byteLength);
    }
    return this.viewOrNull;
  }

  /** Gives the caller `length` bytes of `bytes`, from `at` on. */
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
    this.reserveInPhase(length, phase);
    this.bytes.set(from.subarray(at, at + length), this.at);
  }

  /** Copies pieces of `length` bytes in all likewise, side by side. */
  gather(pieces: readonly Uint8Array[], length: number, phase: number): void {
    this.reserveInPhase(length, phase);
    let to = this.at;
    for (const piece of pieces) {
      this.bytes.set(piece, to);
      to += piece.length;
    }
  }

  private reserveInPhase(length: number, phase: number): void {
    this.reserve(length + 7);
    this.at = ((this.at + 3) & ~3) + phase;
  }
}
