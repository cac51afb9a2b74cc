import { appended } from '../message/append.ts';
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
    const { at, dataLength, head, stride } = this;
    this.left--;
    this.at = at + stride;
    this.head = head.further(1);
    return new ReceivedMessage(head, this.serial++, this.bytes, at, dataLength);
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
    const { run } = this;
    if (run === null) return this.takeEntry();
    this.length--;
    const message = run.next();
    if (run.left === 0) this.run = null;
    return message;
  }

  private takeEntry(): Message | null {
    if (this.length === 0) return null;
    const entry = this.entries[this.first++] as Message | LentRun;
    if (this.first === this.entries.length) {
      this.entries = [];
      this.first = 0;
    }
    if (entry instanceof LentRun) {
      this.run = entry;
      return this.take();
    }
    this.length--;
    return entry;
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.run = null;
    this.length = 0;
  }
}
