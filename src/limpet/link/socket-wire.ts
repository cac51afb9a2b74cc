import { connect, createServer, type Server, type Socket } from 'node:net';
import process from 'node:process';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { addressText, type LinkAddress, removeSocketFile } from './address.ts';
import { type Security, tlsOptions } from './security.ts';
import type { Wire, WireEvents } from './wire.ts';

/** A wire over a socket: Unix, TCP or TLS. What is written in one turn leaves in one write. */
export class SocketWire implements Wire {
  private readonly socket: Socket;
  private isCorked = false;
  private why = '';

  constructor(socket: Socket, events: WireEvents) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => events.received(bytes));
    socket.on('drain', () => events.drained());
    socket.on('error', (error) => {
      this.why = error.message;
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => events.closed(this.why));
    socket.resume();
  }

  write(...pieces: Uint8Array[]): void {
    const { socket } = this;
    if (!socket.writable) return;
    if (!this.isCorked) {
      this.isCorked = true;
      socket.cork();
      process.nextTick(() => {
        this.isCorked = false;
        socket.uncork();
      });
    }
    for (const piece of pieces) socket.write(piece);
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
    this.socket.end();
    // A peer that does not read must not keep the socket.
    setTimeout(() => this.socket.destroy(), 1000).unref();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

/** Connects to a Limpet. Rejects with what the system says. */
export function connectLink(
  address: LinkAddress,
  security: Security,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const tls = tlsOptions(address, security, false);
    const socket: Socket | TLSSocket =
      tls === null ? connect(address) : connectTls({ ...tls, ...address });
    const abort = (): void => {
      socket.destroy(new Error('the Limpet stops'));
    };
    const timer = setTimeout(() => {
      socket.destroy(new Error(`nobody answers at ${addressText(address)} within 10 seconds`));
    }, 10_000);
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const failed = (error: Error): void => {
      done();
      reject(error);
    };
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort);
    socket.once('error', failed);
    socket.once(tls === null ? 'connect' : 'secureConnect', () => {
      done();
      socket.off('error', failed);
      // Nobody listens to it for the moment; a wire resumes it.
      socket.pause();
      resolve(socket);
    });
  });
}

/** Listens for Limpets; `failed` hears of those whose key or certificate is wrong. */
export async function listenForLinks(
  address: LinkAddress,
  security: Security,
  accepted: (socket: Socket) => void,
  failed: (why: string) => void,
): Promise<Server> {
  const tls = tlsOptions(address, security, true);
  const server = tls === null ? createServer(accepted) : createTlsServer(tls, accepted);
  server.on('tlsClientError', (error: Error) => failed(error.message));
  if ('path' in address && !(await isAlive(address.path))) removeSocketFile(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => failed(error.message));
  return server;
}

/** Whether a program listens at a path; the socket file of one that has crashed is left behind. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
