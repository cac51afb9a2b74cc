import { systemTimers, type Timer, type Timers } from '../base/timers.ts';
import type { Bus } from '../bus/bus.ts';
import type { Identity } from '../bus/identity.ts';
import type { Holder, Share } from '../bus/memory.ts';
import { COSTS, costOfBinding } from '../bus/settings.ts';
import { Errno } from '../message/errno.ts';
import { BusTap } from '../tap/bus-tap.ts';
import { BLOCK_HEADROOM } from '../tap/event-writer.ts';
import { EVENTS_VERSION } from '../tap/events.ts';
import { faultOfNames, kindsOf } from '../tap/filter.ts';
import { sizeOf } from '../tap/limits.ts';
import { ANSWERS_BYTES } from '../tap/name-filter.ts';
import type { Channel } from '../transport/channel.ts';
import { textOf, wordOf, writeFrameHeader } from '../wire/frame.ts';
import type { FrameReader } from '../wire/frame-reader.ts';
import { FRAME_AT, FrameKind, ObserveDetail, ProtocolError } from '../wire/protocol.ts';
import { EndingError } from './ending-error.ts';
import type { History } from './history.ts';
import type { Outbox } from './outbox.ts';

/** Events leave together when there are so many bytes of them, or after so many milliseconds. */
const DUE_BYTES = 128 * 1024;
const MAX_DELAY_MS = 10;

/** With a larger backlog, further events wait in the tap, where they are counted and may be lost. */
const MAX_BACKLOG_BYTES = 128 * 1024;

/** Bytes of an EVENTS frame beside the data of the largest message. */
const FRAME_SLACK_BYTES = 512 * 1024;

/** Memory that a tap may take at a time. */
const STEP_BYTES = 256 * 1024;

/** Memory that one who looks back may hold while it does not read: it counts from the beginning. */
const PAST_BYTES = 512 * 1024;

/** Microseconds in a millisecond. */
const MICROSECONDS = 1000;

/** The daemon's side of a connection that observes a bus: what it asks for, and the events that it is sent. */
export class Observation implements Holder {
  readonly id = 0;
  readonly numMessages = 0;
  readonly who: Identity;
  readonly share: Share;
  /** Bytes that it holds. */
  held = 0;
  private readonly bus: Bus;
  private readonly channel: Channel;
  private readonly outbox: Outbox;
  private readonly changed: () => void;
  private readonly timers: Timers;
  private readonly flush: () => void;
  private readonly history: () => History | null;
  private tap: BusTap | null = null;
  /** What is left of the past that the client asked for; null unless it did. */
  private past: Uint8Array[] | null = null;
  /** The last block that went to the outbox, while the tap's memory may still be read there. */
  private last: Uint8Array | null = null;
  /** What its filter takes. */
  private filterBytes = 0;
  private timer: Timer | undefined;
  private isDue = false;
  private isEnding = false;

  /** Calls `changed` when there is something to send. */
  constructor(
    host: {
      readonly flushes: { flush(): void };
      readonly timers?: Timers;
      historyOf?(bus: Bus): History | null;
    },
    bus: Bus,
    channel: Channel,
    outbox: Outbox,
    share: Share,
    who: Identity,
    changed: () => void,
  ) {
    this.bus = bus;
    this.channel = channel;
    this.outbox = outbox;
    this.share = share;
    this.who = who;
    share.observers.add(this);
    this.changed = changed;
    this.timers = host.timers ?? systemTimers;
    this.flush = () => host.flushes.flush();
    this.history = () => host.historyOf?.(bus) ?? null;
  }

  /** For WELCOME, in bytes. */
  get longestFrame(): number {
    return this.bus.settings.absoluteMaxMessageSize + FRAME_SLACK_BYTES;
  }

  /** Handles a frame: the only one is OBSERVE. */
  frame(frame: FrameReader): void {
    const kind = frame.bytes[frame.at + FRAME_AT.kind] as number;
    const detail = frame.bytes[frame.at + FRAME_AT.detail] as number;
    if (kind === FrameKind.OBSERVE && this.tap !== null && detail !== 0) {
      this.more(this.tap, detail);
      return;
    }
    const isFirst = this.tap === null && this.past === null;
    if (kind === FrameKind.OBSERVE && isFirst && detail === ObserveDetail.PAST) {
      this.lookBack(frame);
      return;
    }
    if (kind !== FrameKind.OBSERVE || !isFirst || detail !== 0) {
      throw new ProtocolError(`a client that observes must send one OBSERVE, and no ${kind}`);
    }
    checkVersion(wordOf(frame, 0));
    const text = textOf(frame, 4);
    const names = text === '' ? null : text.split(' ');
    const fault = faultOfNames(names ?? []);
    if (fault !== '') throw new ProtocolError(`an OBSERVE with ${fault}`);
    let filterBytes = names === null ? 0 : ANSWERS_BYTES;
    for (const name of names ?? []) filterBytes += costOfBinding(name);
    this.mustHaveRoom(filterBytes, 'to observe so many names');
    this.filterBytes = filterBytes;
    const kinds = kindsOf(wordOf(frame, 1));
    const data = Math.min(wordOf(frame, 2), this.bus.settings.absoluteMaxMessageSize);
    const began = this.timers.now();
    const options = {
      filter: { names, kinds, data },
      size: sizeOf(wordOf(frame, 3)),
      startedAt: Date.now(),
    };
    this.tap = new BusTap(this.bus, options, {
      now: () => Math.floor((this.timers.now() - began) * MICROSECONDS),
      hasEvents: () => this.delay(),
      hasBlock: () => {
        if ((this.tap?.held ?? 0) >= DUE_BYTES) this.due();
      },
    });
    // If there is no memory for it, it begins when there is some.
    this.hold(0);
    this.goOn();
  }

