import { Buffer } from 'node:buffer';
import { CRUMBS, LITTLE, ROOM } from '../wire/reading.ts';
import { Slab } from '../wire/slab.ts';

const SLAB = 128 * 1024;

/**
 * Where all connections read to, one after the other, and where what they read is kept. So a connection that
 * is silent has no memory of its own, and what was read is small when little came.
 */
export class Intake {
  readonly scratch: Uint8Array = Buffer.allocUnsafeSlow(ROOM);
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
