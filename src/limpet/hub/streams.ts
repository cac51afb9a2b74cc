import { Errno } from '../../message/errno.ts';
import type { Message } from '../../message/message.ts';
import type { RecordBatch } from '../../message/record-batch.ts';
import { type Address, isSame, keyOf } from './address.ts';
import {
  type AnyEntry,
  bytesOf,
  countOf,
  endOf,
  fromNumber,
  heardOf,
  isBatch,
  singly,
  sizeOf,
} from './entries.ts';
import type { BatchEntry, Entry, Frame } from './frame.ts';
import { MISSED } from './names.ts';
import { OwnStream } from './own-stream.ts';
import type { Filter } from './patterns.ts';
import { type SizeLimit, withinLimit } from './size-limit.ts';

/** A frame has at most this many messages, and about this many bytes of data; or one batch. */
const MAX_MESSAGES = 256;
const MAX_BYTES = 256 * 1024;

/**
 * With more on its way to Limpets in reach, in bytes, a Limpet reads no more from its bus: messages take less memory in the queue
 * there, and less time of the garbage collector.
 */
const MAX_ON_THE_WAY = 1024 * 1024;

/**
 * A Limpet acknowledges a stream when it has got this many messages, or bytes of them (the origin waits with more than
 * MAX_ON_THE_WAY), and at each tick.
 */
const ACKNOWLEDGE_AFTER = 1024;
const ACKNOWLEDGE_BYTES = MAX_ON_THE_WAY / 4;

/** A native link, as the hub sees it. */
export interface Link {
  readonly number: number;
  /** The number of the federation in which the two have met; 0: in none. */
  readonly federation: number;
  readonly peer: Address;
  readonly key: string;
  readonly cost: number;
  /** What may go to the peer. */
  readonly out: Filter;
  /** What it refuses to carry; null: it carries messages of any size. */
  readonly limit: SizeLimit | null;
  /** The peer reads slowly: send no messages of this bus until it has caught up. */
  isCongested: boolean;
  /** So much is in its way that it gets no messages of other buses either: the driver sets it. */
  isFlooded: boolean;
  /** The peer was told that entries come after this many Announcements in the stream of the federation. */
  after: number;
}

/** A neighbour that gets a stream from here. */
interface Subscriber {
  readonly link: Link;
  token: number;
  /** The number of the next entry that it needs; 0: from now on. */
  next: number;
  /** It gets nothing until the stream comes from `next` on. */
  isWaiting: boolean;
  /**
   * It, or one behind it, begins now. That may be a new life of a Limpet that has delivered more than this one knows of:
   * only the origin can say what "now" is.
   */
  readonly wantsNow: boolean;
  /** Others get the stream through it. */
  readonly isRelay: boolean;
  /**
   * What it needs may have been left out for this Limpet, since it was for others. So the stream begins for it when the origin
   * has been asked later than in the subscription `asOf` of this Limpet.
   */
  readonly asOf: number;
  /** It has just begun: it gets the next entries however slowly the peer reads, so that each attempt gets further. */
  isFresh: boolean;
  /** How many entries before `next` it was not sent, and not told of, since they are for others. */
  untold: number;
  /** What comes before this number may wait: copies of Requests that another neighbour carries out. */
  deferredTo: number;
}

/** Of so many forgotten Limpets it is known how far this one has their streams. */
const MAX_LEFT = 4096;

/** Copies of Requests that are carried out elsewhere may wait for one another; not more of them than this. */
const MAX_DEFERRED = 64;

/** A subscriber is told of this many entries that it was not sent, and at each tick: what all have is not kept. */
const TELL_AFTER = 256;

