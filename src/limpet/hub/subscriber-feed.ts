import { Errno } from '../../message/errno.ts';
import { type Address, isSame, keyOf } from './address.ts';
import { type AnyEntry, endOf, fromNumber, heardOf, isBatch, singly } from './entries.ts';
import type { BatchEntry, Entry, Frame } from './frame.ts';
import type { Subscriber } from './inflow.ts';
import type { Link } from './link.ts';
import { MISSED } from './names.ts';
import { withinLimit } from './size-limit.ts';

/** A frame has at most this many bytes of data, about; or one batch. */
const MAX_BYTES = 256 * 1024;

/** A subscriber is told of this many entries that it was not sent, and at each tick: what all have is not kept. */
const TELL_AFTER = 256;

/** What the feed needs. */
export interface FeedHost {
  /** Sends a frame over a link. False if the peer reads slowly: see {@link Link.isCongested}. */
  transmit(link: Link, frame: Frame): boolean;
  /** How far the stream of the federation has the Announcements of this Limpet. */
  settled(): Settled;
}

/** Of this Limpet's Announcements, the first `stored` are in the stream of its federation, before its number `seq`, or never will be. */
export interface Settled {
  readonly stored: number;
  readonly seq: number;
}

/** What a subscriber gets of a stream, in which frames, and what it is only told of. */
export class SubscriberFeed {
  private readonly self: Address;
  private readonly host: FeedHost;
  /** The keys of the neighbours that get this Limpet's own stream: each may have several links. */
  directKeys = new Set<string>();

  constructor(self: Address, host: FeedHost) {
    this.self = self;
    this.host = host;
  }

  /** Passes entries on, as far as the subscriber lacks them and the filter lets them. */
  pass(subscriber: Subscriber, origin: Address, entries: readonly AnyEntry[]): void {
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

  tellAfter(link: Link): void {
    this.transmit(link, { kind: 'after', announced: link.after, ...this.host.settled() });
  }

  /** Tells how far the stream is, where entries were left out. */
  tell(subscriber: Subscriber, origin: Address, heard: number): void {
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
  isForAnother({ link, isRelay }: Subscriber, origin: Address, dest: Address | null): boolean {
    if (dest === null || origin !== this.self || isRelay || isSame(dest, link.peer)) return false;
    return this.directKeys.has(keyOf(dest));
  }

  transmit(link: Link, frame: Frame): void {
    if (!this.host.transmit(link, frame)) link.isCongested = true;
  }
}

/** Whether a link carries each message of a batch. */
function mayPass({ limit, out }: Link, { batch }: BatchEntry): boolean {
  if (limit !== null && batch.size > limit.bytes) return false;
  return out.passesAll || batch.everyName((name) => out.passes(name));
}
