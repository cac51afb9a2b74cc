import { Buffer } from 'node:buffer';
import { Slab } from '../wire/slab.ts';

/** As much as is read at once. */
const SCRATCH = 64 * 1024;
/** Little is kept apart from much, for a message that waits long keeps all the memory that it lies in. */
const LITTLE = 4 * 1024;
const CRUMBS = 16 * 1024;
const SLAB = 128 * 1024;

/**
 * Where all connections read to, one after the other, and where what they read is kept. So a connection that
 * is silent has no memory of its own, and what was read is small when little came.
 */
export class Intake {
  readonly scratch: Uint8Array = Buffer.allocUnsafeSlow(SCRATCH);
  private readonly slab = new Slab(SLAB, Buffer.allocUnsafeSlow);
  private readonly crumbs = new Slab(CRUMBS, Buffer.allocUnsafeSlow);
  /** To be told when something that came has been seen to. */
  readonly came: () => void;

  constructor(came: () => void) {
    this.came = came;
  }

  /** Keeps the first `length` bytes of the scratch: from `at` on in `bytes` of the slab that it gives. */
  keep(length: number): Slab {
    const slab = length > LITTLE ? this.slab : this.crumbs;
    slab.keep(this.scratch, 0, length);
    return slab;
  }
}