/** The stream of another Limpet. */
export class Inflow {
  readonly origin: Address;
  readonly key: string;
  readonly subscribers = new Map<Link, Subscriber>();
  /** By key: how far the Limpets behind here have the stream. */
  readonly acknowledged = new Map<string, number>();
  /** The same, as far as the neighbour that the stream comes from knows it. */
  readonly passed = new Map<string, number>();
  /** The neighbour that the stream comes from. */
  upstream: Link | null = null;
  token = 0;
  /** The answer to the last subscription has not come yet. */
  isAwaited = false;
  /** Nobody has what came before the place where the stream began last. */
  isGap = false;
  /** The stream has begun: this Limpet is there, for the other one. */
  hasBegun = false;
  /** This Limpet has everything up to here, and of that, `heard` entries were for listeners. */
  have = 0;
  heard = 0;
  /** The next number that may come from upstream, and the `heard` before it. */
  next = 0;
  heardBeforeNext = 0;
  /** The end of the stream when the last subscription reached its origin, and the `heard` before it. */
  now = 0;
  heardNow = 0;
  /** How many messages this Limpet has got and not acknowledged, and their bytes. */
  unacknowledged = 0;
  unacknowledgedBytes = 0;

  constructor(origin: Address) {
    this.origin = origin;
    this.key = keyOf(origin);
  }
}

/** What the streams need. */
export interface StreamsHost {
  /** Sends a frame over a link. False if the peer reads slowly: see {@link Link.isCongested}. */
  transmit(link: Link, frame: Frame): boolean;
  /** Messages have come, in order and for the first time. */
  arrived(inflow: Inflow, entry: AnyEntry): void;
  /** So many messages for listeners are lost, because no Limpet keeps them any more. */
  lost(inflow: Inflow, count: number): void;
  /** A stream has begun, or another Limpet has begun to hear this one: it may now be asked. */
  paired(key: string): void;
  /** How far the stream of the federation has the Announcements of this Limpet. */
  settled(): Settled;
  /** Something may wait: call {@link Streams.flushAll} within some milliseconds. */
  deferred(): void;
}

/** Of this Limpet's Announcements, the first `stored` are in the stream of its federation, before its number `seq`, or never will be. */
export interface Settled {
  readonly stored: number;
  readonly seq: number;
}

/**
 * The streams of all Limpets. Each Limpet numbers its messages; each other Limpet subscribes to them at the neighbour on its
 * shortest path there, and says from which number on. So a message comes in order and once, whatever the graph of links:
 *
 * - A Limpet delivers only the number after the last one. A message that comes again is a duplicate, and goes no further
 *   unless a subscriber asked for it.
 * - Links on no shortest path carry no stream: they stand by. When a path breaks, its Limpets subscribe elsewhere, from the
 *   number where the path broke. Until all Limpets agree on the paths, two may subscribe to each other; then nothing comes.
 * - Only the origin keeps messages, until all Limpets that it knows have acknowledged them, or `maxBytes` are kept.
 */
export class Streams {
  readonly own = new OwnStream();
  readonly inflows = new Map<string, Inflow>();
  /** By key: streams that this Limpet had, of Limpets that were out of reach for long. If one comes back, what is missing is counted. */
  private readonly left = new Map<string, Pick<Inflow, 'have' | 'heard'>>();
  private readonly self: Address;
  private readonly host: StreamsHost;
  private readonly maxBytes: number;
  private readonly ownSubscribers = new Map<Link, Subscriber>();
  /** The keys of those that are neighbours: each may have several links. */
  private directKeys = new Set<string>();
  /** Every number before this one was sent over a link. */
  sentBefore = 1;
  duplicates = 0;
  /** Messages that this Limpet threw away before a Limpet out of reach had them. */
  dropped = 0;

  constructor(self: Address, maxBytes: number, host: StreamsHost) {
    this.self = self;
    this.maxBytes = maxBytes;
    this.host = host;
  }

  /** Puts a message into this Limpet's stream; `flush` sends it. */
  append(message: Message, dest: Address | null = null, answers = 0): Entry {
    return this.own.append(message, dest, answers);
  }

  appendBatch(batch: RecordBatch): void {
    this.own.appendBatch(batch);
  }

