import { type ConnectOpts, Socket, type SocketConstructorOpts } from 'node:net';
import { basename } from 'node:path';
import process from 'node:process';
import { markAsUntransferable } from 'node:worker_threads';
import { offAbort, onAbort } from '../../base/abort.ts';
import { Errno } from '../../message/errno.ts';
import { type ChannelEvents, NOBODY, STAYS } from '../../transport/channel.ts';
import { LARGE_POOL, MUCH, ROOM } from '../../transport/read-sizes.ts';
import { SocketChannel } from '../../transport/socket-channel.ts';
import type { Connect } from '../ksock.ts';
import { findBus } from './find-bus.ts';
import { FramePort } from './frame-port.ts';
import { PortError } from './port.ts';

/** Memory to read into. Mostly it isn't used again, so the less there is of it, the sooner it is given back, still warm. */
const POOL = 128 * 1024;

/** Memory that many messages lie in: to transfer that of one to a worker would take it from the others. */
function receiveMemory(length: number): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(length);
  markAsUntransferable(bytes.buffer);
  return bytes;
}

/** How long what listens at a socket may take to say that it is KBUS, in milliseconds. */
const PATIENCE = 5000;

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

/**
 * What is read lies in memory side by side, so that a frame that comes in two reads is whole all the same. When all of
 * it was seen to, it is read to the same memory again, which is still warm.
 */
class ReadMemory {
  events: ChannelEvents = NOBODY;
  private pool: Uint8Array = receiveMemory(ROOM);
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
    const large = this.missing > MUCH;
    if (this.pool.length - this.at < ROOM || (large && this.pool.length < LARGE_POOL)) {
      this.pool = receiveMemory(large ? LARGE_POOL : POOL);
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
    const stays = this.isKept ? STAYS : (events.rewind?.(pool) ?? STAYS);
    if (stays === STAYS) this.isKept = true;
    this.at = stays < 0 ? at + length : stays;
    if (this.at !== at) this.isGiven = false;
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

/**
 * The way to a bus of this machine's daemon, which it looks for in the folder, or where daemons serve unless told
 * otherwise. Once it was found, it is always at that place. Who takes the connection must say that it is KBUS within so
 * many milliseconds.
 */
export function connectUnix(bus: number, directory?: string, patience = PATIENCE): Connect {
  let place = directory;
  return async (mode, events, signal) => {
    const attempt = new Attempt(signal, patience);
    try {
      const { directory: found, connected } = await findBus(bus, place, (path) =>
        openSocketInTurn(path, attempt),
      );
      const { socket, memory } = connected;
      const port = await FramePort.open(
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
          memory: (length) => Buffer.allocUnsafeSlow(length),
          readMemory: receiveMemory,
        },
        events,
        attempt.signal,
      );
      place = found;
      return port;
    } catch (error) {
      throw attempt.isLate ? attempt.lateError() : error;
    } finally {
      attempt.end();
    }
  };
}

/** One attempt to connect: its signal ends it when its time is over, or the caller's signal says so. */
class Attempt {
  isLate = false;
  private path = '';
  private readonly controller = new AbortController();
  private readonly given: AbortSignal | undefined;
  private readonly patience: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly giveUp = (): void => this.controller.abort();

  constructor(given: AbortSignal | undefined, patience: number) {
    this.given = given;
    this.patience = patience;
    if (given?.aborted) this.giveUp();
    else onAbort(given, this.giveUp);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The time begins, with each socket that is tried and once it is connected. */
  begin(path: string): void {
    clearTimeout(this.timer);
    this.path = path;
    // What came while this process was busy or stopped is read before it is late.
    this.timer = setTimeout(() => setImmediate(() => this.late()), this.patience);
  }

  private late(): void {
    if (this.timer === undefined || this.signal.aborted) return;
    this.isLate = true;
    this.giveUp();
  }

  lateError(): PortError {
    const { path, patience } = this;
    const why = `${path} did not answer within ${patience / 1000} s`;
    const refusal = new PortError(Errno.ETIMEDOUT, why);
    refusal.meaning =
      'the program that listens there says nothing; it is stopped, or it is not KBUS';
    return refusal;
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    offAbort(this.given, this.giveUp);
  }
}

/**
 * Connects as soon as the daemon can come to it: so many may do so at once that some must try again. Rejects with the
 * error of the system, or a PortError when the attempt is given up.
 */
async function openSocketInTurn(path: string, attempt: Attempt): Promise<Connected> {
  attempt.begin(path);
  for (;;) {
    let connected: Connected | null = null;
    try {
      connected = await openSocket(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, CROWDED));
    }
    if (attempt.signal.aborted) {
      connected?.socket.destroy();
      throw new PortError(Errno.ECANCELED);
    }
    if (connected === null) continue;
    attempt.begin(path);
    return connected;
  }
}
