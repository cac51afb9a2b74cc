import type { Socket } from 'node:net';
import type { Channel } from './channel.ts';

/** A Node socket as a channel: the parts that both ends share. */
export class SocketChannel implements Channel {
  protected readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  write(pieces: readonly Uint8Array[], written?: () => void): void {
    const { socket } = this;
    if (socket.destroyed) return;
    const last = pieces.length - 1;
    if (last === 0) {
      socket.write(pieces[0] as Uint8Array, written);
      return;
    }
    socket.cork();
    for (let at = 0; at <= last; at++) {
      socket.write(pieces[at] as Uint8Array, at === last ? written : undefined);
    }
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

  keepProgram(isKept: boolean): void {
    if (isKept) this.socket.ref();
    else this.socket.unref();
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.destroySoon();
  }
}
