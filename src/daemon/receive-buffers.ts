import { Buffer } from 'node:buffer';
import { Slab } from '../base/slab.ts';
import { MIN_READ_BYTES } from '../transport/read-sizes.ts';

/** Chunks up to these sizes share a slab four times as large; a longer chunk has memory of its own. */
const SMALL_READ_BYTES = 1024;
const MEDIUM_READ_BYTES = 8 * 1024;
const READS_PER_SLAB = 4;

/** So many connections at most may keep memory of their own for what is still to come. */
const MAX_LENT = 16;

/**
 * One scratch buffer, into which all connections read in turn, and slabs to which each chunk is then copied. An idle
 * connection thus holds no memory, and an unread message keeps little more alive than the chunk that it was read with.
 */
export class ReceiveBuffers {
  readonly scratch: Uint8Array = Buffer.allocUnsafeSlow(MIN_READ_BYTES);
  private readonly small = new Slab(SMALL_READ_BYTES * READS_PER_SLAB, Buffer.allocUnsafeSlow);
  private readonly medium = new Slab(MEDIUM_READ_BYTES * READS_PER_SLAB, Buffer.allocUnsafeSlow);
  private readonly large = new Slab(0, Buffer.allocUnsafeSlow);
  /** How many connections have memory of their own because much comes at once. */
  private lent = 0;
  /** Called each time that received bytes have been handled. */
  readonly onHandled: () => void;

  constructor(onHandled: () => void) {
    this.onHandled = onHandled;
  }

  /** Whether one more connection may have memory of its own; if so, counts it. */
  lend(): boolean {
    if (this.lent >= MAX_LENT) return false;
    this.lent++;
    return true;
  }

  takeBack(): void {
    this.lent--;
  }

  /**
   * Copies the first `length` bytes of the scratch buffer to a slab, and returns that: they begin at its `at`, `phase`
   * bytes behind a multiple of 4.
   */
  keep(length: number, phase: number): Slab {
    const slab = this.slabFor(length);
    slab.keep(this.scratch, 0, length, phase);
    return slab;
  }

  /** Copies pieces of `length` bytes in all likewise, side by side. */
  gather(pieces: readonly Uint8Array[], length: number, phase: number): Slab {
    const slab = this.slabFor(length);
    slab.gather(pieces, length, phase);
    return slab;
  }

  private slabFor(length: number): Slab {
    if (length <= SMALL_READ_BYTES) return this.small;
    return length <= MEDIUM_READ_BYTES ? this.medium : this.large;
  }
}
