import { Buffer } from 'node:buffer';
import { Slab } from '../base/slab.ts';
import type { ChannelEvents } from '../transport/channel.ts';
import { MIN_READ_BYTES, POOL_BYTES } from '../transport/read-sizes.ts';
import type { ReceivePools } from './receive-pools.ts';

/** Chunks up to these sizes share a slab four times as large; a longer chunk has memory of its own. */
const SMALL_READ_BYTES = 1024;
const MEDIUM_READ_BYTES = 8 * 1024;
const READS_PER_SLAB = 4;

/** So many connections at most may keep memory of their own for what is still to come. */
const MAX_LENT = 16;

/** Who has had no long read for so many of others has to give its memory back when somebody else needs some. */
const IDLE_READS = 16 * MAX_LENT;

/** A connection that may have memory of its own because much comes at once. */
export interface Borrower {
  /** It must read into the shared scratch buffer again. */
  recalled(): void;
}

/**
 * One scratch buffer, into which all connections read in turn, and slabs to which each chunk is then copied. An idle
 * connection thus holds no memory, unless much came at once when it last read, and an unread message keeps little more alive
 * than the chunk that it was read with.
 */
export class ReceiveBuffers {
  readonly scratch: Uint8Array = Buffer.allocUnsafeSlow(MIN_READ_BYTES);
  private readonly small = new Slab(SMALL_READ_BYTES * READS_PER_SLAB, Buffer.allocUnsafeSlow);
  private readonly medium = new Slab(MEDIUM_READ_BYTES * READS_PER_SLAB, Buffer.allocUnsafeSlow);
  private readonly large = new Slab(0, Buffer.allocUnsafeSlow);
  /** Who has memory of its own because much comes at once, and at which long read it last got it; longest ago first. */
  private readonly borrowers = new Map<Borrower, number>();
  private longReads = 0;
  /** Called each time that received bytes have been handled. */
  readonly onHandled: () => void;
  private readonly pools: ReceivePools;

  constructor(onHandled: () => void, pools: ReceivePools) {
    this.onHandled = onHandled;
    this.pools = pools;
  }

  /** Memory of a connection's own, of so many bytes. */
  pool(bytes: number): Uint8Array {
    return bytes === POOL_BYTES ? this.pools.take() : Buffer.allocUnsafeSlow(bytes);
  }

  /** The connection receives nothing more in this pool. */
  leave(pool: Uint8Array, reader: ChannelEvents): void {
    if (pool.length === POOL_BYTES) this.pools.retire(pool, reader);
  }

  /** Whether a connection that has just had a long read may have memory of its own; call it at each such read. */
  lend(borrower: Borrower): boolean {
    const { borrowers } = this;
    this.longReads++;
    if (!borrowers.delete(borrower) && borrowers.size >= MAX_LENT && !this.recall()) return false;
    borrowers.set(borrower, this.longReads);
    return true;
  }

  takeBack(borrower: Borrower): void {
    this.borrowers.delete(borrower);
  }

  /** Recalls the memory of a connection that is idle; false if none is. */
  private recall(): boolean {
    for (const [borrower, at] of this.borrowers) {
      if (this.longReads - at <= IDLE_READS) return false;
      this.borrowers.delete(borrower);
      borrower.recalled();
      return true;
    }
    return false;
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
