import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { basename } from 'node:path';
import process from 'node:process';
import { Errno } from '../message/errno.ts';
import type { ChannelEvents } from '../wire/channel.ts';
import { SocketChannel } from '../wire/socket-channel.ts';
import { socketDirectory, socketPath } from './directory.ts';
import { FramePort } from './frame-port.ts';
import type { Connect } from './ksock.ts';
import { Refusal } from './port.ts';

const READ_BUFFER = 256 * 1024;
const POOL = 16 * 1024;

/**
 * A socket whose writes don't fail. When the daemon has ended the connection, what it said last is still to
 * be read: why. So the end is known by reading, and an error of writing is only what it is taken for when
 * nothing was said.
 */
class PatientSocket extends Socket {
  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, (error) => this.wrote(error, done));
  }

  override _writev(chunks: Chunks, done: Done): void {
    // Sockets of Node have it, though its declaration leaves that open.
    super._writev!(chunks, (error) => this.wrote(error, done));
  }

  private wrote(error: Error | null | undefined, done: Done): void {
    if (!error) done();
    else if (this.readableEnded) this.destroy(error);
    // Until then the write is never done: what is written behind it waits, and goes when the socket does.
    else this.once('end', () => this.destroy(error));
  }
}

type Done = (error?: Error | null) => void;
type Chunks = { chunk: unknown; encoding: BufferEncoding }[];

/**
 * Connects to a socket. It is read into one buffer, from which each chunk is copied once. Resolves
 * once it is connected.
 */
function openSocket(path: string, events: () => ChannelEvents): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const buffer = new Uint8Array(READ_BUFFER);
    let pool = new Uint8Array(0);
    let used = 0;
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        buffer,
        // What came must be moved out of the way of what comes next: little into memory for much.
        callback: (length) => {
          if (length > POOL / 4) {
            events().received(buffer.slice(0, length), 0, length);
            return true;
          }
          if (used + length > pool.length) {
            pool = new Uint8Array(POOL);
            used = 0;
          }
          pool.set(buffer.subarray(0, length), used);
          used += length;
          events().received(pool, used - length, used);
          return true;
        },
      },
    };
    let failure: Error | null = null;
    const socket = new PatientSocket(options);
    socket.on('error', (error) => {
      failure = error;
      reject(error);
    });
    socket.on('connect', () => resolve(socket));
    socket.on('drain', () => events().drained());
    socket.on('close', () => events().closed(failure));
    socket.connect(path);
  });
}

/** The way to a bus of this machine's daemon. */
export function connectUnix(bus: number, directory?: string): Connect {
  return async (mode, events, signal) => {
    const path = socketPath(socketDirectory(directory), bus);
    let channelEvents: ChannelEvents | null = null;
    const nobody: ChannelEvents = { received: () => {}, drained: () => {}, closed: () => {} };
    let socket: Socket;
    try {
      socket = await openSocket(path, () => channelEvents ?? nobody);
    } catch (error) {
      throw refusalOf(error, path);
    }
    return FramePort.open(
      (toldTo) => {
        channelEvents = toldTo;
        return new SocketChannel(socket);
      },
      {
        mode,
        pid: process.pid,
        program: basename(process.argv[1] ?? process.argv0),
        defer: process.nextTick,
        deferLonger: setImmediate,
      },
      events,
      signal,
    );
  };
}

function refusalOf(error: unknown, path: string): Refusal {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'EACCES' || code === 'EPERM') return new Refusal(Errno.EACCES, path, error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    return new Refusal(Errno.ENOENT, `nobody answers at ${path}`, error);
  }
  return new Refusal(Errno.ECONNRESET, `${path}: ${(error as Error).message}`, error);
}
