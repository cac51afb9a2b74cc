import { appended } from '../message/append.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Head } from '../message/head.ts';
import { type Message, ReceivedMessage } from '../message/message.ts';
import { runStride } from '../wire/frames.ts';

/** A run of messages, as their data lie side by side: message objects are made when they are handed. */
export class LentRun {
  private head: Head;
  private readonly bytes: Uint8Array;
  private readonly stride: number;
  private readonly dataLength: number;
  private serial: number;
  private at: number;
  left: number;

  /** `count` messages with serial numbers from `serial` on; the first one's data are at `at` in `bytes`. */
  constructor(
    head: Head,
    serial: number,
    bytes: Uint8Array,
    at: number,
    dataLength: number,
    count: number,
  ) {
    this.head = head;
    this.serial = serial;
    this.bytes = bytes;
    this.at = at;
    this.stride = runStride(dataLength);
    this.dataLength = dataLength;
    this.left = count;
  }

  next(): Message {
    const { at, bytes, dataLength, head, serial } = this;
    const message = new ReceivedMessage(head, serial, bytes, at, dataLength);
    this.advance();
    return message;
  }

  /** The next one is shown by `borrowed`. */
  show(borrowed: BorrowedMessage): void {
    borrowed.show(this.head, this.serial, this.bytes, this.at, this.dataLength);
    this.advance();
  }

  private advance(): void {
    this.left--;
    this.serial++;
    this.at += this.stride;
    this.head = this.head.further(1);
  }
}

/** What the daemon has lent, and was not handed to the program yet; the oldest is handed first. */
export class Lent {
  private entries: (Message | LentRun)[] = [];
  private first = 0;
  /** The run whose messages are being handed: it comes before the entries. */
  private run: LentRun | null = null;
  /** How many messages they are. */
  length = 0;

  push(message: Message): void {
    this.entries = appended(this.entries, message);
    this.length++;
  }

  /** An urgent message is handed before all others. */
  pushFirst(message: Message): void {
    const { run } = this;
    this.run = null;
    if (run !== null) this.entries.splice(this.first, 0, message, run);
    else this.entries.splice(this.first, 0, message);
    this.length++;
  }

  pushRun(run: LentRun): void {
    this.entries = appended(this.entries, run);
    this.length += run.left;
  }

  /** The oldest, which is then not lent any more. */
  take(): Message | null {
    if (this.length === 0) return null;
    this.length--;
    const run = this.run ?? this.nextRun();
    if (run === null) return this.takeEntry() as Message;
    const message = run.next();
    if (run.left === 0) this.run = null;
    return message;
  }

  /** The oldest is shown by `borrowed`, and not lent any more; false when there is none. */
  show(borrowed: BorrowedMessage): boolean {
    if (this.length === 0) return false;
    this.length--;
    const run = this.run ?? this.nextRun();
    if (run === null) {
      borrowed.showMessage(this.takeEntry() as Message);
      return true;
    }
    run.show(borrowed);
    if (run.left === 0) this.run = null;
    return true;
  }

  /** The run that comes next, if it is one: its messages are handed from now on. */
  private nextRun(): LentRun | null {
    if (!(this.entries[this.first] instanceof LentRun)) return null;
    this.run = this.takeEntry() as LentRun;
    return this.run;
  }

  private takeEntry(): Message | LentRun {
    const entry = this.entries[this.first++] as Message | LentRun;
    if (this.first === this.entries.length) {
      this.entries = [];
      this.first = 0;
    }
    return entry;
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.run = null;
    this.length = 0;
  }
}
