import type { ReceivePools } from '../../src/daemon/receive-pools.ts';
import { type Channel, type ChannelEvents, NO_LISTENER } from '../../src/transport/channel.ts';

/** As Node's sockets: `drained` follows a backlog of more bytes than this. */
const HIGH_WATER = 16_384;

/** The number of other bytes before and after the received ones in their buffer. */
const AROUND = 8;

interface Piece {
  /** The writer's memory, which it must not change. */
  readonly bytes: Uint8Array;
  readonly copy: Uint8Array;
  left: number;
  sent: number;
  /** Called when it has left the process. */
  readonly written: (() => void) | undefined;
}

/** One end of a connection that does nothing by itself: the steps say what arrives, and when. */
export class End implements Channel {
  peer!: End;
  /** Bytes that are still in the writing process. */
  backlog = 0;
  /** Bytes on their way to the other end. */
  private onTheWay = 0;
  isPaused = false;
  isClosed = false;
  /** This end does not know yet that the connection has closed. */
  isBroken = false;
  /** Its process has died: it gets no events. */
  isDead = false;
  events: ChannelEvents | null = null;
  private pieces: Piece[] = [];
  private isEnding = false;
  private wasHigh = false;

  /** It receives in one of these, as long as there is room; null: each time in memory of its own. */
  pools: ReceivePools | null = null;
  private pool: Uint8Array | null = null;
  private poolAt = 0;

  write(pieces: readonly Uint8Array[], written?: () => void): void {
    if (this.isClosed || this.isEnding || this.isDead) return;
    for (const [at, bytes] of pieces.entries()) {
      const done = at === pieces.length - 1 ? written : undefined;
      this.pieces.push({ bytes, copy: bytes.slice(), left: 0, sent: 0, written: done });
      this.backlog += bytes.length;
    }
    if (this.backlog > HIGH_WATER) this.wasHigh = true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    this.isEnding = true;
    this.endIfSent();
  }

  /** Whether bytes can arrive at the other end. */
  get isDeliverable(): boolean {
    const { peer } = this;
    return this.unarrived > 0 && !this.isClosed && !peer.isClosed && !peer.isPaused;
  }

  get canLeave(): boolean {
    return this.backlog > 0 && !this.isDead && !this.isClosed && !this.peer.isClosed;
  }

  /** Bytes that were written, and have not arrived. */
  get unarrived(): number {
    // Bytes still in a process are lost when it dies.
    return (this.isDead ? 0 : this.backlog) + this.onTheWay;
  }

  /**
   * `count` bytes leave the process, and are on their way. `drained` is called when the backlog is empty;
   * or, as a channel may do, sooner.
   */
  leave(count: number, isToldSoon: boolean): void {
    let more = Math.min(count, this.backlog);
    this.backlog -= more;
    this.onTheWay += more;
    for (const piece of this.pieces) {
      const part = Math.min(more, piece.copy.length - piece.left);
      piece.left += part;
      more -= part;
      if (part === 0 || piece.left < piece.copy.length) continue;
      mustBeUnchanged(piece);
      if (!this.isDead) piece.written?.();
    }
    if (!this.wasHigh || this.isClosed || !(this.backlog === 0 || isToldSoon)) return;
    this.wasHigh = this.backlog > HIGH_WATER;
    if (!this.isDead) this.events?.drained();
  }

  /** At most `count` bytes arrive at the other end. */
  deliver(count: number): void {
    const length = Math.min(count, this.unarrived);
    if (length > this.onTheWay) this.leave(length - this.onTheWay, false);
    const { bytes, from } = this.peer.room(length);
    for (let at = 0; at < length; ) {
      const piece = this.pieces[0] as Piece;
      const part = piece.copy.subarray(piece.sent, piece.sent + length - at);
      bytes.set(part, from + at);
      at += part.length;
      piece.sent += part.length;
      if (piece.sent === piece.copy.length) this.pieces.shift();
    }
    this.onTheWay -= length;
    if (!this.peer.isDead) this.peer.events?.received(bytes, from, from + length);
    this.endIfSent();
  }

  /** Where it receives so many bytes. */
  private room(length: number): { bytes: Uint8Array; from: number } {
    const { pool, poolAt, pools } = this;
    if (pool !== null && poolAt + length <= pool.length) {
      this.poolAt += length;
      return { bytes: pool, from: poolAt };
    }
    if (pools !== null) {
      if (pool !== null) pools.retire(pool, this.events ?? NO_LISTENER);
      const next = pools.take().fill(0xee);
      this.pool = next;
      this.poolAt = length <= next.length ? length : 0;
      if (length <= next.length) return { bytes: next, from: 0 };
    }
    // The receiver may overwrite the bytes that it received.
    return { bytes: new Uint8Array(length + 2 * AROUND).fill(0xee), from: AROUND };
  }

  /** Ends the connection; bytes on their way may be lost. */
  break(): void {
    this.isBroken = true;
    this.peer.isBroken = true;
  }

  /** Calls `closed`. */
  close(): void {
    this.isClosed = true;
    this.pieces = [];
    this.backlog = 0;
    this.onTheWay = 0;
    if (!this.isDead) this.events?.closed(null);
  }

  private endIfSent(): void {
    if (this.isEnding && this.unarrived === 0) this.break();
  }
}

function mustBeUnchanged({ bytes, copy }: Piece): void {
  if (Buffer.compare(bytes, copy) === 0) return;
  throw new Error('written bytes were changed before they were sent');
}

/** Two ends of one connection. */
export class Link {
  readonly client = new End();
  readonly daemon = new End();
  /** Directions in which no byte moves for a time: `client` is that of the client's bytes. */
  readonly stalled = { client: false, daemon: false };

  /** A fault has ended the connection. */
  isLost = false;

  constructor() {
    this.client.peer = this.daemon;
    this.daemon.peer = this.client;
  }
}