  /**
   * Sends what was appended. In a federation, a Request goes to the neighbour that carries it out at once. For the others it is
   * something to hear, and waits a little for what else there is: else each round trip would take longer, the more buses there are.
   */
  flush(): void {
    for (const subscriber of this.ownSubscribers.values()) {
      if (this.mayWait(subscriber)) this.host.deferred();
      else this.pump(subscriber);
    }
  }

  /** Sends all, also what might wait. */
  flushAll(): void {
    for (const subscriber of this.ownSubscribers.values()) this.pump(subscriber);
  }

  /** Whether all that a neighbour has not been sent is for others. */
  private mayWait(subscriber: Subscriber): boolean {
    const { own } = this;
    const { link, next } = subscriber;
    if (link.federation === 0 || next === own.end || own.end - next > MAX_DEFERRED) return false;
    let at = Math.max(next, subscriber.deferredTo);
    for (; at < own.end; at++) {
      const entry = own.at(at) as AnyEntry;
      if (isBatch(entry) || !this.isForAnother(subscriber, this.self, entry.dest)) break;
    }
    subscriber.deferredTo = at;
    return at === own.end;
  }

  private pump(subscriber: Subscriber): void {
    const { own, self } = this;
    const { link } = subscriber;
    while (!link.isCongested && subscriber.next < own.end) {
      this.pass(subscriber, self, own.from(subscriber.next, MAX_MESSAGES));
    }
    if (subscriber.next > this.sentBefore) this.sentBefore = subscriber.next;
  }

  /** Passes entries on, as far as the subscriber lacks them and the filter lets them. */
  private pass(subscriber: Subscriber, origin: Address, entries: readonly AnyEntry[]): void {
    const { link } = subscriber;
    let single: Entry[] = [];
    for (const entry of entries) {
      if (endOf(entry) <= subscriber.next) continue;
      if (!isBatch(entry)) {
        single.push(entry);
        continue;
      }
      const batch = fromNumber(entry, subscriber.next) as BatchEntry;
      if (!mayPass(link, batch)) {
        single.push(...singly(batch));
        continue;
      }
      this.passSingle(subscriber, origin, single);
      single = [];
      subscriber.next = endOf(batch);
      subscriber.untold = 0;
      this.transmit(link, { kind: 'batch', origin, entry: batch });
    }
    this.passSingle(subscriber, origin, single);
    const last = entries.at(-1);
    if (subscriber.untold === 0 || last === undefined) return;
    // Messages that a filter kept back are told at once: those who wait for the end of the stream count them.
    const isAnswer = !isBatch(last) && last.answers !== 0;
    if (isAnswer && subscriber.untold < TELL_AFTER) return;
    this.tell(subscriber, origin, heardOf(last));
  }

  private passSingle(subscriber: Subscriber, origin: Address, entries: readonly Entry[]): void {
    const { link } = subscriber;
    let passed: Entry[] = [];
    let bytes = 0;
    const transmit = (): void => {
      if (passed.length > 0) this.transmit(link, { kind: 'entries', origin, entries: passed });
      passed = [];
      bytes = 0;
    };
    for (const entry of entries) {
      subscriber.next = entry.n + 1;
      if (entry.after > link.after && link.federation !== 0) {
        transmit();
        link.after = entry.after;
        this.tellAfter(link);
      }
      const filtered = this.filtered(subscriber, origin, entry);
      if (filtered === null) {
        subscriber.untold++;
        continue;
      }
      passed.push(filtered);
      subscriber.untold = 0;
      bytes += entry.message.dataSize;
      if (bytes >= MAX_BYTES) transmit();
    }
    transmit();
  }

  private tellAfter(link: Link): void {
    this.transmit(link, { kind: 'after', announced: link.after, ...this.host.settled() });
  }

  /** More Announcements are settled than so many: tells those who may wait for them. */
  settledSince(before: number): void {
    for (const { link } of this.ownSubscribers.values())
      if (link.after > before) this.tellAfter(link);
  }

