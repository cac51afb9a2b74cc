import type { Cursor } from '../base/chain.ts';
import type { Bus } from '../bus/bus.ts';
import type { KsockBinding, KsockState } from '../bus/ksock-state.ts';
import type { MessageBatch } from '../bus/message-batch.ts';
import type { BusObserver } from '../bus/observer.ts';
import type { RequestRecord } from '../bus/requests.ts';
import { ATTEMPTS, type Attempt, SETTINGS, type Setting } from '../message/calls.ts';
import { eventParts, isCut, mostBytesOf, shownParts, writeRecords } from './batch-records.ts';
import { EventWriter, encodedText, MOST_FIELDS } from './event-writer.ts';
import { Code, EVENTS_VERSION } from './events.ts';
import { bitsOf, type TapFilter } from './filter.ts';
import { NameFilter } from './name-filter.ts';

/** What a tap needs of its driver. */
export interface TapHost {
  /** Microseconds since the tap began; whole, and never less than before. */
  now(): number;
  /** There is something to take, for the first time since `take` gave the last. */
  hasEvents(): void;
  /** A block is complete. */
  hasBlock(): void;
}

export interface BusTapOptions {
  readonly filter: TapFilter;
  /** How many bytes of events may wait to be taken. */
  readonly size: number;
  /** Milliseconds since 1970 when the tap began. */
  readonly startedAt: number;
}

/** A message's data takes at most this part of what may wait: see {@link BusTapOptions.size}. */
const MOST_DATA_PART = 1 / 4;

/** A snapshot is written while less than this part of what may wait is waiting. */
const SNAPSHOT_PART = 1 / 2;

const ANNOUNCEMENT_BIT = bitsOf(['announcement']);
const REQUEST_BIT = bitsOf(['request']);
const REPLY_BIT = bitsOf(['reply']);
const STATUS_BIT = bitsOf(['status']);

/** An event costs about as much as so many deliveries, and as one more for each 512 bytes. */
const EVENT_STEPS = 2;
const BYTES_PER_STEP_BITS = 9;

/**
 * Events of one delivery have one time, that at which it began: it is over in a moment, and to read a clock takes as long as
 * to write an event.
 */
const OF_DELIVERY: ReadonlySet<number> = new Set([
  Code.MESSAGES,
  Code.SENT,
  Code.QUEUED,
  Code.MISSED,
  Code.ANSWERED,
]);

/** What a filter shows of a batch. */
const Shown = { NONE: 0, ALL: 1, SOME: 2 } as const;

/**
 * Observes a bus, and writes what happens as events for one reader, who takes them in blocks. What waits to be taken is
 * bounded: further events are lost, and counted. When the reader has taken half of what waited, it gets their number and
 * a new snapshot. The bus never waits.
 */
export class BusTap implements BusObserver {
  private readonly bus: Bus;
  private readonly host: TapHost;
  private readonly startedAt: number;
  private readonly size: number;
  private readonly mostData: number;
  private readonly kinds: number;
  private readonly names: NameFilter | null;
  private readonly writer = new EventWriter((block) => this.finished(block));
  private readonly stopWatching: () => void;
  private blocks: Uint8Array[] = [];
  private blockBytes = 0;
  /** Bytes of the writer's former memory, in which blocks still wait. */
  private formerBytes = 0;
  private isNoted = false;
  /** Set by the driver: there is no memory for more. */
  isSqueezed = false;
  private isLosing = false;
  private lostEvents = 0;
  private lostMessages = 0;
  /** What the snapshot has not come to yet; null when it is complete. */
  private ksocks: Cursor<KsockState> | null = null;
  private bindings: Cursor<KsockBinding> | null = null;
  private mustBegin = true;
  /** When the last event happened. */
  private time = 0;
  /** The batch whose messages were written last. */
  private current: MessageBatch | null = null;
  /** The messages that wait for room, which were written: by sender. */
  private readonly waitingOf = new Map<KsockState, MessageBatch>();

