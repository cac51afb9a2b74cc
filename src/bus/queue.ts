import type { Binding } from './binding-tree.ts';
import type { MessageBatch } from './message-batch.ts';
import type { RequestRecord } from './requests.ts';
import { Ring } from './ring.ts';
import { COSTS } from './settings.ts';

/**
 * The unread messages of one Ksock: a ring that is cheap at both ends. An entry is a batch, the binding that it came by
 * (none for a Reply to the requester, and for a Status), and how many of its messages have been read. The Replier must
 * answer a Request whose entry came by its binding as Replier.
 *
 * A mark may stand between two messages: a driver that prefetches keeps there how far it has come.
 */
export class Queue {
  private readonly ring = new Ring();
  /** Number of entries. */
  entries = 0;
  /** Number of unread messages. */
  length = 0;
  /** Bytes that count against `maxQueuedBytesPerKsock`: the sizes of the batches (spec 1 §4.4), and what entries cost. */
  weight = 0;
  private markEntry = 0;
  /** How many messages of the entry at the mark stand before the mark, those that were read included. */
  private markWithin = 0;

  /** The batch of an entry; 0 is the front. */
  batch(entry: number): MessageBatch {
    return this.ring.batch(entry) as MessageBatch;
  }

  binding(entry: number): Binding | null {
    return this.ring.binding(entry);
  }

  /** How many messages of the batch at `entry` have been read. */
  readOf(entry: number): number {
    return this.ring.read(entry);
  }

  pushBack(batch: MessageBatch, binding: Binding | null): void {
    const { ring } = this;
    if (this.entries === ring.capacity) ring.grow();
    ring.set(this.entries, batch, binding);
    this.entries++;
    this.length += batch.count;
    this.weight += batch.size + ENTRY_COST;
  }

  pushFront(batch: MessageBatch, binding: Binding | null): void {
    const { ring } = this;
    if (this.entries === ring.capacity) ring.grow();
    ring.turn(-1);
    ring.set(0, batch, binding);
    this.entries++;
    this.length += batch.count;
    this.weight += batch.size + ENTRY_COST;
  }

  /**
   * Takes `count` messages out of the entry at `entry`, which must have that many. If none is left, the entry goes, and
   * the entries before it move up: true.
   */
  drop(entry: number, count = 1): boolean {
    if (!this.advance(entry, count)) return false;
    if (entry > 0) {
      this.dropRead(entry, 1);
      return true;
    }
    this.ring.forget(0);
    this.ring.turn(1);
    this.entries--;
    if (this.markEntry > 0) this.markEntry--;
    else this.markWithin = 0;
    if (this.entries === 0) this.rest();
    return true;
  }

  /** The same, but an entry of which all is read stays until `dropRead`. */
  advance(entry: number, count: number): boolean {
    const batch = this.batch(entry);
    const read = this.readOf(entry) + count;
    this.length -= count;
    this.ring.setRead(entry, read);
    // The memory of a batch is free when all of it has been read.
    if (read < batch.count) return false;
    this.weight -= batch.size + ENTRY_COST;
    return true;
  }

  /** Removes `count` entries from `entry` on, of which all is read; the entries before them move up. */
  dropRead(entry: number, count: number): void {
    if (count === 0) return;
    const { ring } = this;
    for (let at = entry - 1; at >= 0; at--) ring.move(at, at + count);
    for (let at = 0; at < count; at++) ring.forget(at);
    ring.turn(count);
    this.entries -= count;
    if (this.markEntry >= entry + count) {
      this.markEntry -= count;
    } else if (this.markEntry >= entry) {
      this.markEntry = entry;
      this.markWithin = 0;
    }
    if (this.entries === 0) this.rest();
  }

  /** An idle Ksock gives back the memory of a busy hour. */
  private rest(): void {
    if (this.ring.capacity > IDLE_CAPACITY) this.clear();
  }

