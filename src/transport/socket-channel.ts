import type { Socket } from 'node:net';
import type { Channel } from './channel.ts';

/** A Node socket as a channel: the parts that both ends share. */
export class SocketChannel implements Channel {
  protected readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
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

  keepProgram(isKept: boolean): void {
    if (isKept) this.socket.ref();
    else this.socket.unref();
  }

  end(): void {
    if (!this.socket.destroyed) this.socket.destroySoon();
  }
}