  private lookBack(frame: FrameReader): void {
    checkVersion(wordOf(frame, 0));
    const history = this.history();
    if (history === null) {
      throw new EndingError(
        Errno.EINVAL,
        'this daemon keeps no history: start it with --history 4MiB',
      );
    }
    this.mustHaveRoom(PAST_BYTES, 'for a look at the past');
    this.past = history.past(wordOf(frame, 1));
    this.hold(0);
    this.isEnding = true;
    this.due();
  }

  private mustHaveRoom(bytes: number, why: string): void {
    const { memory } = this.share;
    if (bytes === 0 || this.hasRoomFor(bytes)) return;
    throw new EndingError(Errno.ENOMEM, `no memory is free ${why}: ${memory.says}`);
  }

  private more(tap: BusTap, detail: number): void {
    if (detail === ObserveDetail.LAST) {
      tap.end();
      this.isEnding = true;
      this.due();
      return;
    }
    if (detail !== ObserveDetail.STATE_AGAIN) {
      throw new ProtocolError(`an OBSERVE with the unknown detail ${detail}`);
    }
    tap.restate();
    this.goOn();
  }

  /** Few events: others may follow soon. */
  private delay(): void {
    if (this.timer !== undefined) return;
    this.timer = this.timers.setTimeout(() => {
      this.timer = undefined;
      this.due();
      this.flush();
    }, MAX_DELAY_MS);
  }

  private due(): void {
    this.isDue = true;
    this.changed();
  }

  /** Passes events to the outbox, while the client reads. */
  send(): void {
    const { channel, outbox, past, tap } = this;
    if (tap?.mustGoOn) this.goOn();
    if (this.last !== null && channel.backlog + outbox.unsentBytes === 0) {
      tap?.release(this.last);
      this.last = null;
    }
    if (!this.isDue) return;
    while (channel.backlog + outbox.unsentBytes <= MAX_BACKLOG_BYTES) {
      const block = past?.shift() ?? tap?.take() ?? null;
      if (tap !== null) this.last = block ?? this.last;
      if (block === null) {
        this.isDue = false;
        return;
      }
      const view = new DataView(block.buffer, block.byteOffset, BLOCK_HEADROOM);
      writeFrameHeader(view, 0, block.length, FrameKind.EVENTS, 0, 0, 0);
      outbox.frame(block);
    }
  }

  /** The client wanted no more, and all was sent. */
  get isOver(): boolean {
    return this.isEnding && (this.past === null ? this.tap?.held === 0 : this.past.length === 0);
  }

  /** Continues the snapshot. */
  goOn(): void {
    const { tap } = this;
    if (tap === null) return;
    tap.goOn();
    if (tap.held > 0) this.due();
  }

  /** There is more to send, or to write, in the next turn. */
  get isPutOff(): boolean {
    if (this.tap?.mustGoOn) return true;
    return this.isDue && this.channel.backlog <= MAX_BACKLOG_BYTES;
  }

  hasRoomFor(bytes: number): boolean {
    return this.share.hasRoom(this.held + bytes, bytes);
  }

  /** Counts what is kept for the client: so many bytes, and the memory in which events wait. */
  hold(bytes: number): void {
    const { past, share, tap } = this;
    const unread = past === null ? bytes : Math.max(bytes, PAST_BYTES);
    const held = COSTS.ksock + this.filterBytes + unread + (tap?.memory ?? 0);
    share.hold(held - this.held);
    this.held = held;
    if (tap !== null) tap.isSqueezed = !share.hasRoom(held, STEP_BYTES);
  }

  /** The connection has ended, and keeps nothing any more. */
  letGo(): void {
    this.share.hold(-this.held);
    this.share.observers.delete(this);
    this.held = 0;
  }

  stop(): void {
    this.timers.clearTimeout(this.timer);
    this.tap?.stop();
    this.tap = null;
    this.past = null;
  }
}

function checkVersion(version: number): void {
  if (version === EVENTS_VERSION) return;
  throw new ProtocolError(
    `the client reads events of version ${version}, the daemon has version ${EVENTS_VERSION}; use the same version of the kbus package for both`,
  );
}