  /** Whether something was appended that no subscriber was sent. */
  get hasUnsent(): boolean {
    return this.sentBefore < this.own.end;
  }

  /** Tells how far the stream is, where entries were left out. */
  private tell(subscriber: Subscriber, origin: Address, heard: number): void {
    subscriber.untold = 0;
    const to = subscriber.next - 1;
    this.transmit(subscriber.link, { kind: 'skip', origin, to, heard });
  }

  /** The entry as the subscriber gets it; null: not at all. */
  private filtered(subscriber: Subscriber, origin: Address, entry: Entry): Entry | null {
    const { link } = subscriber;
    const { message, dest, answers } = entry;
    if (answers !== 0 && this.isForAnother(subscriber, origin, dest)) return null;
    if (answers !== 0 || link.out.passes(message.name) || message.name === MISSED) {
      return link.limit === null ? entry : withinLimit(link.limit, entry);
    }
    return dest === null ? null : { ...entry, refusal: Errno.EADDRNOTAVAIL };
  }

  /** Whether a Request or an answer of this bus is for another neighbour that gets the stream from here. */
  private isForAnother(
    { link, isRelay }: Subscriber,
    origin: Address,
    dest: Address | null,
  ): boolean {
    if (dest === null || origin !== this.self || isRelay || isSame(dest, link.peer)) return false;
    return this.directKeys.has(keyOf(dest));
  }

  private transmit(link: Link, frame: Frame): void {
    if (!this.host.transmit(link, frame)) link.isCongested = true;
  }

  // Where streams come from

  /** Gets a stream from this neighbour from now on; null: nobody has it. */
  route(origin: Address, upstream: Link | null): void {
    const inflow = this.inflowOf(origin);
    const before = inflow.upstream;
    if (before === upstream) return;
    if (before !== null) this.transmit(before, { kind: 'unsubscribe', origin });
    inflow.upstream = upstream;
    inflow.isAwaited = false;
    inflow.passed.clear();
    if (upstream !== null) this.subscribe(inflow);
  }

  private inflowOf(origin: Address): Inflow {
    const key = keyOf(origin);
    let inflow = this.inflows.get(key);
    if (inflow === undefined) {
      inflow = new Inflow(origin);
      this.inflows.set(key, inflow);
      const left = this.left.get(key);
      this.left.delete(key);
      if (left !== undefined) Object.assign(inflow, left, { hasBegun: true });
    }
    return inflow;
  }

  /** Asks for the stream from the first number on that this Limpet or one behind it lacks. */
  private subscribe(inflow: Inflow): void {
    const { origin, upstream } = inflow;
    let from = inflow.hasBegun ? inflow.have + 1 : 0;
    let wantsNow = from === 0;
    for (const { next, isWaiting, wantsNow: isFor } of inflow.subscribers.values()) {
      if (isWaiting && isFor) wantsNow = true;
      if (next !== 0 && (from === 0 || next < from)) from = next;
    }
    inflow.isAwaited = true;
    inflow.token++;
    const { token } = inflow;
    const isRelay = inflow.subscribers.size > 0;
    this.transmit(upstream as Link, { kind: 'subscribe', origin, token, from, wantsNow, isRelay });
  }

  begin(link: Link, frame: Extract<Frame, { kind: 'begin' }>): void {
    const inflow = this.inflows.get(keyOf(frame.origin));
    if (inflow === undefined || inflow.upstream !== link || inflow.token !== frame.token) return;
    const { from, heard } = frame;
    inflow.isGap = frame.isGap;
    inflow.now = frame.now;
    inflow.heardNow = frame.heardNow;
    inflow.isAwaited = false;
    inflow.next = from;
    inflow.heardBeforeNext = heard;
    const isNew = !inflow.hasBegun;
    if (isNew) {
      inflow.hasBegun = true;
      // The stream may begin earlier, for a subscriber.
      inflow.have = inflow.now - 1;
      inflow.heard = inflow.heardNow;
    } else if (from > inflow.have + 1) {
      const missed = heard - inflow.heard;
      inflow.have = from - 1;
      inflow.heard = heard;
      this.host.lost(inflow, missed);
    }
    this.acknowledge(inflow);
    for (const [hub, to] of inflow.acknowledged) this.passAcknowledgement(inflow, hub, to);
    if (isNew) this.host.paired(inflow.key);
    if (!this.serveSubscribers(inflow)) this.subscribe(inflow);
  }