  constructor(bus: Bus, { filter, size, startedAt }: BusTapOptions, host: TapHost) {
    this.bus = bus;
    this.host = host;
    this.startedAt = startedAt;
    this.size = size;
    this.mostData = Math.min(filter.data, Math.floor(size * MOST_DATA_PART));
    this.kinds = bitsOf(filter.kinds);
    this.names = filter.names === null ? null : new NameFilter(filter.names, bus.work);
    this.stopWatching = bus.watch(this);
  }

  /** Observes nothing more; what waits can still be taken. */
  end(): void {
    this.stopWatching();
    if (this.isLosing) this.tellOfLoss();
    this.mustBegin = false;
    this.ksocks = null;
    this.bindings = null;
  }

  stop(): void {
    this.stopWatching();
    this.blocks = [];
    this.blockBytes = 0;
    this.formerBytes = 0;
  }

  // What the driver calls

  /** Bytes that wait to be taken. */
  get held(): number {
    return this.blockBytes + this.writer.unfinished;
  }

  /** Bytes of the memory that it keeps for them. */
  get memory(): number {
    return this.writer.kept + this.formerBytes;
  }

  /** The next block, with room for a header at its front; null if there is none. */
  take(): Uint8Array | null {
    if (this.blocks.length === 0) this.writer.finish();
    const block = this.blocks.shift() ?? null;
    if (block === null) {
      this.isNoted = false;
      return null;
    }
    this.blockBytes -= block.length;
    const { buffer } = block;
    const isLastThere = this.blocks[0]?.buffer !== buffer;
    if (isLastThere && buffer !== this.writer.bytes.buffer) this.formerBytes -= buffer.byteLength;
    return block;
  }

  /** Nobody needs this block any more, nor those taken before it. */
  release(block: Uint8Array): void {
    this.writer.release(block);
  }

  /** The reader wants the state of the bus again. */
  restate(): void {
    this.mustBegin = true;
    this.ksocks = null;
    this.bindings = null;
  }

  /** Whether `goOn` has something to write now. */
  get mustGoOn(): boolean {
    const isBehind = this.isLosing || this.mustBegin || this.ksocks !== null;
    return isBehind && this.held <= this.size * SNAPSHOT_PART && !this.isSqueezed;
  }

  /** Writes more of the snapshot, as much as there is room for, and the turn has. */
  goOn(): void {
    const { work } = this.bus;
    if (!this.mustGoOn) return;
    if (this.isLosing) this.tellOfLoss();
    if (this.mustBegin) this.beginSnapshot();
    while (this.mustGoOn && !work.isTurnOver) {
      work.done++;
      this.goOnWithSnapshot();
    }
  }

  private tellOfLoss(): void {
    this.isLosing = false;
    if (this.begin(Code.LOST, MOST_FIELDS)) {
      this.writer.number(this.lostEvents);
      this.writer.number(this.lostMessages);
    }
    this.lostEvents = 0;
    this.lostMessages = 0;
    this.mustBegin = true;
    this.current = null;
    this.waitingOf.clear();
  }

  private beginSnapshot(): void {
    const { bus, writer } = this;
    this.mustBegin = false;
    this.ksocks = bus.openKsocks.cursor();
    this.bindings = bus.routes.all.cursor();
    if (!this.begin(Code.BEGIN, MOST_FIELDS)) return;
    writer.number(EVENTS_VERSION);
    writer.number(bus.number);
    writer.number(this.startedAt);
    writer.number(bus.largestMessage);
    writer.bits(bus.bindReports.isOn ? 1 : 0);
    writer.number(bus.nextKsockId);
    writer.number(bus.nextSerial);
  }

  private goOnWithSnapshot(): void {
    const ksock = this.ksocks?.next() ?? null;
    if (ksock !== null) {
      this.ksock(Code.KSOCK, ksock);
      return;
    }
    const binding = this.bindings?.next() ?? null;
    if (binding !== null) {
      if (binding.ksock.isOpen) this.binding(Code.BINDING, binding);
      return;
    }
    this.ksocks = null;
    this.bindings = null;
    this.begin(Code.READY, 0);
  }

  private finished(block: Uint8Array): void {
    this.blocks.push(block);
    this.blockBytes += block.length;
  }

