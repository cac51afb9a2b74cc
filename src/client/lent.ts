import { appended } from '../message/append.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Head } from '../message/head.ts';
import { type Message, ReceivedMessage } from '../message/message.ts';
import {
  Field,
  fieldsAt,
  HEAD_AT,
  type HeadReader,
  headLengthAt,
  SAME,
} from '../message/records.ts';
import { padded, readU32 } from '../message/u32.ts';
import type { Memory } from '../wire/frames.ts';
import { Slab } from '../wire/slab.ts';

/** So many bytes of messages are kept together: who keeps one of them keeps all, and no more. */
const KEPT_TOGETHER = 4 * 1024;

/** From this size on, a message is given where it lies. */
const BY_REFERENCE = 16 * 1024;

/**
 * Where messages go that are given to somebody who may keep them: out of the memory that is read to, which is large,
 * and can be read to again then.
 */
export class KeptMemory {
  readonly slab: Slab;
  /** How many were given where they lay. */
  referenced = 0;

  constructor(memory: Memory) {
    this.slab = new Slab(2 * KEPT_TOGETHER, memory);
  }
}

const NO_HEAD = new Head('', 0);

/** Messages as they lie side by side in a frame: objects are made when they are handed. */
export class LentBatch {
  private readonly heads: HeadReader;
  private readonly kept: KeptMemory;
  /** What was read; `bytes` is that, or memory to keep. */
  private readonly source: Uint8Array;
  private bytes: Uint8Array;
  /** How far the same place is behind in `source`. */
  private shift = 0;
  /** How many may be given from where they are now. */
  private keptLeft = 0;
  private readonly from: number;
  private readonly you: number;
  private at: number;
  private head = NO_HEAD;
  private serial: number;
  left: number;

  // The message that was come to last.
  private dataAt = 0;
  private dataLength = 0;
  private idSerial = 0;

  /**
   * `count` records from `at` on, which passed `checkRecords`, of messages that `from` sent. Their serial numbers
   * begin with `serial`, and their reader sees the flags `you` beside their own.
   */
  constructor(
    heads: HeadReader,
    kept: KeptMemory,
    bytes: Uint8Array,
    at: number,
    count: number,
    from: number,
    serial: number,
    you: number,
  ) {
    this.heads = heads;
    this.kept = kept;
    this.source = bytes;
    this.bytes = bytes;
    this.at = at;
    this.left = count;
    this.from = from;
    this.serial = serial;
    this.you = you;
  }

  next(): Message {
    if (this.keptLeft === 0) this.keep();
    this.keptLeft--;
    this.advance();
    return new ReceivedMessage(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
  }

  /** The next one is shown by `borrowed`. */
  show(borrowed: BorrowedMessage): void {
    if (this.keptLeft > 0) this.keptLeft--;
    else this.goBack();
    this.advance();
    borrowed.show(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
  }

  /** Copies the next few to memory that may be kept. */
  private keep(): void {
    this.goBack();
    const { at, kept, source } = this;
    let end = endOfRecord(source, at);
    let count = 1;
    for (; count < this.left; count++) {
      const next = endOfRecord(source, end);
      if (next - at > KEPT_TOGETHER) break;
      end = next;
    }
    this.keptLeft = count;
    if (end - at >= BY_REFERENCE) {
      kept.referenced++;
      return;
    }
    const { slab } = kept;
    slab.keep(source, at, end - at, 0);
    this.bytes = slab.bytes;
    this.at = slab.at;
    this.shift = at - slab.at;
  }

  /** The next one lies where it was read. */
  private goBack(): void {
    if (this.bytes === this.source) return;
    this.bytes = this.source;
    this.at += this.shift;
  }

  private advance(): void {
    const { at, bytes } = this;
    const word = readU32(bytes, at);
    this.left--;
    this.idSerial = this.serial++;
    if (word >= SAME) {
      this.dataLength = word - SAME;
      this.dataAt = at + HEAD_AT;
      this.head = this.head.further(1);
    } else {
      const headAt = at + HEAD_AT;
      this.dataLength = word;
      this.dataAt = headAt + headLengthAt(bytes, headAt);
      this.head = this.heads.read(bytes, headAt, this.from, this.you);
      if ((fieldsAt(bytes, headAt) & Field.ID) !== 0) {
        this.idSerial = this.heads.serial(bytes, headAt);
      }
    }
    this.at = this.dataAt + padded(this.dataLength);
  }
}

function endOfRecord(bytes: Uint8Array, at: number): number {
  const word = readU32(bytes, at);
  const dataAt = at + HEAD_AT;
  if (word >= SAME) return dataAt + padded(word - SAME);
  return dataAt + headLengthAt(bytes, dataAt) + padded(word);
}

/** What the daemon has lent, and was not handed to the program yet; the oldest is handed first. */
export class Lent {
  private entries: (Message | LentBatch)[] = [];
  private first = 0;
  /** Those whose messages are being handed: they come before the entries. */
  private batch: LentBatch | null = null;
  /** How many messages they are. */
  length = 0;

  push(message: Message): void {
    this.entries = appended(this.entries, message);
    this.length++;
  }

  /** Urgent messages are handed before all others. */
  pushFirst(urgent: LentBatch): void {
    this.length += urgent.left;
    const { batch } = this;
    this.batch = null;
    if (batch !== null) this.entries.splice(this.first, 0, urgent, batch);
    else this.entries.splice(this.first, 0, urgent);
  }

  pushBatch(batch: LentBatch): void {
    this.entries = appended(this.entries, batch);
    this.length += batch.left;
  }

  /** The oldest, which is then not lent any more. */
  take(): Message | null {
    if (this.length === 0) return null;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) return this.takeEntry() as Message;
    const message = batch.next();
    if (batch.left === 0) this.batch = null;
    return message;
  }

  /** The oldest is shown by `borrowed`, and not lent any more; false when there is none. */
  show(borrowed: BorrowedMessage): boolean {
    if (this.length === 0) return false;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) {
      borrowed.showMessage(this.takeEntry() as Message);
      return true;
    }
    batch.show(borrowed);
    if (batch.left === 0) this.batch = null;
    return true;
  }

  /** The batch that comes next, if it is one: its messages are handed from now on. */
  private nextBatch(): LentBatch | null {
    if (!(this.entries[this.first] instanceof LentBatch)) return null;
    this.batch = this.takeEntry() as LentBatch;
    return this.batch;
  }

  private takeEntry(): Message | LentBatch {
    const entry = this.entries[this.first++] as Message | LentBatch;
    if (this.first === this.entries.length) {
      this.entries = [];
      this.first = 0;
    }
    return entry;
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.batch = null;
    this.length = 0;
  }
}
