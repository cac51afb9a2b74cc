import { Buffer } from 'node:buffer';
import type { ChannelEvents } from '../transport/channel.ts';
import type { Chunks, Reusable } from './chunks.ts';

/** So many pools are remembered: a queue of 100 messages of 64 KiB is in 25 of them. */
const MAX_RETIRED = 64;

/** A pool in which nothing more is received. */
interface Retired {
  /** Meanwhile it belongs to those who need what lies in it, or else to V8. */
  readonly pool: WeakRef<Uint8Array>;
  readonly chunk: Reusable;
  /** Who received in it. */
  readonly reader: WeakRef<ChannelEvents>;
}

/**
 * Memory for connections to which much comes at once. It is used again when all that was received in it is read and
 * written: such memory is still in the processor's cache, and V8 need not collect it.
 */
export class ReceivePools {
  private readonly chunks: Chunks;
  /** The one that was retired last comes last. */
  private readonly retired: Retired[] = [];

  constructor(chunks: Chunks) {
    this.chunks = chunks;
  }

  /** A pool that nobody else uses; its content does not matter. */
  take(): Uint8Array {
    const { retired } = this;
    for (let at = retired.length - 1; at >= 0; at--) {
      const { chunk, pool, reader } = retired[at] as Retired;
      if (!chunk.isUnused) continue;
      const bytes = pool.deref();
      if (bytes !== undefined && mayReferTo(bytes, reader.deref())) continue;
      retired.splice(at, 1);
      if (bytes === undefined) continue;
      this.chunks.forget(bytes.buffer);
      return bytes;
    }
    return Buffer.allocUnsafeSlow(this.chunks.poolBytes);
  }

  /** Nothing more is received in this pool by `reader`. */
  retire(pool: Uint8Array, reader: ChannelEvents): void {
    const chunk = this.chunks.at(pool.buffer);
    if (chunk === undefined) return;
    const { retired } = this;
    if (retired.length === MAX_RETIRED) retired.shift();
    retired.push({ pool: new WeakRef(pool), chunk, reader: new WeakRef(reader) });
  }
}

/** A reader that V8 has collected keeps nothing. */
function mayReferTo({ buffer }: Uint8Array, reader: ChannelEvents | undefined): boolean {
  return reader !== undefined && reader.refersTo?.(buffer) !== false;
}