  /**
   * Removes every entry of a binding, front to back; `removed` gets each batch and how many of its messages were read.
   * Moves the mark to the front.
   */
  remove(binding: Binding, removed: (batch: MessageBatch, read: number) => void): void {
    let kept = 0;
    for (let entry = 0; entry < this.entries; entry++) {
      // The batches of others are not looked at: they are spread over memory.
      if (this.binding(entry) !== binding) {
        if (kept !== entry) this.ring.move(entry, kept);
        kept++;
        continue;
      }
      const batch = this.batch(entry);
      const read = this.readOf(entry);
      this.length -= batch.count - read;
      this.weight -= batch.size + ENTRY_COST;
      removed(batch, read);
    }
    for (let entry = kept; entry < this.entries; entry++) this.ring.forget(entry);
    this.entries = kept;
    this.unmark();
  }

  /**
   * Finds the Request of this record behind the mark: its entry, and its index in the batch there. Null when it stands
   * before the mark, or is not in the queue.
   */
  findRequest(request: RequestRecord): { entry: number; index: number } | null {
    for (let entry = this.markEntry; entry < this.entries; entry++) {
      if (this.binding(entry)?.replier !== true) continue;
      const batch = this.batch(entry);
      // The serial numbers in a batch rise by one.
      const index = batch.count === 1 ? 0 : request.serial - batch.idSerial;
      if (index < 0 || index >= batch.count || batch.requestOf(index) !== request) continue;
      const first = entry === this.markEntry ? this.markedWithin : this.readOf(entry);
      return index < first ? null : { entry, index };
    }
    return null;
  }

  /**
   * Takes the message at `index`, which must be behind the mark, out of the batch at `entry`; all others keep their
   * order. The messages before and behind it become entries of their own. Gives the batches that replaced the batch of
   * the entry, if any; null when the entry still holds that batch.
   */
  takeOut(entry: number, index: number): MessageBatch[] | null {
    const batch = this.batch(entry);
    if (index === this.readOf(entry)) return this.drop(entry) ? [] : null;
    const before = batch.stretch(0, index);
    const count = batch.count - index - 1;
    const behind = count === 0 ? null : batch.stretch(index + 1, count);
    const isMarkedBefore = entry === this.markEntry && this.markedWithin === index;
    this.ring.setBatch(entry, before);
    if (behind !== null) this.putBehind(entry, behind);
    if (isMarkedBefore) {
      this.markEntry++;
      this.markWithin = 0;
    }
    this.length--;
    this.weight += before.size - batch.size;
    if (behind !== null) this.weight += behind.size + ENTRY_COST;
    return behind === null ? [before] : [before, behind];
  }

  /** Inserts a batch, of which nothing has been read, behind `entry`; the entries up to `entry` move down. */
  private putBehind(entry: number, batch: MessageBatch): void {
    const { ring } = this;
    const binding = this.binding(entry);
    if (this.entries === ring.capacity) ring.grow();
    ring.turn(-1);
    this.entries++;
    for (let at = 0; at <= entry; at++) ring.move(at + 1, at);
    ring.set(entry + 1, batch, binding);
  }

  clear(): void {
    this.ring.clear();
    this.entries = 0;
    this.length = 0;
    this.weight = 0;
    this.unmark();
  }

  // The mark

  /** The entry behind the mark. */
  get marked(): number {
    return this.markEntry;
  }

  /** How many messages of the entry behind the mark stand before the mark. */
  get markedWithin(): number {
    return Math.max(this.markWithin, this.readOf(this.markEntry));
  }

  /** Moves the mark past `count` messages of the entry behind it. */
  mark(count: number): void {
    const within = this.markedWithin + count;
    if (within < this.batch(this.markEntry).count) {
      this.markWithin = within;
    } else {
      this.markEntry++;
      this.markWithin = 0;
    }
  }

  /** An entry was put to the front, before the mark. */
  markFront(): void {
    this.markEntry++;
  }

  /** Moves the mark to the front. */
  unmark(): void {
    this.markEntry = 0;
    this.markWithin = 0;
  }
}

/** An empty ring with more entries than this is given back. */
const IDLE_CAPACITY = 16384;

/** Bytes that an entry counts beside its messages. */
const ENTRY_COST = COSTS.message + COSTS.place;
