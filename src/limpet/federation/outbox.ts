import type { Message } from '../../message/message.ts';
import type { Address } from '../hub/address.ts';
import { bytesOf } from '../hub/entries.ts';
import type { Entry } from '../hub/frame.ts';
import { type SizeLimit, withinLimit } from '../hub/size-limit.ts';
import type { Settled } from '../hub/subscriber-feed.ts';
import { encodeParcel, firstOf, type Section, type WireMark } from './journal-codec.ts';

/** A section has at most this many Announcements, and a parcel about this many bytes: a reader gives its bus a parcel at a time. */
const MAX_ENTRIES = 256;
const MAX_PARCEL = 64 * 1024;

/** With more than this waiting for a stream that takes it, in bytes, the Limpet reads no more from its bus. */
const MAX_WAITING = 1024 * 1024;

/** Announcements that wait, and what was sent on wires before them. */
interface Waiting extends Section {
  readonly marks: WireMark[];
  readonly entries: Entry[];
  readonly direct: number;
  bytes: number;
}

/** What is being stored, piece by piece. */
interface Parcel {
  readonly origin: Address;
  readonly first: number;
  readonly last: number;
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  /** The piece that is on its way. */
  index: number;
}

export interface OutboxHost {
  /** The longest message that may be stored, in bytes; 0: no message can be stored now. */
  readonly maxPayload: number;
  /** What was sent on wires since the last call. */
  marks(): WireMark[];
  /** Stores a message; {@link Outbox.stored} or {@link Outbox.failed} follows. */
  store(bytes: Uint8Array, id: string): void;
  /** So many Announcements of this life of the Limpet are settled, where it was fewer before. */
  settledSince(before: number): void;
}

/**
 * What this Limpet has taken from its bus for the stream of its federation, until the stream has it. One message at a time is on its
 * way to the stream, since what is stored again after an error would else come out of order. What comes meanwhile makes up the next
 * one. A pure state machine.
 *
 * While the stream takes messages, the Limpet reads no more from its bus than 1 MiB ahead. While it does not, the outbox
 * keeps `maxBytes`, and drops the oldest: readers notice the gap in the numbers, and tell their buses.
 */
export class Outbox {
  private readonly host: OutboxHost;
  private readonly maxBytes: number;
  private readonly limit: SizeLimit | null;
  private readonly maxSection: number;
  private waiting: Waiting[] = [];
  private parcel: Parcel | null = null;
  private isOnTheWay = false;
  /** The stream did not take the last message. */
  private hasFailed = false;
  /** The Limpet as it is by now, and how many Announcements it made. */
  private origin: Address | null = null;
  private appended = 0;
  private settledBefore = 0;
  private lastSeq = 0;
  private since: { readonly origin: Address; readonly seq: number } | null = null;
  /** Of sections that were thrown away: the next one has to wait for the same. */
  private readonly droppedMarks: WireMark[] = [];
  bytes = 0;
  /** How many Announcements were thrown away. */
  dropped = 0;

  constructor(maxBytes: number, limit: SizeLimit | null, host: OutboxHost) {
    this.maxBytes = maxBytes;
    this.limit = limit;
    // What is thrown away is a small part of all.
    this.maxSection = Math.min(MAX_PARCEL, maxBytes / 8);
    this.host = host;
  }

  append(origin: Address, number: number, message: Message, direct: number): void {
    if (this.origin !== origin) {
      this.origin = origin;
      this.settledBefore = 0;
    }
    this.appended = number;
    let section = this.waiting.at(-1);
    if (
      section === undefined ||
      section.origin !== origin ||
      section.direct !== direct ||
      section.entries.length >= MAX_ENTRIES ||
      section.bytes >= this.maxSection
    ) {
      const marks = [...this.droppedMarks.splice(0), ...this.host.marks()];
      section = { marks, origin, entries: [], direct, bytes: 0 };
      this.waiting.push(section);
    }
    const entry: Entry = {
      n: number,
      heard: number,
      message,
      dest: null,
      answers: 0,
      refusal: 0,
      after: 0,
    };
    section.entries.push(entry);
    const bytes = bytesOf(entry);
    section.bytes += bytes;
    this.bytes += bytes;
  }

