import type { Channel, ChannelEvents } from '../../src/transport/channel.ts';

/** How a write is cut on its way. */
export type Cut = (bytes: Uint8Array) => Iterable<Uint8Array>;

export const whole: Cut = (bytes) => [bytes];

/** The first kilobytes byte by byte, and the rest in pieces of odd lengths. */
export function* byteByByte(bytes: Uint8Array): Iterable<Uint8Array> {
  const single = Math.min(bytes.length, 4096);
  for (let at = 0; at < single; at++) yield bytes.subarray(at, at + 1);
  for (let at = single; at < bytes.length; at += 4999) yield bytes.subarray(at, at + 4999);
}

/** As Node's sockets: `drained` follows a backlog of more bytes than this. */
const HIGH_WATER = 16_384;

interface Written {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: Uint8Array;
}

/** One end of a connection in memory. Bytes arrive in a later turn of the event loop. */
export class PipeEnd implements Channel {
  private peer!: PipeEnd;
  private readonly cut: Cut;
  private events: ChannelEvents | null = null;
  private written: Written[] = [];
  private isPaused = false;
  private isEnding = false;
  private isScheduled = false;
  isClosed = false;
  backlog = 0;

  constructor(cut: Cut) {
    this.cut = cut;
  }

  static pair(cut: Cut = whole): [PipeEnd, PipeEnd] {
    const ends: [PipeEnd, PipeEnd] = [new PipeEnd(cut), new PipeEnd(cut)];
    [ends[0].peer, ends[1].peer] = [ends[1], ends[0]];
    return ends;
  }

  open(events: ChannelEvents): this {
    this.events = events;
    return this;
  }

  write(pieces: readonly Uint8Array[]): void {
    if (this.isClosed || this.isEnding) return;
    const bytes = Buffer.concat(pieces);
    this.written.push({ pieces, bytes });
    this.backlog += bytes.length;
    this.schedule();
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
    this.peer.schedule();
  }

  end(): void {
    this.isEnding = true;
    this.schedule();
  }

  /** Loses the connection, with all bytes on their way. */
  break(): void {
    for (const end of [this, this.peer]) {
      if (end.isClosed) continue;
      end.isClosed = true;
      end.written = [];
      setImmediate(() => end.events?.closed(null));
    }
  }

  /** No byte of this end is on its way. */
  get isIdle(): boolean {
    return !this.isScheduled;
  }

  private schedule(): void {
    if (this.isScheduled) return;
    this.isScheduled = true;
    setImmediate(() => this.deliver());
  }

  private deliver(): void {
    this.isScheduled = false;
    if (this.isClosed || this.peer.isPaused) return;
    const { written, peer, backlog } = this;
    this.written = [];
    this.backlog = 0;
    for (const { pieces, bytes } of written) {
      if (!Buffer.concat(pieces).equals(bytes)) {
        throw new Error('written bytes were changed before they were sent');
      }
      // The receiver may overwrite it.
      for (const chunk of this.cut(bytes)) {
        const among = new Uint8Array(chunk.length + 16).fill(0xee);
        among.set(chunk, 8);
        peer.events?.received(among, 8, 8 + chunk.length);
      }
    }
    if (backlog > HIGH_WATER) this.events?.drained();
    if (this.isEnding) this.break();
  }
}