  /** Starts the waiting subscribers. False if this Limpet must ask for the stream once more for one of them. */
  private serveSubscribers(inflow: Inflow): boolean {
    const { isGap, subscribers } = inflow;
    let isServed = true;
    for (const { next } of subscribers.values()) {
      if (next !== 0 && next < inflow.next && !isGap) return false;
    }
    for (const subscriber of subscribers.values()) {
      const { isWaiting, asOf } = subscriber;
      if (isWaiting && asOf >= inflow.token) isServed = false;
      else if (isWaiting || subscriber.next < inflow.next) this.start(inflow, subscriber);
    }
    return isServed;
  }

  private start(inflow: Inflow, subscriber: Subscriber): void {
    const { origin, now, heardNow } = inflow;
    const { link, token } = subscriber;
    // What comes before the place where the stream begins is lost; the subscriber counts it.
    const from = Math.max(subscriber.next === 0 ? now : subscriber.next, inflow.next);
    const isGap = subscriber.next !== 0 && from > subscriber.next;
    let heard = from === inflow.next ? inflow.heardBeforeNext : inflow.heard;
    if (from === now) heard = heardNow;
    subscriber.next = from;
    subscriber.isWaiting = false;
    subscriber.isFresh = true;
    this.transmit(link, { kind: 'begin', origin, token, from, heard, isGap, now, heardNow });
  }

  entries(link: Link, origin: Address, entries: readonly AnyEntry[]): void {
    const inflow = this.inflows.get(keyOf(origin));
    if (inflow === undefined || inflow.upstream !== link || inflow.isAwaited) {
      for (const entry of entries) this.duplicates += countOf(entry);
      return;
    }
    for (const entry of entries) {
      const known = Math.min(countOf(entry), Math.max(0, inflow.have + 1 - entry.n));
      this.duplicates += known;
      if (known === countOf(entry)) continue;
      const news = fromNumber(entry, entry.n + known);
      inflow.have = endOf(news) - 1;
      inflow.heard = heardOf(news);
      inflow.unacknowledged += countOf(news);
      inflow.unacknowledgedBytes += sizeOf(news);
      this.host.arrived(inflow, news);
    }
    const last = entries.at(-1);
    if (last !== undefined) this.moveOn(inflow, endOf(last) - 1, heardOf(last));
    for (const subscriber of inflow.subscribers.values()) {
      if (subscriber.isWaiting) continue;
      // No place to keep messages for a neighbour that reads slowly: it asks again when it has caught up.
      if (subscriber.link.isFlooded && !subscriber.isFresh) subscriber.isWaiting = true;
      else this.pass(subscriber, origin, entries);
      subscriber.isFresh = false;
    }
    const { unacknowledged, unacknowledgedBytes } = inflow;
    if (unacknowledged >= ACKNOWLEDGE_AFTER || unacknowledgedBytes >= ACKNOWLEDGE_BYTES) {
      this.acknowledge(inflow);
    }
  }

  skip(link: Link, frame: Extract<Frame, { kind: 'skip' }>): void {
    const inflow = this.inflows.get(keyOf(frame.origin));
    if (inflow === undefined || inflow.upstream !== link || inflow.isAwaited) return;
    const { origin, to, heard } = frame;
    if (to > inflow.have) {
      inflow.have = to;
      inflow.heard = heard;
      inflow.unacknowledged++;
    }
    this.moveOn(inflow, to, heard);
    for (const subscriber of inflow.subscribers.values()) {
      if (subscriber.isWaiting || subscriber.next > to) continue;
      if (subscriber.link.isFlooded) {
        subscriber.isWaiting = true;
        continue;
      }
      subscriber.next = to + 1;
      this.transmit(subscriber.link, { kind: 'skip', origin, to, heard });
    }
  }

