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

const NO_HEAD = new Head('', 0);

/** Messages as they lie side by side in a frame: objects are made when they are handed. */
export class LentBatch {
  private readonly heads: HeadReader;
  private readonly bytes: Uint8Array;
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
    bytes: Uint8Array,
    at: number,
    count: number,
    from: number,
    serial: number,
    you: number,
  ) {
    this.heads = heads;
    this.bytes = bytes;
    this.at = at;
    this.left = count;
    this.from = from;
    this.serial = serial;
    this.you = you;
  }

  next(): Message {
    this.advance();
    return new ReceivedMessage(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
  }

  /** The next one is shown by `borrowed`. */
  show(borrowed: BorrowedMessage): void {
    this.advance();
    borrowed.show(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
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
