import type { Head } from '../message/head.ts';
import { Message } from '../message/message.ts';
import { runStride } from '../wire/frames.ts';

/** A run of messages, as their data lie side by side: message objects are made when they are handed. */
export class LentRun {
  private head: Head;
  private readonly buffer: ArrayBufferLike;
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
    this.buffer = bytes.buffer;
    this.at = bytes.byteOffset + at;
    this.stride = runStride(dataLength);
    this.dataLength = dataLength;
    this.left = count;
  }

  next(): Message {
    const { at, dataLength, head, stride } = this;
    this.left--;
    this.at = at + stride;
    this.head = head.further(1);
    return Message.received(head, this.serial++, new Uint8Array(this.buffer, at, dataLength));
  }
}

/** With more entries than this, an array is not kept when it is empty. */
const FEW = 64;

/** What the daemon has lent, and was not handed to the program yet; the oldest is handed first. */
export class Lent {
  // Those from `first` up to `end`.
  private entries: (Message | LentRun | undefined)[] = [];
  private first = 0;
  private end = 0;
  /** How many messages they are. */
  length = 0;

  push(message: Message): void {
    this.entries[this.end++] = message;
    this.length++;
  }

  /** An urgent message is handed before all others. */
  pushFirst(message: Message): void {
    this.entries.splice(this.first, 0, message);
    this.end++;
    this.length++;
  }

  pushRun(run: LentRun): void {
    this.entries[this.end++] = run;
    this.length += run.left;
  }

  /** The oldest, which is then not lent any more. */
  take(): Message | null {
    if (this.length === 0) return null;
    this.length--;
    const entry = this.entries[this.first] as Message | LentRun;
    if (entry instanceof LentRun) {
      const message = entry.next();
      if (entry.left === 0) this.drop();
      return message;
    }
    this.drop();
    return entry;
  }

  /** The last of a few leaves the array as it is: the next few find room in it. */
  private drop(): void {
    this.entries[this.first++] = undefined;
    if (this.first < this.end) return;
    if (this.end > FEW) this.entries = [];
    this.first = 0;
    this.end = 0;
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.end = 0;
    this.length = 0;
  }
}
