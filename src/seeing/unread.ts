import type { MessageId } from '../message/id.ts';

/** Messages that were sent together, as the models keep them. */
export interface Sent<T> {
  readonly id: MessageId;
  /** When they were sent, in microseconds of the tap. */
  readonly time: number;
  /** What the model keeps of each; their ids rise by one. */
  readonly each: T[];
}

/** Some of them, in a queue. */
interface Entry<T> {
  readonly sent: Sent<T>;
  readonly binding: number;
  readonly queuedAt: number;
  /** Which of them are unread: from `first` on, up to `end`. */
  first: number;
  end: number;
}

/** How many entries of all queues are known; of more, the oldest of the queue that grows are forgotten. */
const MAX_ENTRIES = 300_000;

/** What all queues of a bus know together. */
export class Known {
  entries = 0;
}

const MAX_SEARCHED = 64;

/**
 * The unread messages of one Ksock, as the events of a tap tell of them. Those that came before the tap are only counted.
 */
export class Unread<T> {
  private entries: Entry<T>[] = [];
  private from = 0;
  /** Messages at the front of which nothing is known. */
  private unknown: number;
  private readonly since: number;
  private readonly known: Known;

  /** `unknown` messages were there at the time `since`. */
  constructor(unknown: number, since: number, known: Known) {
    this.unknown = unknown;
    this.since = since;
    this.known = known;
  }

  queued(
    sent: Sent<T>,
    id: MessageId,
    count: number,
    binding: number,
    time: number,
    atFront: boolean,
  ): void {
    const first = id.serialNum - sent.id.serialNum;
    const entry = { sent, binding, queuedAt: time, first, end: first + count };
    if (!atFront) this.entries.push(entry);
    else if (this.from > 0) this.entries[--this.from] = entry;
    else this.entries.unshift(entry);
    if (++this.known.entries <= MAX_ENTRIES) return;
    const oldest = this.entries[this.from] as Entry<T>;
    this.unknown += oldest.end - oldest.first;
    this.drop(this.from);
  }

  /** The Ksock read messages from `id` on: tells of each that is known, with the time at which it was queued. */
  read(
    id: MessageId,
    count: number,
    tell: (one: T, queuedAt: number, sent: Sent<T>) => void,
  ): void {
    for (let left = count; left > 0; ) {
      const serial = id.serialNum + (count - left);
      const at = this.find(id.networkId, serial);
      if (at < 0) {
        this.unknown = Math.max(0, this.unknown - left);
        return;
      }
      const entry = this.entries[at] as Entry<T>;
      const { sent, queuedAt } = entry;
      const some = Math.min(left, entry.end - entry.first);
      for (let index = 0; index < some; index++) {
        tell(sent.each[entry.first + index] as T, queuedAt, sent);
      }
      entry.first += some;
      left -= some;
      if (entry.first === entry.end) this.drop(at);
    }
  }

  /** The messages that came by a binding have left. */
  unbound(binding: number): void {
    const kept = this.entries.slice(this.from).filter((entry) => entry.binding !== binding);
    this.known.entries -= this.entries.length - this.from - kept.length;
    this.entries = kept;
    this.from = 0;
  }

  /** The Ksock has left. */
  clear(): void {
    this.known.entries -= this.entries.length - this.from;
    this.entries = [];
    this.from = 0;
  }

  /** The message has left the queue unread: its requester gave it up. */
  takenBack(id: MessageId): void {
    const at = this.find(id.networkId, id.serialNum);
    if (at < 0) return;
    const entry = this.entries[at] as Entry<T>;
    const index = id.serialNum - entry.sent.id.serialNum;
    const behind = { ...entry, first: index + 1 };
    entry.end = index;
    if (behind.first < behind.end) {
      this.entries.splice(at + 1, 0, behind);
      this.known.entries++;
    }
    if (entry.first === entry.end) this.drop(at);
  }

  /** When the message at the front was queued; null if there is none. `isAtLeast`: it was there before. */
  get oldest(): { time: number; isAtLeast: boolean } | null {
    if (this.unknown > 0) return { time: this.since, isAtLeast: true };
    const entry = this.entries[this.from];
    return entry === undefined ? null : { time: entry.queuedAt, isAtLeast: false };
  }

  /** The entry that has this message, mostly the one at the front; -1: none. */
  private find(network: number, serial: number): number {
    // Behind messages of which nothing is known, it is hardly worth a long search.
    const end =
      this.unknown > 0
        ? Math.min(this.entries.length, this.from + MAX_SEARCHED)
        : this.entries.length;
    for (let at = this.from; at < end; at++) {
      const { sent, first, end } = this.entries[at] as Entry<T>;
      const index = serial - sent.id.serialNum;
      if (sent.id.networkId === network && index >= first && index < end) return at;
    }
    return -1;
  }

  private drop(at: number): void {
    this.known.entries--;
    if (at === this.from) {
      this.from++;
      // Now and then, so that each entry is moved only a few times.
      if (this.from > 64 && this.from * 2 > this.entries.length) {
        this.entries.splice(0, this.from);
        this.from = 0;
      }
    } else {
      this.entries.splice(at, 1);
    }
  }
}
