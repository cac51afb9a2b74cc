import type { Channel, ChannelEvents } from '../../src/transport/channel.ts';

/** As Node's sockets: told of `drained` when more than this had been waiting. */
const HIGH_WATER = 16_384;

/** How many bytes stand around what is received, in the buffer that it comes in. */
const AROUND = 8;

interface Piece {
  /** What the writer gave, and must not change any more. */
  readonly bytes: Uint8Array;
  readonly copy: Uint8Array;
  left: number;
  sent: number;
}

/** One end of a connection that does nothing by itself: somebody says what arrives, and when. */
export class End implements Channel {
  peer!: End;
  /** Bytes that are still in the process that wrote them. */
  backlog = 0;
  /** Bytes that have left it, and are not at the other end yet. */
  private onTheWay = 0;
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
      this.pieces.push({ bytes, copy: bytes.slice(), left: 0, sent: 0 });
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

  /** Bytes that were written, and are not at the other end. */
  get unarrived(): number {
    // What a process had not got rid of when it died is gone.
    return (this.isDead ? 0 : this.backlog) + this.onTheWay;
  }

  /**
   * So many bytes leave the process, and are not at the other end yet. It is told that its backlog has gone
   * down when nothing is left of it; or, as a channel may, sooner.
   */
  leave(count: number, isToldSoon: boolean): void {
    let more = Math.min(count, this.backlog);
    this.backlog -= more;
    this.onTheWay += more;
    for (const piece of this.pieces) {
      const part = Math.min(more, piece.copy.length - piece.left);
      piece.left += part;
      more -= part;
      if (part > 0 && piece.left === piece.copy.length) mustBeUnchanged(piece);
    }
    if (!this.wasHigh || this.isClosed || !(this.backlog === 0 || isToldSoon)) return;
    this.wasHigh = this.backlog > HIGH_WATER;
    if (!this.isDead) this.events?.drained();
  }

  /** So many bytes, or what there is, arrive at the other end. */
  deliver(count: number): void {
    const length = Math.min(count, this.unarrived);
    if (length > this.onTheWay) this.leave(length - this.onTheWay, false);
    // The receiver may do with it what it likes, within what it was given.
    const among = new Uint8Array(length + 2 * AROUND).fill(0xee);
    for (let at = 0; at < length; ) {
      const piece = this.pieces[0] as Piece;
      const part = piece.copy.subarray(piece.sent, piece.sent + length - at);
      among.set(part, AROUND + at);
      at += part.length;
      piece.sent += part.length;
      if (piece.sent === piece.copy.length) this.pieces.shift();
    }
    this.onTheWay -= length;
    if (!this.peer.isDead) this.peer.events?.received(among, AROUND, AROUND + length);
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
    this.onTheWay = 0;
    if (!this.isDead) this.events?.closed(null);
  }

  private endIfSent(): void {
    if (this.isEnding && this.unarrived === 0) this.break();
  }
}

function mustBeUnchanged({ bytes, copy }: Piece): void {
  if (Buffer.compare(bytes, copy) === 0) return;
  throw new Error('what was written has been changed before it was sent');
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
