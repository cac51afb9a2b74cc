import { offAbort, onAbort } from '../../base/abort.ts';
import { type Memory, plainMemory } from '../../base/memory.ts';
import { readU32 } from '../../base/u32.ts';
import { Errno } from '../../message/errno.ts';
import { EVENTS_VERSION } from '../../tap/events.ts';
import { bitsOf, type TapFilter } from '../../tap/filter.ts';
import { type Channel, type ChannelEvents, MEMORY_KEPT } from '../../transport/channel.ts';
import { wordsFrame } from '../../wire/frame.ts';
import { FrameReader } from '../../wire/frame-reader.ts';
import {
  FRAME_AT,
  FrameKind,
  MAX_GREETING_BYTES,
  ObserveDetail,
  ProtocolError,
} from '../../wire/protocol.ts';
import { Handshake } from './handshake.ts';
import { closedError, PortError } from './port.ts';
import { farewellOf } from './refused-frame.ts';

/** Where a tap gets its blocks of events from: a daemon, or a bus in this process. */
export interface EventSource {
  /** The next block; null: there is none now. */
  take(): Uint8Array | null;
  /**
   * Gets blocks as they come, while none waits. Its memory changes when it returns, unless it gives false. Null: blocks wait.
   * A source may let them wait in any case.
   */
  sink?: BlockSink | null;
  /** Called when there are blocks, and when the source has ended. */
  onChange: () => void;
  /** Why it has ended: no blocks come any more but those that are there. */
  readonly ended: PortError | null;
  /** Asks for the state of the bus again: `begin` follows. */
  restate(): void;
  /** Observes nothing more: when what happened until now was taken, the source has ended. */
  finish(): void;
  close(): void;
}

/** Takes a block; true if that was all, false if it reads the block still. */
export type BlockSink = (block: Uint8Array) => boolean;

/** What an observer asks for. */
export interface ObserveRequest {
  readonly filter: TapFilter;
  /** Bytes of events that may wait; 0: as usual. */
  readonly size: number;
  /** In place of what happens from now on: what the daemon has kept of so many milliseconds. */
  readonly past?: number | undefined;
}

export interface EventPortOptions {
  /** The process id and the name of the program, for the log of the daemon. */
  readonly pid: number;
  readonly program: string;
  /** Allocates memory to join frames in; need not be cleared. Default: plain arrays. */
  readonly readMemory?: Memory;
}

/** More blocks than this wait: the channel is paused. */
const MAX_WAITING_BLOCKS = 16;

/** A connection to a daemon that observes a bus, over a channel. */
export class EventPort implements EventSource, ChannelEvents {
  sink: BlockSink | null = null;
  onChange: () => void = () => {};
  ended: PortError | null = null;
  private readonly channel: Channel;
  private readonly request: ObserveRequest;
  private readonly handshake = new Handshake();
  private readonly reader: FrameReader;
  private blocks: Uint8Array[] = [];
  /** A block of the last bytes is still read. */
  private isKept = false;
  private isPaused = false;
  private isFinishing = false;

  private constructor(channel: Channel, request: ObserveRequest, readMemory: Memory) {
    this.channel = channel;
    this.request = request;
    this.reader = new FrameReader(MAX_GREETING_BYTES, readMemory);
  }

  /**
   * Observes over a channel; resolves with the daemon's WELCOME. Rejects with a PortError: EACCES without the right to
   * observe, EPROTO for a daemon of another version, ECONNRESET if the channel closes.
   */
  static async open(
    connect: (events: ChannelEvents) => Channel,
    request: ObserveRequest,
    { pid, program, readMemory = plainMemory }: EventPortOptions,
    signal?: AbortSignal,
  ): Promise<EventPort> {
    const waiting: ChannelEvents = {
      received: (bytes, from, to) => port.received(bytes, from, to),
      rewind: (memory) => port.rewind(memory),
      drained: () => {},
      closed: (error) => port.closed(error),
    };
    const port: EventPort = new EventPort(connect(waiting), request, readMemory);
    const giveUp = (): void => port.end(new PortError(Errno.ECANCELED));
    onAbort(signal, giveUp);
    try {
      const hello = { mode: 'r', pid, program, observe: true } as const;
      await port.handshake.begin(hello, { frame: (bytes) => port.channel.write([bytes]) });
    } finally {
      offAbort(signal, giveUp);
    }
    return port;
  }

