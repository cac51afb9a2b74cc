import type { Message } from '../../message/message.ts';
import type { Entry } from './frame.ts';

/** What it costs to keep an entry, beside its name and data, in bytes: about as measured. */
const ENTRY_BYTES = 256;

/** Empty places at the front of the log before it moves. */
const MAX_EMPTY = 1024;

/**
 * What this Limpet has put into its stream and somebody may still need: the log. A Limpet that lost its way here asks for
 * the rest of the stream on another way, so only the Limpet that a message comes from keeps it.
 */
export class OwnStream {
  private log: (Entry | null)[] = [];
  /** The index in `log` of number `base`. */
  private first = 0;
  /** The number of the oldest entry kept. */
  base = 1;
  /** How many entries before `base` were for listeners. */
  private heardBeforeBase = 0;
  private heard = 0;
  /** How many Announcements went into the stream of a federation instead. */
  announced = 0;
  /** Bytes that the log holds. */
  bytes = 0;
  /** By key: up to which number other Limpets have the stream. */
  readonly acknowledged = new Map<string, number>();

  /** The number of the next entry. */
  get end(): number {
    return this.base + this.log.length - this.first;
  }

  append(message: Message, dest: Entry['dest'], answers: number): Entry {
    if (answers === 0) this.heard++;
    const { end: n, heard, announced: after } = this;
    const entry: Entry = { n, heard, message, dest, answers, refusal: 0, after };
    this.log.push(entry);
    this.bytes += bytesOf(entry);
    return entry;
  }

  at(n: number): Entry | undefined {
    return n < this.base ? undefined : (this.log[this.first + n - this.base] ?? undefined);
  }

  /** The entries from this number on, at most `count`. */
  from(n: number, count: number): Entry[] {
    const at = this.first + n - this.base;
    return this.log.slice(at, at + count) as Entry[];
  }

  /** How many entries before this number, which must be kept or the next, were for listeners. */
  heardBefore(n: number): number {
    return n === this.base ? this.heardBeforeBase : (this.at(n - 1) as Entry).heard;
  }

  bytesAt(n: number): number {
    return bytesOf(this.at(n) as Entry);
  }

  /** A Request that was answered already stays for listeners only: no Limpet has it carried out any more. */
  withdraw(n: number): void {
    const entry = this.at(n);
    if (entry !== undefined) this.log[this.first + n - this.base] = { ...entry, dest: null };
  }

  /** Throws away what comes before this number. */
  dropBefore(n: number): void {
    while (this.base < n && this.first < this.log.length) {
      const entry = this.log[this.first] as Entry;
      this.log[this.first++] = null;
      this.base++;
      this.bytes -= bytesOf(entry);
      this.heardBeforeBase = entry.heard;
    }
    if (this.first < MAX_EMPTY || this.first * 2 < this.log.length) return;
    this.log = this.log.slice(this.first);
    this.first = 0;
  }
}

/** What an entry takes while it is kept, in bytes. */
export function bytesOf({ message: { name, dataSize } }: Entry): number {
  return ENTRY_BYTES + name.length + dataSize;
}
