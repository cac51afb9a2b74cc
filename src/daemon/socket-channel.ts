import type { Socket } from 'node:net';
import type { Channel, ChannelEvents } from '../wire/channel.ts';

/** The daemon's end of a Unix socket. */
export class SocketChannel implements Channel {
  private readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Begins to tell what comes. */
  open(events: ChannelEvents): void {
    const { socket } = this;
    let failure: Error | null = null;
    socket.on('data', (chunk: Buffer) => events.received(chunk, 0, chunk.length));
    socket.on('drain', () => events.drained());
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => events.closed(failure));
  }

  write(pieces: readonly Uint8Array[]): void {
    const { socket } = this;
    if (socket.destroyed) return;
    if (pieces.length === 1) {
      socket.write(pieces[0] as Uint8Array);
      return;
    }
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  get backlog(): number {
    return this.socket.writableLength;
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    // A peer that doesn't read must not keep the connection: what fits is sent, and the rest dropped.
    if (this.socket.writableLength > 65_536) this.socket.destroy();
    else this.socket.destroySoon();
  }
}
