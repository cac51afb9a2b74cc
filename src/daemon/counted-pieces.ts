import { Pieces } from '../wire/pieces.ts';

/** Bytes of the object of a piece that is received. (One that waits to be written costs more: stalled-writes.ts.) */
const RECEIVED_PIECE_BYTES = 256;

/** Pieces up to this size are copied if they are less than half of their memory, of which they would keep all. */
const MAX_SPARSE_BYTES = 32 * 1024;

/** Pieces that know how much memory they keep. */
export class CountedPieces extends Pieces {
  /** Bytes in memory. */
  bytes = 0;
  /** The memory of the last piece that was not copied. */
  private lastMemory: ArrayBufferLike | null = null;

  override set(list: Uint8Array[]): void {
    super.set(list);
    this.bytes = 0;
    this.lastMemory = null;
    for (const { length } of list) this.bytes += length;
  }

  /** Keeps bytes in their memory if they are most of it, or else in memory of their own. */
  protected override keep(bytes: Uint8Array, from: number, to: number): void {
    this.bytes += RECEIVED_PIECE_BYTES;
    const length = to - from;
    if (length <= MAX_SPARSE_BYTES && length * 2 < bytes.length) {
      this.list.push(new Uint8Array(bytes.subarray(from, to)));
      this.bytes += length;
      return;
    }
    super.keep(bytes, from, to);
    if (bytes.buffer === this.lastMemory) return;
    this.lastMemory = bytes.buffer;
    this.bytes += bytes.buffer.byteLength;
  }

  protected override crumbMemory(length: number): Uint8Array {
    this.bytes += RECEIVED_PIECE_BYTES + length;
    return super.crumbMemory(length);
  }
}
