import { Buffer } from 'node:buffer';
import { Slab } from '../base/slab.ts';
import { MIN_READ_BYTES } from '../transport/read-sizes.ts';

/** What came is kept in memory that is a few times as much, or in its own when it is more than any of these. */
const LITTLE = 1024;
const SOME = 8 * 1024;
/** So many of them. */
const SHARE = 4;

/**
 * Where all connections read to, one after the other, and where what they read is kept. So a connection that
 * is silent has no memory of its own, and a message that waits long keeps little more than came with it.
 */
export class ReceiveBuffers {
  readonly scratch: Uint8Array = Buffer.allocUnsafeSlow(MIN_READ_BYTES);
  private readonly little = new Slab(LITTLE * SHARE, Buffer.allocUnsafeSlow);
  private readonly some = new Slab(SOME * SHARE, Buffer.allocUnsafeSlow);
  private readonly much = new Slab(0, Buffer.allocUnsafeSlow);
  /** To be told when something that came has been seen to. */
  readonly came: () => void;

  constructor(came: () => void) {
    this.came = came;
  }

  /**
   * Keeps the first `length` bytes of the scratch: from `at` on in `bytes` of the slab that it gives, `phase` bytes
   * behind a multiple of 4.
   */
  keep(length: number, phase: number): Slab {
    const slab = length <= LITTLE ? this.little : length <= SOME ? this.some : this.much;
    slab.keep(this.scratch, 0, length, phase);
    return slab;
  }
}
