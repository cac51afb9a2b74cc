import type { Channel, ChannelEvents } from '../../src/wire/channel.ts';

/** As Node's sockets: told of `drained` when more than this had been waiting. */
const HIGH_WATER = 16_384;

/** How many bytes stand around what is received, in the buffer that it comes in. */
const AROUND = 8;

interface Piece {
  /** What the writer gave, and must not change any more. */
  readonly bytes: Uint8Array;
  readonly copy: Uint8Array;
  sent: number;
}

/** One end of a connection that does nothing by itself: somebody says what arrives, and when. */
export class End implements Channel {
  peer!: End;
  backlog = 0;
  isPaused = false;
  isClosed = false;
  /** The closing of the connection is still to be told here. */
  isBroken = false;
  /** Its process is gone: nothing is told to it. */
  isDead = false;
  events: ChannelEvents | null = null;
  private pieces: Piece[] = [];
  private isEnding = false;
  private wasHigh = false;

  write(pieces: readonly Uint8Array[]): void {
    if (this.isClosed || this.isEnding || this.isDead) return;
    for (const bytes of pieces) {
      this.pieces.push({ bytes, copy: bytes.slice(), sent: 0 });
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
    return this.backlog > 0 && !this.isClosed && !peer.isClosed && !peer.isPaused;
  }

  /** So many bytes, or what there is, arrive at the other end. */
  deliver(count: number): void {
    const length = Math.min(count, this.backlog);
    // The receiver may do with it what it likes, within what it was given.
    const among = new Uint8Array(length + 2 * AROUND).fill(0xee);
    for (let at = 0; at < length; ) {
      const piece = this.pieces[0] as Piece;
      const part = piece.copy.subarray(piece.sent, piece.sent + length - at);
      among.set(part, AROUND + at);
      at += part.length;
      piece.sent += part.length;
      if (piece.sent < piece.copy.length) continue;
      if (Buffer.compare(piece.bytes, piece.copy) !== 0) {
        throw new Error('what was written has been changed before it was sent');
      }
      this.pieces.shift();
    }
    this.backlog -= length;
    if (!this.peer.isDead) this.peer.events?.received(among, AROUND, AROUND + length);
    if (this.wasHigh && this.backlog === 0 && !this.isClosed) {
      this.wasHigh = false;
      if (!this.isDead) this.events?.drained();
    }
    this.endIfSent();
  }

  /** The connection is over, and what is on its way is lost or not, as it comes. */
  break(): void {
    this.isBroken = true;
    this.peer.isBroken = true;
  }

  /** The end is told. */
  close(): void {
    this.isClosed = true;
    this.pieces = [];
    this.backlog = 0;
    if (!this.isDead) this.events?.closed(null);
  }

  private endIfSent(): void {
    if (this.isEnding && this.backlog === 0) this.break();
  }
}

/** Two ends of one connection. */
export class Link {
  readonly client = new End();
  readonly daemon = new End();
  /** Directions in which nothing moves for a time: `client` is what the client wrote. */
  readonly stalled = { client: false, daemon: false };

  /** A fault ended it. */
  isLost = false;

  constructor() {
    this.client.peer = this.daemon;
    this.daemon.peer = this.client;
  }
}