  /** Begins an event about so many sent messages; false if it is lost. */
  private begin(code: number, length: number, messages = 0): boolean {
    // What was lost must be told, however little room there is.
    const mustFit = code === Code.LOST;
    if (!mustFit && (this.isLosing || this.isSqueezed || this.held + length > this.size)) {
      this.lose(code, messages);
      return false;
    }
    const complete = this.blocks.length;
    const { buffer } = this.writer.bytes;
    if (!OF_DELIVERY.has(code)) this.time = this.host.now();
    this.writer.begin(code, this.time, length);
    if (this.writer.bytes.buffer !== buffer && this.blocks.at(-1)?.buffer === buffer)
      this.formerBytes += buffer.byteLength;
    this.bus.work.done += EVENT_STEPS + (length >> BYTES_PER_STEP_BITS);
    if (this.blocks.length > complete) this.host.hasBlock();
    this.note();
    return true;
  }

  private note(): void {
    if (this.isNoted) return;
    this.isNoted = true;
    this.host.hasEvents();
  }

  private lose(code: number, messages: number): void {
    this.note();
    this.bus.work.done++;
    this.isLosing = true;
    // Of the snapshot, nothing is lost: there will be a new one.
    if (code > Code.LOST) this.lostEvents++;
    this.lostMessages += messages;
    this.ksocks = null;
    this.bindings = null;
  }

  // What the filter shows

  private shows(batch: MessageBatch): number {
    if ((this.kinds & kindBitOf(batch)) === 0) return Shown.NONE;
    const { names } = this;
    if (names === null) return Shown.ALL;
    if (batch.count > 1 && batch.span?.isRun === false && !batch.isReply && !batch.isRequest) {
      return Shown.SOME;
    }
    return names.shows(batch.name) ? Shown.ALL : Shown.NONE;
  }

  /** Calls `write` for `count` messages from `from` on, or for those of them that the filter shows. */
  private each(
    batch: MessageBatch,
    from: number,
    count: number,
    write: (serial: number, count: number, part: MessageBatch, index: number) => void,
  ): void {
    const shown = this.shows(batch);
    if (shown === Shown.NONE) return;
    if (shown === Shown.ALL) {
      write(serialOf(batch, from), count, batch, from);
      return;
    }
    const { names } = this;
    const parts = shownParts(batch, from, count, (name) => (names as NameFilter).shows(name));
    for (const part of parts) write(serialOf(batch, part.index), part.count, batch, part.index);
  }

  // Events of the bus

  opened(ksock: KsockState): void {
    this.ksock(Code.OPENED, ksock);
  }

  private ksock(code: number, ksock: KsockState): void {
    const { who } = ksock;
    const program = encodedText(who.program);
    if (!this.begin(code, MOST_FIELDS + program.length)) return;
    const { writer } = this;
    writer.number(ksock.id);
    writer.bits(
      (ksock.mode === 'rw' ? 1 : 0) |
        (who.isClaimed ? 2 : 0) |
        (ksock.onlyOnce ? 4 : 0) |
        (ksock.isSending ? 8 : 0),
    );
    writer.text(program);
    writer.number(who.pid);
    writer.number(who.uid + 1);
    writer.number(ksock.limit);
    writer.number(ksock.numMessages);
    writer.number(ksock.missed);
    writer.number(ksock.outstanding.size);
    writer.number(ksock.numUnrepliedTo);
  }

  closed(ksock: KsockState): void {
    this.waitingOf.delete(ksock);
    if (this.begin(Code.CLOSED, MOST_FIELDS)) this.writer.number(ksock.id);
  }

  bound(binding: KsockBinding): void {
    this.binding(Code.BOUND, binding);
  }

  unbound(binding: KsockBinding, dropped: number): void {
    if (!this.binding(Code.UNBOUND, binding)) return;
    this.writer.number(dropped);
    this.writer.number(binding.ksock.numMessages);
  }

  private binding(code: number, { ksock, name, order, replier }: KsockBinding): boolean {
    if (!this.begin(code, MOST_FIELDS + name.length)) return false;
    const { writer } = this;
    writer.number(order);
    writer.number(ksock.id);
    writer.bits(replier ? 1 : 0);
    writer.name(name);
    return true;
  }

