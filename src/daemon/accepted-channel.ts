import type { ChannelEvents } from '../wire/channel.ts';
import { SocketChannel } from '../wire/socket-channel.ts';

/** The daemon's end of a Unix socket. */
export class AcceptedChannel extends SocketChannel {
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

  override end(): void {
    // A peer that doesn't read must not keep the connection: what fits is sent, and the rest dropped.
    if (this.backlog > 65_536) this.socket.destroy();
    else super.end();
  }
}