  private moveOn(inflow: Inflow, to: number, heard: number): void {
    inflow.next = to + 1;
    inflow.heardBeforeNext = heard;
  }

  // Where streams go

  subscribed(link: Link, frame: Extract<Frame, { kind: 'subscribe' }>): void {
    const { origin, token, from, wantsNow, isRelay } = frame;
    if (isSame(origin, this.self)) {
      const { own } = this;
      const next = from === 0 ? own.end : Math.min(Math.max(from, own.base), own.end);
      const state = { isWaiting: false, isFresh: true, untold: 0, deferredTo: 0 };
      const subscriber = { link, token, next, wantsNow, isRelay, asOf: 0, ...state };
      this.ownSubscribers.set(link, subscriber);
      this.directKeys.add(link.key);
      const heard = own.heardBefore(next);
      const { end: now } = own;
      const heardNow = own.heardBefore(now);
      const isGap = from !== 0 && next > from;
      this.transmit(link, {
        kind: 'begin',
        origin,
        token,
        from: next,
        heard,
        isGap,
        now,
        heardNow,
      });
      this.pump(subscriber);
      return;
    }
    const inflow = this.inflowOf(origin);
    const { token: asOf } = inflow;
    const state = { isWaiting: true, isFresh: true, untold: 0, deferredTo: 0 };
    const subscriber = { link, token, next: from, wantsNow, isRelay, asOf, ...state };
    inflow.subscribers.set(link, subscriber);
    this.serve(inflow);
  }

  /** Asks upstream for what a waiting subscriber needs: what this Limpet was not sent, because it was for others, too. */
  private serve(inflow: Inflow): void {
    if (inflow.upstream !== null && !inflow.isAwaited && inflow.hasBegun) this.subscribe(inflow);
  }

  unsubscribed(link: Link, origin: Address): void {
    if (isSame(origin, this.self)) this.forgetSubscriber(link);
    else this.inflows.get(keyOf(origin))?.subscribers.delete(link);
  }

  private forgetSubscriber(link: Link): void {
    this.ownSubscribers.delete(link);
    this.directKeys = new Set([...this.ownSubscribers.keys()].map(({ key }) => key));
  }

  linkDown(link: Link): void {
    this.forgetSubscriber(link);
    for (const inflow of this.inflows.values()) {
      inflow.subscribers.delete(link);
      if (inflow.upstream !== link) continue;
      inflow.upstream = null;
      inflow.isAwaited = false;
      inflow.passed.clear();
    }
  }

  /** The peer has caught up. */
  drained(link: Link): void {
    link.isCongested = false;
    link.isFlooded = false;
    const subscriber = this.ownSubscribers.get(link);
    if (subscriber !== undefined) this.pump(subscriber);
    for (const inflow of this.inflows.values()) {
      const waiting = inflow.subscribers.get(link);
      if (waiting?.isWaiting) this.serve(inflow);
    }
  }

  /** Whether the link carries any stream, in either direction. */
  isInUse(link: Link): boolean {
    if (this.ownSubscribers.has(link)) return true;
    for (const { upstream, subscribers } of this.inflows.values()) {
      if (upstream === link || subscribers.has(link)) return true;
    }
    return false;
  }

  // Who has what

  private acknowledge(inflow: Inflow): void {
    inflow.unacknowledged = 0;
    inflow.unacknowledgedBytes = 0;
    this.passAcknowledgement(inflow, keyOf(this.self), inflow.have);
  }

  private passAcknowledgement(inflow: Inflow, key: string, to: number): void {
    const { upstream, origin, passed } = inflow;
    if (upstream === null || inflow.isAwaited || (passed.get(key) ?? -1) >= to) return;
    passed.set(key, to);
    const [id = 0, life = 0] = key.split('.').map(Number);
    this.transmit(upstream, { kind: 'acknowledge', origin, hub: { id, life }, to });
  }