  take(): Uint8Array | null {
    const block = this.blocks.shift() ?? null;
    if (this.isPaused && this.blocks.length < MAX_WAITING_BLOCKS / 2) {
      this.isPaused = false;
      this.channel.resume();
    }
    return block;
  }

  restate(): void {
    if (this.ended !== null) return;
    this.channel.write([wordsFrame(FrameKind.OBSERVE, ObserveDetail.STATE_AGAIN, 0, 0, [])]);
  }

  finish(): void {
    if (this.ended !== null || this.isFinishing) return;
    this.isFinishing = true;
    this.channel.write([wordsFrame(FrameKind.OBSERVE, ObserveDetail.LAST, 0, 0, [])]);
  }

  close(): void {
    this.blocks = [];
    this.end(closedError());
  }

  // Events of the channel

  received(bytes: Uint8Array, from: number, to: number): number {
    const before = this.blocks.length;
    try {
      this.reader.push(bytes, from, to);
      while (this.ended === null && this.reader.read()) this.frame(this.reader);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const refusal = new PortError(Errno.EPROTO, error.message, error);
      if (this.handshake.isOpening) refusal.meaning = 'the program that listens there is not kbus';
      this.end(refusal);
    }
    if (this.blocks.length > MAX_WAITING_BLOCKS && !this.isPaused) {
      this.isPaused = true;
      this.channel.pause();
    }
    if (this.blocks.length > before) this.onChange();
    return this.reader.missing;
  }

  rewind(memory: Uint8Array): number {
    const { isKept } = this;
    this.isKept = false;
    return isKept ? MEMORY_KEPT : this.reader.rewind(memory);
  }

  drained(): void {}

  closed(error: Error | null): void {
    if (this.isFinishing && error === null && this.reader.isBetweenFrames) {
      this.end(closedError());
      return;
    }
    const cut = this.reader.isBetweenFrames ? '' : 'the connection ended in the middle of an event';
    this.end(new PortError(Errno.ECONNRESET, error?.message ?? cut, error ?? undefined));
  }

  private end(refusal: PortError): void {
    if (this.ended !== null) return;
    this.ended = refusal;
    this.channel.end();
    if (this.handshake.isOpening) this.handshake.failed(refusal);
    else this.onChange();
  }

  private frame(frame: FrameReader): void {
    const { at, bytes, length } = frame;
    const kind = readU32(bytes, at + FRAME_AT.kind) >>> 24;
    switch (kind) {
      case FrameKind.EVENTS:
        this.events(bytes.subarray(at, at + length));
        break;
      case FrameKind.WELCOME:
        this.welcomed(frame);
        break;
      case FrameKind.FAREWELL:
        this.end(farewellOf(frame));
        break;
      default:
        throw new ProtocolError(`a frame of kind ${kind}, which an observer doesn't get`);
    }
  }

  private events(block: Uint8Array): void {
    const { sink } = this;
    if (sink !== null && this.blocks.length === 0) {
      if (!sink(block)) this.isKept = true;
      return;
    }
    this.isKept = true;
    this.blocks.push(block);
  }

  private welcomed(frame: FrameReader): void {
    const welcome = this.handshake.read(frame);
    if (welcome instanceof PortError) {
      this.end(welcome);
      return;
    }
    if (welcome.ksockId !== 0) {
      const refusal = new PortError(Errno.EPROTO, 'the daemon opened a Ksock instead');
      refusal.meaning = 'the daemon is older than this program, and can not be observed';
      this.end(refusal);
      return;
    }
    this.reader.maxLength = welcome.maxFrame;
    const { filter, past, size } = this.request;
    if (past !== undefined) {
      this.isFinishing = true;
      this.channel.write([
        wordsFrame(FrameKind.OBSERVE, ObserveDetail.PAST, 0, 0, [EVENTS_VERSION, past]),
      ]);
      this.handshake.done();
      return;
    }
    const words = [EVENTS_VERSION, bitsOf(filter.kinds), filter.data, size];
    const names = filter.names?.join(' ') ?? '';
    this.channel.write([wordsFrame(FrameKind.OBSERVE, 0, 0, 0, words, names)]);
    this.handshake.done();
  }
}