  bindRefused(
    ksock: KsockState,
    name: string,
    replier: boolean,
    isBind: boolean,
    errno: number,
  ): void {
    const text = encodedText(name.slice(0, MAX_REFUSED_NAME));
    if (!this.begin(Code.BIND_REFUSED, MOST_FIELDS + text.length)) return;
    const { writer } = this;
    writer.number(ksock.id);
    writer.bits((replier ? 1 : 0) | (isBind ? 2 : 0));
    writer.number(errno);
    writer.text(text);
  }

  /** Writes the messages of a batch, unless that is done: before the first event that is about them. */
  private describe(batch: MessageBatch): void {
    if (this.current === batch) return;
    this.current = batch;
    this.time = this.host.now();
    if (this.waitingOf.size > 0 && this.isWaiting(batch)) return;
    this.each(batch, 0, batch.count, (_serial, count, whole, index) => {
      const part = count === whole.count ? whole : whole.stretch(index, count);
      for (const short of eventParts(part)) {
        this.messages(Code.MESSAGES, short, short.from);
      }
    });
  }

  private isWaiting(batch: MessageBatch): boolean {
    for (const waiting of this.waitingOf.values()) if (waiting === batch) return true;
    return false;
  }

  private messages(code: number, batch: MessageBatch, from: number): boolean {
    const { count } = batch;
    const cut = isCut(batch, this.mostData);
    const most = MOST_FIELDS + mostBytesOf(batch, this.mostData);
    if (!this.begin(code, most, code === Code.MESSAGES ? count : 0)) return false;
    const { writer } = this;
    writer.number(from);
    writer.id(batch.idNetwork, batch.idSerial);
    writer.number(count);
    writer.bits(cut ? 1 : 0);
    writeRecords(writer, batch, cut, this.mostData);
    return true;
  }

  /** Begins an event about messages, whose Ksock and ids it writes. */
  private about(code: number, ksock: KsockState, network: number, serial: number, count: number) {
    if (!this.begin(code, MOST_FIELDS)) return false;
    const { writer } = this;
    writer.number(ksock.id);
    writer.id(network, serial);
    writer.number(count);
    return true;
  }

  sent(sender: KsockState, batch: MessageBatch, attempt: Attempt): void {
    this.describe(batch);
    this.each(batch, 0, batch.count, (serial, count) => {
      if (!this.about(Code.SENT, sender, batch.idNetwork, serial, count)) return;
      this.writer.bits(ATTEMPTS.indexOf(attempt));
      this.writer.number(sender.outstanding.size);
    });
    this.current = null;
    if (attempt !== 'send') this.waitingOf.delete(sender);
  }

  refused(sender: KsockState, batch: MessageBatch, errno: number, attempt: Attempt): void {
    this.each(batch, 0, batch.count, (_serial, count, whole, index) => {
      const part = count === whole.count ? whole : whole.stretch(index, count);
      for (const short of eventParts(part)) {
        if (!this.messages(Code.REFUSED, short, sender.id)) continue;
        const { writer } = this;
        writer.number(sender.id);
        writer.bits(ATTEMPTS.indexOf(attempt));
        writer.number(errno);
      }
    });
    this.current = null;
    if (attempt !== 'send') this.waitingOf.delete(sender);
  }

  waiting(sender: KsockState, batch: MessageBatch, attempt: Attempt): void {
    this.describe(batch);
    this.waitingOf.set(sender, batch);
    this.current = null;
    this.each(batch, 0, batch.count, (serial, count) => {
      if (!this.about(Code.WAITING, sender, batch.idNetwork, serial, count)) return;
      this.writer.bits(ATTEMPTS.indexOf(attempt));
    });
  }

  discarded(sender: KsockState, batch: MessageBatch | null): void {
    this.waitingOf.delete(sender);
    if (batch !== null && this.shows(batch) === Shown.NONE) return;
    if (!this.begin(Code.DISCARDED, MOST_FIELDS)) return;
    this.writer.number(sender.id);
    this.writer.id(batch?.idNetwork ?? 0, batch?.idSerial ?? 0);
  }

