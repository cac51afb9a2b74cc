import type { Channel } from '../wire/channel.ts';

const SLAB_SIZE = 65_536;

/** Memory for small frames, given out front to back, so that what one turn writes lies together. */
export class Slab {
  bytes: Uint8Array = new Uint8Array(SLAB_SIZE);
  view: DataView = new DataView(this.bytes.buffer);
  /** Where what `reserve` gave begins. */
  at = 0;
  private used = 0;

  /** Makes `length` bytes of `bytes` from `at` on the caller's. */
  reserve(length: number): void {
    if (this.used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(SLAB_SIZE, length));
      this.view = new DataView(this.bytes.buffer);
      this.used = 0;
    }
    this.at = this.used;
    this.used += length;
  }
}

/**
 * What one connection is to be sent when the turn ends: stretches of buffers that are shared with
 * other connections, joined where they lie side by side.
 */
export class Outbox {
  private readonly channel: Channel;
  private pieces: Uint8Array[] = [];
  private bytes: Uint8Array | null = null;
  private from = 0;
  private to = 0;

  constructor(channel: Channel) {
    this.channel = channel;
  }

  append(bytes: Uint8Array, from: number, to: number): void {
    if (bytes === this.bytes && from === this.to) {
      this.to = to;
      return;
    }
    this.cut();
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  /** Sends it all, in one system call where the channel can. */
  flush(): void {
    this.cut();
    if (this.pieces.length === 0) return;
    const { pieces } = this;
    this.pieces = [];
    this.channel.write(pieces);
  }

  private cut(): void {
    if (this.bytes === null) return;
    this.pieces.push(this.bytes.subarray(this.from, this.to));
    this.bytes = null;
  }
}