  get isEmpty(): boolean {
    return this.parcel === null && this.waiting.length === 0;
  }

  /** How many Announcements the stream does not have. */
  get waitingCount(): number {
    const { parcel, waiting } = this;
    let count = parcel === null ? 0 : parcel.last - parcel.first + 1;
    for (const { entries } of waiting) count += entries.length;
    return count;
  }

  get isFull(): boolean {
    return this.isReady && this.bytes > MAX_WAITING;
  }

  private get isReady(): boolean {
    return this.host.maxPayload > 0 && !this.hasFailed;
  }

  settled(): Settled {
    return { stored: this.settledBefore, seq: this.lastSeq };
  }

  /** Stores what waits, unless something is on its way. */
  flush(): void {
    if (!this.isReady) this.dropOldest();
    else if (!this.isOnTheWay) this.send();
  }

  private send(): void {
    this.parcel ??= this.nextParcel();
    const { parcel } = this;
    if (parcel === null) return;
    this.isOnTheWay = true;
    const { origin, first, index, pieces } = parcel;
    const id = `${origin.id}.${origin.life}.${first}.${index}`;
    this.host.store(pieces[index] as Uint8Array, id);
  }

  private nextParcel(): Parcel | null {
    const [head] = this.waiting;
    if (head === undefined) return null;
    let bytes = 0;
    let count = 0;
    for (const section of this.waiting) {
      if (section.origin !== head.origin || (bytes > 0 && bytes + section.bytes > MAX_PARCEL))
        break;
      bytes += section.bytes;
      count++;
    }
    const sections = this.waiting.splice(0, count).map((section) => this.withinLimit(section));
    const { origin } = head;
    const first = firstOf(head.entries[0] as Entry);
    const { entries: lastEntries } = sections.at(-1) as Section;
    const { n: last } = lastEntries.at(-1) as Entry;
    const pieces = encodeParcel(sections, this.sinceOf(origin), this.host.maxPayload);
    return { origin, first, last, pieces, bytes, index: 0 };
  }

  private withinLimit(section: Waiting): Section {
    const { limit } = this;
    if (limit === null) return section;
    return { ...section, entries: section.entries.map((entry) => withinLimit(limit, entry)) };
  }

  /** The number in the stream of the first message of this life of the Limpet; 0: it has none. */
  private sinceOf(origin: Address): number {
    return this.since?.origin === origin ? this.since.seq : 0;
  }

  /** The stream has the message that was on its way, as this number. */
  stored(seq: number): void {
    const { parcel } = this;
    this.isOnTheWay = false;
    this.hasFailed = false;
    this.lastSeq = seq;
    if (parcel === null) return;
    if (this.since?.origin !== parcel.origin) this.since = { origin: parcel.origin, seq };
    if (++parcel.index === parcel.pieces.length) {
      this.parcel = null;
      this.bytes -= parcel.bytes;
      this.settle();
    }
    this.flush();
  }

  /** It may have it or not: it gets it again, with the same id. */
  failed(): void {
    this.isOnTheWay = false;
    this.hasFailed = true;
    this.flush();
  }

  /** Tries again what has failed. */
  retry(): void {
    this.hasFailed = false;
    this.flush();
  }

  private settle(): void {
    const { origin, parcel, waiting, settledBefore } = this;
    const oldest = parcel ?? waiting[0];
    if (oldest !== undefined && oldest.origin !== origin) return;
    let settled = this.appended;
    if (parcel !== null) settled = parcel.first - 1;
    else if (waiting[0] !== undefined) settled = firstOf(waiting[0].entries[0] as Entry) - 1;
    this.settledBefore = settled;
    if (settled > settledBefore) this.host.settledSince(settledBefore);
  }

  private dropOldest(): void {
    let count = 0;
    while (this.bytes > this.maxBytes && count < this.waiting.length) {
      const section = this.waiting[count++] as Waiting;
      this.bytes -= section.bytes;
      this.dropped += section.entries.length;
    }
    if (count === 0) return;
    const marks = this.waiting.splice(0, count).flatMap((section) => section.marks);
    const [next] = this.waiting;
    if (next === undefined) this.droppedMarks.push(...marks);
    else next.marks.unshift(...marks);
    this.settle();
  }
}
