import { offAbort, onAbort } from '../base/abort.ts';
import { checkOptions } from '../base/options.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { EventError, EventReader } from '../tap/event-reader.ts';
import type { TapEvent } from '../tap/events.ts';
import { faultOfNames, KINDS, type SeenKind } from '../tap/filter.ts';
import { MAX_SIZE } from '../tap/limits.ts';
import { explain } from './explain.ts';
import { mustBe } from './options.ts';
import type { EventSource, ObserveRequest } from './ports/event-port.ts';
import { PortError } from './ports/port.ts';

/**
 * What to observe.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, observe, type SeenKind, type TapOptions } from 'kbus';
 *
 * const kinds: readonly SeenKind[] = ['announcement'];
 * const options: TapOptions = { names: '$.Door.*', kinds, data: 2 };
 * const bus = new Bus();
 * const tap = await observe(bus, options);
 * const ksock = await Ksock.open(bus);
 * await ksock.sendMsg(new Announcement('$.Door.Front', 'open'));
 * await ksock.sendMsg(new Announcement('$.Temp', '20'));
 * tap.finish();
 * for await (const event of tap) {
 *   if (event.type !== 'messages') continue;
 *   for (const message of event.messages) {
 *     console.log(message.name, message.text(), message.wholeLength); // → $.Door.Front op 4
 *   }
 * }
 * await ksock.close();
 * ```
 */
export interface TapOptions {
  /** Show only messages with these names; wildcards are allowed. Default: all. */
  names?: string | readonly string[] | undefined;
  /** Show only messages of these kinds. Default: all. */
  kinds?: readonly SeenKind[] | undefined;
  /** Show the data of messages: all of it (true, the default), none (false), or at most this many bytes. */
  data?: boolean | number | undefined;
  /**
   * How many bytes of events may wait until the program reads them; further ones are lost, and counted. From 256 KiB to
   * 64 MiB; the data of one message takes a fourth at most. Default: 4 MiB.
   */
  buffer?: number | undefined;
  /** Cancels the opening, and ends the iteration: both reject with the signal's reason. */
  signal?: AbortSignal | undefined;
}

const TAP_OPTIONS: readonly string[] = ['names', 'kinds', 'data', 'buffer', 'signal'];

const ALL_DATA = 0xffff_ffff;

/** Checks options, of which there may be `more`. Throws a TypeError for a wrong one, and EINVAL for a name that is none. */
export function requestOf(options: TapOptions, more: readonly string[] = []): ObserveRequest {
  checkOptions('observe', options, new Set([...TAP_OPTIONS, ...more]));
  const { names, kinds = KINDS, data = true, buffer = 0 } = options;
  const list = typeof names === 'string' ? [names] : names;
  if (list !== undefined) {
    if (!Array.isArray(list)) {
      throw new TypeError(`names must be an array of names, or a name, not ${typeof list}`);
    }
    for (const name of list) mustBe('string', 'names', name);
    const fault = faultOfNames(list);
    if (fault !== '') {
      throw new KbusError('observe', Errno.EBADMSG, 'observe a bus', { meaning: fault });
    }
  }
  if (!Array.isArray(kinds) || !kinds.every((kind) => KINDS.includes(kind))) {
    throw new TypeError(`kinds must be an array of ${KINDS.map((one) => `'${one}'`).join(', ')}`);
  }
  if (typeof data !== 'boolean' && !isWhole(data, ALL_DATA)) {
    throw new TypeError(`data must be true, false, or a number of bytes, not ${String(data)}`);
  }
  if (!isWhole(buffer, MAX_SIZE)) {
    throw new TypeError(`buffer must be a number of bytes up to ${MAX_SIZE}, not ${buffer}`);
  }
  return {
    filter: {
      names: list === undefined || list.length === 0 ? null : list,
      kinds,
      data: typeof data === 'number' ? data : data ? ALL_DATA : 0,
    },
    size: buffer,
  };
}

function isWhole(value: number, most: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/**
 * Shows what happens on a bus, in order: `for await (const event of tap)`. It is no Ksock, and changes nothing on the bus.
 * The first event is `begin`; the whole state of the bus follows, and what happens. A program that reads too slowly gets a
 * `lost` in place of what it missed, and the state again.
 *
 * The iteration ends when the tap is closed, and leaving it closes the tap. It throws a {@link KbusError} when the
 * connection is lost (ECONNRESET).
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, observe, type Tap } from 'kbus';
 *
 * const bus = new Bus();
 * const tap: Tap = await observe(bus);
 * const ksock = await Ksock.open(bus);
 * await ksock.sendMsg(new Announcement('$.Door', 'open'));
 * tap.finish();
 * let count = 0;
 * for await (const events of tap.batches()) count += events.length;
 * console.log(count); // → 5
 * await ksock.close();
 * ```
 */
export class Tap implements AsyncIterable<TapEvent>, AsyncDisposable {
  /** @internal */
  readonly source: EventSource;
  private readonly target: string;
  private readonly signal: AbortSignal | undefined;
  private readonly reader = new EventReader();
  private wake: () => void = () => {};
  private readonly abort = (): void => this.wake();

  /** @internal */
  constructor(source: EventSource, target: string, signal?: AbortSignal) {
    this.source = source;
    this.target = target;
    this.signal = signal;
    source.onChange = () => this.wake();
    onAbort(signal, this.abort);
  }

  /** The events one by one. */
  async *[Symbol.asyncIterator](): AsyncGenerator<TapEvent, void, void> {
    for await (const events of this.batches()) yield* events;
  }

  /** The same events, as many at a time as have come: for programs that handle very many. */
  async *batches(): AsyncGenerator<readonly TapEvent[], void, void> {
    try {
      for (let events = await this.next(); events !== null; events = await this.next()) {
        yield events;
      }
    } finally {
      this.close();
    }
  }

  /** @internal The next events; null when the tap was closed. */
  async next(): Promise<readonly TapEvent[] | null> {
    const block = await this.nextBlock();
    return block === null ? null : this.eventsOf(block);
  }

  /** @internal The events of a block. */
  eventsOf(block: Uint8Array): readonly TapEvent[] {
    try {
      return this.reader.read(block);
    } catch (error) {
      throw this.broken(error);
    }
  }

  /** @internal The error for a block that could not be read, which closes the tap. */
  broken(error: unknown): unknown {
    this.close();
    if (!(error instanceof EventError)) return error;
    return explain('observe', new PortError(Errno.EPROTO, error.message, error), this.what);
  }

  /** @internal The next block of events as bytes; null when the tap was closed. */
  async nextBlock(): Promise<Uint8Array | null> {
    for (;;) {
      if (this.signal?.aborted) this.close();
      this.signal?.throwIfAborted();
      const block = this.source.take();
      if (block !== null) return block;
      const { ended } = this.source;
      if (ended?.isClosed) return null;
      if (ended !== null) throw explain('observe', ended, this.what);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private get what(): string {
    return `observe ${this.target}`;
  }

  /** Asks for the state of the bus again: `begin` follows. */
  restate(): void {
    this.source.restate();
  }

  /** Observes nothing more: the iteration gives what happened until now, and ends. */
  finish(): void {
    this.source.finish();
  }

  /** Stops observing, and drops what was not read. */
  close(): void {
    offAbort(this.signal, this.abort);
    this.source.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