  /** A Limpet is out of reach: others may forget how far it has the streams, and must hear it again when it is back. */
  outOfReach(key: string): void {
    for (const { passed } of this.inflows.values()) passed.delete(key);
  }

  acknowledged({ origin, hub, to }: Extract<Frame, { kind: 'acknowledge' }>): void {
    const key = keyOf(hub);
    if (!isSame(origin, this.self)) {
      const inflow = this.inflows.get(keyOf(origin));
      if (inflow === undefined) return;
      inflow.acknowledged.set(key, Math.max(to, inflow.acknowledged.get(key) ?? 0));
      this.passAcknowledgement(inflow, key, to);
      return;
    }
    const { acknowledged } = this.own;
    const before = acknowledged.get(key);
    acknowledged.set(key, Math.max(Math.min(to, this.own.end - 1), before ?? 0));
    if (before === undefined) this.host.paired(key);
  }

  /** Acknowledges what has come since the last time. */
  tick(): void {
    for (const subscriber of this.ownSubscribers.values()) {
      const { next, untold } = subscriber;
      if (untold > 0) this.tell(subscriber, this.self, this.own.heardBefore(next));
    }
    for (const inflow of this.inflows.values()) {
      if (inflow.unacknowledged > 0) this.acknowledge(inflow);
    }
  }

  /** A Limpet was out of reach for so long that nothing is kept for it any more. */
  forget(key: string): void {
    const to = this.own.acknowledged.get(key);
    if (to !== undefined) this.dropFor(to + 1, this.own.end);
    this.own.acknowledged.delete(key);
    const inflow = this.inflows.get(key);
    this.inflows.delete(key);
    if (inflow?.hasBegun) {
      const { have, heard } = inflow;
      this.left.set(key, { have, heard });
      const [oldest] = this.left.keys();
      if (this.left.size > MAX_LEFT) this.left.delete(oldest as string);
    }
    for (const { acknowledged } of this.inflows.values()) acknowledged.delete(key);
  }

  private dropFor(from: number, end: number): void {
    const { own } = this;
    if (end > from && from >= own.base)
      this.dropped += own.heardBefore(end) - own.heardBefore(from);
  }

  /**
   * Throws away what nobody needs any more. For Limpets out of reach it keeps `maxBytes`. True if Limpets in reach need
   * more than that: then this Limpet must read no more from its bus until they have caught up.
   */
  trim(isInReach: (key: string) => boolean): boolean {
    const { own, maxBytes } = this;
    let needed = own.end;
    for (const { next } of this.ownSubscribers.values()) needed = Math.min(needed, next);
    let wanted = needed;
    for (const [key, to] of own.acknowledged) {
      if (isInReach(key)) needed = Math.min(needed, to + 1);
      else wanted = Math.min(wanted, to + 1);
    }
    own.dropBefore(Math.min(needed, wanted));
    // Without Limpets out of reach, all that is kept is on its way.
    if (wanted >= needed && own.bytes > MAX_ON_THE_WAY) return true;
    if (own.bytes <= maxBytes) return false;
    const before = own.base;
    let to = own.base;
    let { bytes } = own;
    while (bytes > maxBytes) {
      const oldest = own.at(to);
      if (oldest === undefined || endOf(oldest) > needed) break;
      bytes -= bytesOf(oldest);
      to = endOf(oldest);
    }
    if (to > before) {
      this.dropFor(before, to);
      own.dropBefore(to);
    }
    return own.bytes > maxBytes;
  }
}

/** Whether a link carries each message of a batch. */
function mayPass({ limit, out }: Link, { batch }: BatchEntry): boolean {
  if (limit !== null && batch.size > limit.bytes) return false;
  return out.passesAll || batch.everyName((name) => out.passes(name));
}
