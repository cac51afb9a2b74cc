import type { Socket } from 'node:net';
import type { ChannelEvents } from '../wire/channel.ts';
import { SocketChannel } from '../wire/socket-channel.ts';
import type { Patience } from './patience.ts';

/** The daemon's end of a Unix socket. */
export class AcceptedChannel extends SocketChannel {
  private readonly leaving: Patience<Socket>;

  /** `leaving` has patience with a peer that doesn't read what it was sent before the end. */
  constructor(socket: Socket, leaving: Patience<Socket>) {
    super(socket);
    this.leaving = leaving;
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
    socket.on('close', () => {
      this.leaving.end(socket);
      events.closed(failure);
    });
  }

  override end(): void {
    if (!this.socket.destroyed) this.leaving.begin(this.socket);
    super.end();
  }
}
