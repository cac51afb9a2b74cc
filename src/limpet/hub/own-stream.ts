import type { Message } from '../../message/message.ts';
import type { RecordBatch } from '../../message/record-batch.ts';
import { type AnyEntry, bytesOf, endOf, heardOf, isBatch } from './entries.ts';
import type { Entry } from './frame.ts';
import { weightOf } from './losses.ts';

/** Empty places at the front of the log before it moves. */
const MAX_EMPTY = 1024;

/**
 * What this Limpet has put into its stream and somebody may still need: the log. A Limpet that lost its way here asks for
 * the rest of the stream on another way, so only the Limpet that a message comes from keeps it.
 */
export class OwnStream {
  private log: (AnyEntry | null)[] = [];
  /** The index in `log` of the oldest entry kept. */
  private first = 0;
  /** The number of the oldest message kept; and that of the next one. */
  base = 1;
  end = 1;
  /** How many messages before `base` were for listeners; and how many there are. */
  private heardBeforeBase = 0;
  private heard = 0;
  /** How many Announcements went into the stream of a federation instead. */
  announced = 0;
  /** Bytes that the log holds. */
  bytes = 0;
  /** By key: up to which number other Limpets have the stream. */
  readonly acknowledged = new Map<string, number>();

  append(message: Message, dest: Entry['dest'], answers: number): Entry {
    if (answers === 0) this.heard += weightOf(message);
    const { end: n, heard, announced: after } = this;
    const entry: Entry = { n, heard, message, dest, answers, refusal: 0, after };
    this.push(entry);
    return entry;
  }

  appendBatch(batch: RecordBatch): void {
    this.push({ n: this.end, heard: this.heard + 1, batch });
    this.heard += batch.count;
  }

  private push(entry: AnyEntry): void {
    this.log.push(entry);
    this.end = endOf(entry);
    this.bytes += bytesOf(entry);
  }

  /** The index in `log` of the entry with number `n`, which is kept. */
  private indexOf(n: number): number {
    const { log } = this;
    let low = this.first;
    // An entry has at least one message.
    let high = Math.min(log.length - 1, low + n - this.base);
    if ((log[high] as AnyEntry).n <= n) return high;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((log[middle] as AnyEntry).n <= n) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  at(n: number): AnyEntry | undefined {
    if (n < this.base || n >= this.end) return undefined;
    return this.log[this.indexOf(n)] as AnyEntry;
  }

  /** The entries from this number on, with `most` messages or a little more. */
  from(n: number, most: number): AnyEntry[] {
    if (n >= this.end) return [];
    const { log } = this;
    const from = this.indexOf(n);
    let to = from;
    while (to < log.length && (log[to] as AnyEntry).n < n + most) to++;
    return log.slice(from, to) as AnyEntry[];
  }

  /** How many messages before this number, which must be kept or the next, were for listeners. */
  heardBefore(n: number): number {
    if (n === this.base) return this.heardBeforeBase;
    const entry = this.at(n - 1) as AnyEntry;
    return isBatch(entry) ? entry.heard + n - 1 - entry.n : entry.heard;
  }

  /** A Request that was answered already stays for listeners only: no Limpet has it carried out any more. */
  withdraw(n: number): void {
    const entry = this.at(n);
    if (entry === undefined || isBatch(entry)) return;
    this.log[this.indexOf(n)] = { ...entry, dest: null };
  }

  /** Throws away the entries all of which comes before this number. */
  dropBefore(n: number): void {
    while (this.first < this.log.length) {
      const entry = this.log[this.first] as AnyEntry;
      const end = endOf(entry);
      if (end > n) break;
      this.log[this.first++] = null;
      this.base = end;
      this.bytes -= bytesOf(entry);
      this.heardBeforeBase = heardOf(entry);
    }
    if (this.first < MAX_EMPTY || this.first * 2 < this.log.length) return;
    this.log = this.log.slice(this.first);
    this.first = 0;
  }
}