  queued(
    ksock: KsockState,
    batch: MessageBatch,
    binding: KsockBinding | null,
    atFront: boolean,
  ): void {
    this.describe(batch);
    this.each(batch, 0, batch.count, (serial, count) => {
      if (!this.about(Code.QUEUED, ksock, batch.idNetwork, serial, count)) return;
      this.writer.number(binding?.order ?? 0);
      this.writer.bits(atFront ? 1 : 0);
      this.writer.number(ksock.numMessages);
    });
  }

  missed(ksock: KsockState, batch: MessageBatch): void {
    this.describe(batch);
    this.each(batch, 0, batch.count, (serial, count) => {
      if (!this.about(Code.MISSED, ksock, batch.idNetwork, serial, count)) return;
      this.writer.number(ksock.missed);
    });
  }

  read(
    ksock: KsockState,
    batch: MessageBatch,
    from: number,
    count: number,
    isAsked: boolean,
    _over: number,
  ): void {
    this.each(batch, from, count, (serial, some) => {
      if (!this.about(Code.READ, ksock, batch.idNetwork, serial, some)) return;
      this.writer.bits(isAsked ? 1 : 0);
      this.writer.number(ksock.numMessages);
      this.writer.number(ksock.numUnrepliedTo);
    });
  }

  answered(requester: KsockState, batch: MessageBatch, token: number): void {
    this.describe(batch);
    const { isStatus } = batch;
    const replier = batch.from === 0 ? undefined : this.bus.ksocks.get(batch.from);
    this.each(batch, 0, batch.count, (serial, count, _whole, index) => {
      const most = MOST_FIELDS + (isStatus ? batch.name.length : 0);
      if (!this.begin(Code.ANSWERED, most)) return;
      const { writer } = this;
      writer.number(requester.id);
      writer.id(batch.idNetwork, serial);
      writer.number(count);
      writer.id(batch.replyNetwork, batch.replySerial + index);
      writer.bits(token >= 0 ? 1 : 0);
      writer.name(isStatus ? batch.name : '');
      writer.number(requester.outstanding.size);
      writer.number(batch.from);
      writer.number(replier?.numUnrepliedTo ?? 0);
    });
  }

  forgotten(
    requester: KsockState,
    _token: number,
    isTakenBack: boolean,
    request: RequestRecord | null,
  ): void {
    if (request !== null) this.givenUp(requester, request, isTakenBack, false);
  }

  abandoned(request: RequestRecord): void {
    if (request.replier !== null) {
      this.givenUp(request.requester as KsockState, request, false, true);
    }
  }

  private givenUp(
    requester: KsockState,
    { network, serial, replier }: RequestRecord,
    isTakenBack: boolean,
    hasLeft: boolean,
  ): void {
    if ((this.kinds & REQUEST_BIT) === 0 || !this.begin(Code.GIVEN_UP, MOST_FIELDS)) return;
    const { writer } = this;
    const given = replier as KsockState;
    writer.number(requester.id);
    writer.id(network, serial);
    writer.bits((isTakenBack ? 1 : 0) | (hasLeft ? 2 : 0));
    writer.number(requester.outstanding.size);
    writer.number(given.id);
    writer.number(given.numMessages);
    writer.number(given.numUnrepliedTo);
  }

  set(ksock: KsockState | null, setting: Setting, value: number, result: number): void {
    if (!this.begin(Code.SET, MOST_FIELDS)) return;
    const { writer } = this;
    writer.number(ksock?.id ?? 0);
    writer.bits(SETTINGS.indexOf(setting));
    writer.number(value);
    writer.bits(result < 0 ? 1 : 0);
    writer.number(Math.abs(result));
  }
}

/** The bus refuses longer names; their beginning tells enough. */
const MAX_REFUSED_NAME = 1000;

function kindBitOf(batch: MessageBatch): number {
  if (batch.isReply) return batch.isStatus ? STATUS_BIT : REPLY_BIT;
  return batch.isRequest ? REQUEST_BIT : ANNOUNCEMENT_BIT;
}

/** Serial number of the message at `index`; 0 while the bus has given it none. */
function serialOf(batch: MessageBatch, index: number): number {
  return (batch.idSerial | batch.idNetwork) === 0 ? 0 : batch.idSerial + index;
}
