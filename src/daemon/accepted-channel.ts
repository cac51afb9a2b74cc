import type { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Deadlines } from '../base/deadlines.ts';
import { type ChannelEvents, NO_LISTENER } from '../transport/channel.ts';
import {
  LARGE_POOL_BYTES,
  LARGE_REST_BYTES,
  MIN_READ_BYTES,
  POOL_BYTES,
} from '../transport/read-sizes.ts';
import { SocketChannel } from '../transport/socket-channel.ts';
import { StalledWrites } from '../transport/stalled-writes.ts';
import type { Departures } from './departures.ts';
import { type ReadTarget, readInto } from './read-into.ts';
import type { Borrower, ReceiveBuffers } from './receive-buffers.ts';

/** The longest read into a connection's own pool. */
const MAX_POOL_READ_BYTES = 256 * 1024;

/** A connection whose read had so many bytes is likely to have as much again. */
const STREAM_READ_BYTES = 32 * 1024;

/** The size of the pool for a frame of which so many bytes are missing. */
const largePool = (missing: number): number =>
  Math.min(LARGE_POOL_BYTES, Math.max(POOL_BYTES, missing + MIN_READ_BYTES));

/** The daemon's end of a Unix socket. */
export class AcceptedChannel extends SocketChannel {
  private readonly leaving: Deadlines<Socket>;
  private readonly departures: Departures;
  private readonly receiver: Receiver;
  /** Null until the peer first did not read. */
  private stalled: StalledWrites | null = null;
  private events: ChannelEvents = NO_LISTENER;

  /**
   * `leaving` has the deadline of each peer that is to read its last bytes before its connection ends; `departures` says
   * when to close that of a peer that has ended. The server must allow connections that are half open.
   */
  constructor(
    socket: Socket,
    buffers: ReceiveBuffers,
    leaving: Deadlines<Socket>,
    departures: Departures,
  ) {
    super(socket);
    this.leaving = leaving;
    this.departures = departures;
    const receiver = new Receiver(buffers);
    this.receiver = receiver;
    receiver.use = readInto(socket, receiver);
    if (receiver.use === null) socket.on('data', (chunk: Buffer) => receiver.received(chunk));
  }

  /** Starts to report events. */
  open(events: ChannelEvents): void {
    const { socket } = this;
    let failure: Error | null = null;
    this.events = events;
    this.receiver.events = events;
    socket.on('error', (error) => {
      failure = error;
      this.departures.closedAnother();
    });
    socket.on('end', () => this.departures.add(() => this.depart()));
    socket.on('close', () => {
      this.leaving.end(socket);
      this.receiver.close();
      events.closed(failure);
    });
  }

  override write(pieces: readonly Uint8Array[], written?: () => void): void {
    const { socket } = this;
    if (socket.destroyed) return;
    if (socket.writableLength > 0) {
      super.write(pieces, this.waiting.begin(pieces, written));
      return;
    }
    super.write(pieces, this.wrote);
    if (socket.writableLength > 0) this.waiting.beginFirst(pieces, written);
    else written?.();
  }

  private readonly wrote = (): void => this.stalled?.wrote();

  private get waiting(): StalledWrites {
    this.stalled ??= new StalledWrites(this.socket, () => this.events.drained());
    return this.stalled;
  }

  get held(): number {
    return this.receiver.unused + (this.stalled?.held ?? 0);
  }

  /** The peer has ended: closes the connection when it has read what was sent, or has not by its deadline. */
  private depart(): void {
    if (this.socket.writableLength > 0) this.end();
    else this.socket.destroy();
  }

  override end(): void {
    if (!this.socket.destroyed) this.leaving.begin(this.socket);
    super.end();
  }
}

/**
 * Receives the bytes of one connection: into the shared scratch buffer, or into a pool of its own while a large frame is
 * incomplete, or much comes at once.
 */
class Receiver implements ReadTarget, Borrower {
  events: ChannelEvents = NO_LISTENER;
  /** Replaces the buffer between two reads. */
  use: ((buffer: Uint8Array) => void) | null = null;
  private readonly buffers: ReceiveBuffers;
  /** The connection's own memory. */
  private pool: Uint8Array | null = null;
  /** It has the pool because a large frame is incomplete. */
  private isLarge = false;
  /** It has the pool because much comes at once. */
  private isStream = false;
  private at = 0;
  private isMoved = true;
  /** How many of the next bytes nobody will look at. */
  private toDrop = 0;
  /** Bytes of a pool in which nothing was received yet. */
  unused = 0;
  /** The next byte's offset in the stream, modulo 4. Memory keeps it, so that names lie aligned: that is faster to read. */
  private phase = 0;

  constructor(buffers: ReceiveBuffers) {
    this.buffers = buffers;
  }

  readonly buffer = (): Uint8Array | undefined => {
    if (!this.isMoved) return undefined;
    const { at, pool } = this;
    this.isMoved = pool !== null;
    return pool === null ? this.buffers.scratch : pool.subarray(at, at + MAX_POOL_READ_BYTES);
  };

  readonly callback = (length: number): boolean => {
    const { at, buffers, pool } = this;
    let missing: number;
    if (pool === null && length <= this.toDrop) {
      missing = this.events.received(buffers.scratch, 0, length);
    } else if (pool === null) {
      const kept = buffers.keep(length, this.phase);
      missing = this.events.received(kept.bytes, kept.at, kept.at + length);
    } else {
      this.at += length;
      this.unused = 0;
      missing = this.events.received(pool, at, at + length);
    }
    this.phase = (this.phase + length) & 3;
    this.toDrop = Math.max(0, -missing);
    const wasLarge = this.isLarge;
    this.isLarge = wasLarge ? missing > 0 : length > LARGE_REST_BYTES && missing > LARGE_REST_BYTES;
    this.setStream(!this.isLarge && length >= STREAM_READ_BYTES);
    if (!this.isLarge && !this.isStream) {
      this.leavePool();
    } else if (
      pool === null ||
      pool.length - this.at < MIN_READ_BYTES ||
      // What a connection keeps while it is idle must be small.
      (wasLarge && !this.isLarge)
    ) {
      this.leavePool();
      this.pool = buffers.pool(this.isLarge ? largePool(missing) : POOL_BYTES);
      this.at = this.phase;
      this.isMoved = true;
      if (this.isLarge) {
        this.unused = this.pool.length;
        this.events.heldMore?.();
      }
    }
    buffers.onHandled();
    return true;
  };

  private leavePool(): void {
    if (this.pool !== null) this.buffers.leave(this.pool, this.events);
    this.pool = null;
  }

  private setStream(is: boolean): void {
    const { buffers, isStream } = this;
    if (is) {
      this.isStream = buffers.lend(this);
    } else if (isStream) {
      buffers.takeBack(this);
      this.isStream = false;
    }
  }

  /** Between two reads of this connection. */
  recalled(): void {
    this.isStream = false;
    this.leavePool();
    this.isMoved = false;
    this.use?.(this.buffers.scratch);
  }

  close(): void {
    this.setStream(false);
    this.leavePool();
  }

  /** A chunk in memory that Node allocated. */
  received(chunk: Uint8Array): void {
    this.events.received(chunk, 0, chunk.length);
    this.buffers.onHandled();
  }
}
