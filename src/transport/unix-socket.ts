import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { markAsUntransferable } from 'node:worker_threads';
import { type ChannelEvents, MEMORY_KEPT, NO_LISTENER } from './channel.ts';
import { LARGE_POOL_BYTES, LARGE_REST_BYTES, MIN_READ_BYTES } from './read-sizes.ts';

// The client's end of a Unix socket: opening it, reading to memory that is used again, and how its writes end.

/** Memory to read into. Mostly it isn't used again, so the less there is of it, the sooner it is given back, still warm. */
const POOL_BYTES = 128 * 1024;

/** Memory that many messages lie in: to transfer that of one to a worker would take it from the others. */
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

/**
 * What is read lies in memory side by side, so that a frame that comes in two reads is whole all the same. When all of
 * it was seen to, it is read to the same memory again, which is still warm.
 */
export class ReadMemory {
  events: ChannelEvents = NO_LISTENER;
  private pool: Uint8Array = receiveMemory(MIN_READ_BYTES);
  private at = 0;
  private isGiven = false;
  /** Somebody may keep what lies in the pool for ever. */
  private isKept = false;
  /** What is known to come. */
  private missing = 0;
  /** How many bytes behind a multiple of 4 the next one is that comes: so they lie in memory too, as names are best read. */
  private phase = 0;

  /** Where to read to next, as Node asks for it; undefined: to where it was read last. */
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

  /** So many bytes were read there. */
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

/** A socket that is connected, and what it is read to. */
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
