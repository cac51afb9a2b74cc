import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { basename } from 'node:path';
import process from 'node:process';
import { markAsUntransferable } from 'node:worker_threads';
import { Errno } from '../message/errno.ts';
import { type ChannelEvents, NOBODY } from '../wire/channel.ts';
import { LARGE_POOL, MUCH, ROOM } from '../wire/reading.ts';
import { Slab } from '../wire/slab.ts';
import { SocketChannel } from '../wire/socket-channel.ts';
import { MAX_SOCKET_PATH, socketDirectory, socketPath } from './directory.ts';
import { FramePort } from './frame-port.ts';
import type { Connect } from './ksock.ts';
import { Refusal } from './port.ts';

/** Memory to read into. Mostly it isn't used again, so the less there is of it, the sooner it is given back, still warm. */
const POOL = 128 * 1024;
/** Little is copied into memory for little, for a message that is kept keeps all the memory that it lies in. */
const LITTLE = 4 * 1024;
const CRUMBS = 16 * 1024;

/** Memory that many messages lie in: to transfer that of one to a worker would take it from the others. */
function receiveMemory(length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  markAsUntransferable(bytes.buffer);
  return bytes;
}

/** How soon to try again to connect where too many do, in milliseconds. */
const CROWDED = 10;

/**
 * A socket whose writes don't fail. When the daemon has ended the connection, what it said last is still to
 * be read: why. So the end is known by reading, and an error of writing is only what it is taken for when
 * nothing was said.
 */
class PatientSocket extends Socket {
  // A stream gives the same function with each write: what is told in its place is made once, too.
  private done: Done | null = null;
  private patient: Done = () => {};

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, this.patiently(done));
  }

  override _writev(chunks: Chunks, done: Done): void {
    // Sockets of Node have it, though its declaration leaves that open.
    super._writev!(chunks, this.patiently(done));
  }

  private patiently(done: Done): Done {
    if (done !== this.done) {
      this.done = done;
      this.patient = (error) => this.wrote(error, done);
    }
    return this.patient;
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

/** What is read lies in memory side by side, so that a frame that comes in two reads is whole all the same. */
class ReadMemory {
  events: ChannelEvents = NOBODY;
  private pool: Uint8Array = receiveMemory(ROOM);
  private at = 0;
  private readonly crumbs = new Slab(CRUMBS, receiveMemory);
  private isGiven = false;
  /** What is known to come. */
  private missing = 0;

  /** Where to read to next, as Node asks for it; undefined: to where it was read last. */
  next(): Uint8Array | undefined {
    if (this.isGiven) return undefined;
    this.isGiven = true;
    if (this.pool.length - this.at < ROOM) this.renew(this.missing > MUCH ? LARGE_POOL : POOL);
    return this.pool.subarray(this.at);
  }

  private renew(length: number): void {
    this.at = this.pool.length < length ? -1 : (this.events.rewind?.(this.pool) ?? -1);
    if (this.at >= 0 && this.pool.length - this.at >= ROOM) return;
    this.pool = receiveMemory(length);
    this.at = 0;
  }

  /** So many bytes were read there. */
  took(length: number): void {
    const { pool, at, crumbs, events } = this;
    if (length > LITTLE) {
      this.at += length;
      this.isGiven = false;
      this.missing = events.received(pool, at, at + length);
      return;
    }
    crumbs.keep(pool, at, length);
    this.missing = events.received(crumbs.bytes, crumbs.at, crumbs.at + length);
  }
}

interface Connected {
  readonly socket: Socket;
  readonly memory: ReadMemory;
}

/** Connects to a socket; resolves once it is connected. */
function openSocket(path: string): Promise<Connected> {
  return new Promise((resolve, reject) => {
    const memory = new ReadMemory();
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        // What it says of where to read to may be undefined, though its declaration doesn't allow it.
        buffer: (() => memory.next()) as () => Uint8Array,
        callback: (length) => {
          memory.took(length);
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
    socket.on('connect', () => resolve({ socket, memory }));
    socket.on('drain', () => memory.events.drained());
    socket.on('close', () => memory.events.closed(failure));
    socket.connect(path);
  });
}

/** The way to a bus of this machine's daemon. */
export function connectUnix(bus: number, directory?: string): Connect {
  return async (mode, events, signal) => {
    const path = socketPath(socketDirectory(directory), bus);
    const length = Buffer.byteLength(path);
    if (process.platform !== 'win32' && length > MAX_SOCKET_PATH) {
      throw new Refusal(
        Errno.ENAMETOOLONG,
        `${path} is too long for the path of a socket: ${length} bytes, where ${MAX_SOCKET_PATH} are allowed`,
      );
    }
    const { memory, socket } = await openSocketInTurn(path, signal);
    return FramePort.open(
      (toldTo) => {
        memory.events = toldTo;
        return new SocketChannel(socket);
      },
      {
        mode,
        pid: process.pid,
        program: basename(process.argv[1] ?? process.argv0),
        defer: process.nextTick,
        deferLonger: setImmediate,
        memory: (length) => Buffer.alloc(length),
        readMemory: receiveMemory,
      },
      events,
      signal,
    );
  };
}

/** Connects as soon as the daemon can come to it: so many may do so at once that some must try again. */
async function openSocketInTurn(path: string, signal: AbortSignal | undefined): Promise<Connected> {
  let connected: Connected | null = null;
  while (connected === null) {
    try {
      connected = await openSocket(path);
    } catch (error) {
      if (!hasCode(error, 'EAGAIN')) throw refusalOf(error, path);
      await new Promise((resolve) => setTimeout(resolve, CROWDED));
    }
    if (signal?.aborted) {
      connected?.socket.destroy();
      throw new Refusal(Errno.ECANCELED);
    }
  }
  return connected;
}

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function refusalOf(error: unknown, path: string): Refusal {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (code === 'EACCES' || code === 'EPERM') return new Refusal(Errno.EACCES, path, error);
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') {
    return new Refusal(Errno.ENOENT, `nobody answers at ${path}`, error);
  }
  return new Refusal(Errno.ECONNRESET, `${path}: ${(error as Error).message}`, error);
}
