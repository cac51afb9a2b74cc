import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import type { Deadlines } from '../base/deadlines.ts';
import { type ChannelEvents, NO_LISTENER } from '../transport/channel.ts';
import { LARGE_POOL_BYTES, LARGE_REST_BYTES, MIN_READ_BYTES } from '../transport/read-sizes.ts';
import { SocketChannel } from '../transport/socket-channel.ts';
import { type Reads, readInto } from './read-into.ts';
import type { ReceiveBuffers } from './receive-buffers.ts';

/** Into memory of its own, a connection reads no more at once. */
const MOST = 256 * 1024;

/** The daemon's end of a Unix socket. */
export class AcceptedChannel extends SocketChannel {
  private readonly leaving: Deadlines<Socket>;
  private readonly reading: Reading;

  /** `leaving` has patience with a peer that doesn't read what it was sent before the end. */
  constructor(socket: Socket, intake: ReceiveBuffers, leaving: Deadlines<Socket>) {
    super(socket);
    this.leaving = leaving;
    const reading = new Reading(intake);
    this.reading = reading;
    if (!readInto(socket, reading)) socket.on('data', (chunk: Buffer) => reading.came(chunk));
  }

  /** Begins to tell what comes. */
  open(events: ChannelEvents): void {
    const { socket } = this;
    let failure: Error | null = null;
    this.reading.events = events;
    socket.on('drain', () => events.drained());
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      this.leaving.end(socket);
      events.closed(failure);
    });
  }

  override end(): void {
    if (!this.socket.destroyed) this.leaving.begin(this.socket);
    super.end();
  }
}

/** What one connection reads, and where to. */
class Reading implements Reads {
  events: ChannelEvents = NO_LISTENER;
  private readonly intake: ReceiveBuffers;
  /** Memory of its own, while much is known to come. */
  private pool: Uint8Array | null = null;
  private at = 0;
  private isMoved = true;
  /** How many bytes behind a multiple of 4 the next one is that comes: so they lie in memory too, as names are best read. */
  private phase = 0;

  constructor(intake: ReceiveBuffers) {
    this.intake = intake;
  }

  /** Where to read to next, as Node asks for it; undefined: to where it was read last. */
  readonly buffer = (): Uint8Array | undefined => {
    if (!this.isMoved) return undefined;
    const { at, pool } = this;
    this.isMoved = pool !== null;
    return pool === null ? this.intake.scratch : pool.subarray(at, at + MOST);
  };

  /** So many bytes were read there. */
  readonly callback = (length: number): boolean => {
    const { at, intake, pool } = this;
    let missing: number;
    if (pool === null) {
      const kept = intake.keep(length, this.phase);
      missing = this.events.received(kept.bytes, kept.at, kept.at + length);
    } else {
      this.at += length;
      missing = this.events.received(pool, at, at + length);
    }
    this.phase = (this.phase + length) & 3;
    const isLarge =
      pool === null ? length > LARGE_REST_BYTES && missing > LARGE_REST_BYTES : missing > 0;
    if (!isLarge) {
      this.pool = null;
    } else if (pool === null || pool.length - this.at < MIN_READ_BYTES) {
      this.pool = Buffer.allocUnsafeSlow(LARGE_POOL_BYTES);
      this.at = this.phase;
      this.isMoved = true;
    }
    intake.came();
    return true;
  };

  /** Bytes came where Node has put them. */
  came(chunk: Uint8Array): void {
    this.events.received(chunk, 0, chunk.length);
    this.intake.came();
  }
}
