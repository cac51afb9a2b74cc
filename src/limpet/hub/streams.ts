import { Message } from '../../message/message.ts';
import type { RecordBatch } from '../../message/record-batch.ts';
import { type Address, isSame, keyOf } from './address.ts';
import { EarlierLives } from './earlier-lives.ts';
import { type AnyEntry, bytesOf, countOf, endOf, fromNumber, heardOf, isBatch } from './entries.ts';
import type { Entry, Frame } from './frame.ts';
import { Inflow, type Subscriber } from './inflow.ts';
import type { Link } from './link.ts';
import { EARLIER_LIFE, MISSED } from './names.ts';
import { OwnStream } from './own-stream.ts';
import { type FeedHost, SubscriberFeed } from './subscriber-feed.ts';

/** A frame has at most this many messages, or one batch. */
const MAX_MESSAGES = 256;

/**
 * With more on its way to Limpets in reach, in bytes, a Limpet reads no more from its bus: messages take less memory in the queue
 * there, and less time of the garbage collector.
 */
const MAX_ON_THE_WAY = 1024 * 1024;

/**
 * A Limpet acknowledges a stream when it has got entries that take this many bytes at the origin, which waits with more than
 * MAX_ON_THE_WAY, and at each tick. Each acknowledgement wakes the origin's process, and what carries it there.
 */
const ACKNOWLEDGE_AFTER = MAX_ON_THE_WAY / 4;

/** Of so many forgotten Limpets it is known how far this one has their streams. */
const MAX_LEFT = 4096;

/** Copies of Requests that are carried out elsewhere may wait for one another; not more of them than this. */
const MAX_DEFERRED = 64;

/** What the streams need. */
export interface StreamsHost extends FeedHost {
  /** Messages have come, in order and for the first time. */
  arrived(inflow: Inflow, entry: AnyEntry): void;
  /** So many messages for listeners are lost, because no Limpet keeps them any more. */
  lost(inflow: Inflow, count: number): void;
  /** A stream has begun, or another Limpet has begun to hear this one: it may now be asked. */
  paired(key: string): void;
  /** Something may wait: call {@link Streams.flushAll} within some milliseconds. */
  deferred(): void;
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
  private readonly lives = new EarlierLives();
  readonly inflows = new Map<string, Inflow>();
  /** By key: streams that this Limpet had, of Limpets that were out of reach for long. If one comes back, what is missing is counted. */
  private readonly left = new Map<string, Pick<Inflow, 'have' | 'heard'>>();
  private readonly self: Address;
  private readonly host: StreamsHost;
  private readonly maxBytes: number;
  private readonly ownSubscribers = new Map<Link, Subscriber>();
  private readonly feed: SubscriberFeed;
  /** Every number before this one was sent over a link. */
  sentBefore = 1;
  duplicates = 0;
  /** Messages that this Limpet threw away before a Limpet out of reach had them. */
  dropped = 0;

  constructor(self: Address, maxBytes: number, host: StreamsHost) {
    this.self = self;
    this.maxBytes = maxBytes;
    this.host = host;
    this.feed = new SubscriberFeed(self, host);
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
      if (isBatch(entry) || !this.feed.isForAnother(subscriber, this.self, entry.dest)) break;
    }
    subscriber.deferredTo = at;
    return at === own.end;
  }

  private pump(subscriber: Subscriber): void {
    const { own, self } = this;
    const { link } = subscriber;
    while (!link.isCongested && subscriber.next < own.end) {
      this.feed.pass(subscriber, self, own.from(subscriber.next, MAX_MESSAGES));
    }
    if (subscriber.next > this.sentBefore) this.sentBefore = subscriber.next;
  }

  /** More Announcements are settled than so many: tells those who may wait for them. */
  settledSince(before: number): void {
    for (const { link } of this.ownSubscribers.values())
      if (link.after > before) this.feed.tellAfter(link);
  }

  /** Whether something was appended that no subscriber was sent. */
  get hasUnsent(): boolean {
    return this.sentBefore < this.own.end;
  }

  // Where streams come from

  /** Gets a stream from this neighbour from now on; null: nobody has it. */
  route(origin: Address, upstream: Link | null): void {
    const inflow = this.inflowOf(origin);
    const before = inflow.upstream;
    if (before === upstream) return;
    if (before !== null) this.feed.transmit(before, { kind: 'unsubscribe', origin });
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
    this.feed.transmit(upstream as Link, {
      kind: 'subscribe',
      origin,
      token,
      from,
      wantsNow,
      isRelay,
    });
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
      inflow.heardBeforeLife = inflow.heardNow;
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
    this.feed.transmit(link, {
      kind: 'begin',
      origin,
      token,
      from,
      heard,
      isGap,
      now,
      heardNow,
    });
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
      inflow.unacknowledged += bytesOf(news);
      this.host.arrived(inflow, news);
    }
    const last = entries.at(-1);
    if (last !== undefined) this.moveOn(inflow, endOf(last) - 1, heardOf(last));
    for (const subscriber of inflow.subscribers.values()) {
      if (subscriber.isWaiting) continue;
      // No place to keep messages for a neighbour that reads slowly: it asks again when it has caught up.
      if (subscriber.link.isFlooded && !subscriber.isFresh) subscriber.isWaiting = true;
      else this.feed.pass(subscriber, origin, entries);
      subscriber.isFresh = false;
    }
    if (inflow.unacknowledged >= ACKNOWLEDGE_AFTER) this.acknowledge(inflow);
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
      this.feed.transmit(subscriber.link, { kind: 'skip', origin, to, heard });
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
      this.feed.directKeys.add(link.key);
      const heard = own.heardBefore(next);
      const { end: now } = own;
      const heardNow = own.heardBefore(now);
      const isGap = from !== 0 && next > from;
      this.feed.transmit(link, {
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
    this.feed.directKeys = new Set([...this.ownSubscribers.keys()].map(({ key }) => key));
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
    this.passAcknowledgement(inflow, keyOf(this.self), inflow.have);
  }

  private passAcknowledgement(inflow: Inflow, key: string, to: number): void {
    const { upstream, origin, passed } = inflow;
    if (upstream === null || inflow.isAwaited || (passed.get(key) ?? -1) >= to) return;
    passed.set(key, to);
    const [id = 0, life = 0] = key.split('.').map(Number);
    this.feed.transmit(upstream, { kind: 'acknowledge', origin, hub: { id, life }, to });
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
    this.reached(hub, acknowledged.get(key) as number, before === undefined);
  }

  /** A Limpet has this one's stream up to number `to`. A new life of it is told how far its last one had the stream. */
  private reached(hub: Address, to: number, isFirst: boolean): void {
    const { lives, own } = this;
    // What was thrown away before it had it is counted where it goes on.
    if (to + 1 < own.base) return;
    const heard = own.heardBefore(to + 1);
    const before = isFirst ? lives.heardBefore(hub) : -1;
    if (before < 0) lives.reached(hub, to, heard);
    else if (before >= heard) lives.begun(hub, heard, 0);
    else
      lives.begun(hub, before, this.append(new Message(MISSED, `${before}`), hub, EARLIER_LIFE).n);
  }

  tick(): void {
    for (const subscriber of this.ownSubscribers.values()) {
      const { next, untold } = subscriber;
      if (untold > 0) this.feed.tell(subscriber, this.self, this.own.heardBefore(next));
    }
    this.acknowledgeAll();
  }

  /** Acknowledges what has come since the last time. */
  acknowledgeAll(): void {
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
