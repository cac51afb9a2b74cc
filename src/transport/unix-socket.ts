import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { markAsUntransferable } from 'node:worker_threads';
import { type ChannelEvents, MEMORY_KEPT, NO_LISTENER } from './channel.ts';
import { LARGE_POOL_BYTES, LARGE_REST_BYTES, MIN_READ_BYTES } from './read-sizes.ts';

// The client's end of a Unix socket: opening it, reading into reused memory, and reporting write errors.

/** Size of a receive buffer. The smaller it is, the sooner the allocator reuses it, still in the processor's cache. */
const POOL_BYTES = 128 * 1024;

/** Memory for many messages. It can't be transferred: the worker that gets one message would take all. */
export function receiveMemory(length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  markAsUntransferable(bytes.buffer);
  return bytes;
}

/**
 * A socket that reports a write error only after the end of input: when the daemon has ended the connection, its last
 * frame is still to be read, and explains it better.
 */
class PatientSocket extends Socket {
  // A stream passes the same function with each write, so one wrapper is enough.
  private done: Done | null = null;
  private patient: Done = () => {};

  override _write(chunk: unknown, encoding: BufferEncoding, done: Done): void {
    super._write(chunk, encoding, this.patiently(done));
  }

  override _writev(chunks: Chunks, done: Done): void {
    // Node's sockets have `_writev`, though its declaration is optional.
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
    // Until then the write stays pending; later writes queue behind it, and are dropped with the socket.
    else this.once('end', () => this.destroy(error));
  }
}

type Done = (error?: Error | null) => void;
type Chunks = { chunk: unknown; encoding: BufferEncoding }[];

/**
 * The receive buffer of a socket. Reads fill it one after the other, so that a frame that takes two reads is contiguous.
 * When all its bytes were handled, the buffer is reused, while it is in the processor's cache.
 */
export class ReadMemory {
  events: ChannelEvents = NO_LISTENER;
  private pool: Uint8Array = receiveMemory(MIN_READ_BYTES);
  private at = 0;
  private isGiven = false;
  /** A program may keep bytes of the pool for ever. */
  private isKept = false;
  /** The missing bytes of the incomplete frame. */
  private missing = 0;
  /** The offset modulo 4 of the next byte in the connection. Bytes have the same in memory, so that words are aligned. */
  private phase = 0;

  /** The memory for the next read; undefined: the memory of the last read. */
  next(): Uint8Array | undefined {
    if (this.isGiven) return undefined;
    this.isGiven = true;
    const large = this.missing > LARGE_REST_BYTES;
    if (
      this.pool.length - this.at < MIN_READ_BYTES ||
      (large && this.pool.length < LARGE_POOL_BYTES)
    ) {
      this.pool = receiveMemory(large ? LARGE_POOL_BYTES : POOL_BYTES);
      this.at = this.phase;
      this.isKept = false;
    }
    return this.pool.subarray(this.at);
  }

  /** Notes that a read got `length` bytes. */
  took(length: number): void {
    const { pool, at, events } = this;
    this.phase = (this.phase + length) & 3;
    this.missing = events.received(pool, at, at + length);
    const stays = this.isKept ? MEMORY_KEPT : (events.rewind?.(pool) ?? MEMORY_KEPT);
    if (stays === MEMORY_KEPT) this.isKept = true;
    this.at = stays < 0 ? at + length : stays;
    if (this.at !== at) this.isGiven = false;
  }
}

/** A connected socket, and its receive buffer. */
export interface OpenedSocket {
  readonly socket: Socket;
  readonly memory: ReadMemory;
}

/** Connects to a socket; resolves once it is connected. */
export function openSocket(path: string): Promise<OpenedSocket> {
  return new Promise((resolve, reject) => {
    const memory = new ReadMemory();
    const options: SocketConstructorOpts & ConnectOpts = {
      onread: {
        // `buffer` may give undefined, though its declaration doesn't allow it.
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
