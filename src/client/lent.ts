import type { Head } from '../message/head.ts';
import { Message } from '../message/message.ts';

/** Messages that are alike, as their data lie side by side: message objects are made when they are handed. */
class LentRun {
  private readonly head: Head;
  private readonly buffer: ArrayBufferLike;
  private readonly stride: number;
  private readonly dataLength: number;
  private serial: number;
  private at: number;
  left: number;

  constructor(
    head: Head,
    serial: number,
    bytes: Uint8Array,
    at: number,
    stride: number,
    dataLength: number,
    count: number,
  ) {
    this.head = head;
    this.serial = serial;
    this.buffer = bytes.buffer;
    this.at = bytes.byteOffset + at;
    this.stride = stride;
    this.dataLength = dataLength;
    this.left = count;
  }

  next(): Message {
    const { at, dataLength, stride } = this;
    this.left--;
    this.at = at + stride;
    return Message.received(this.head, this.serial++, new Uint8Array(this.buffer, at, dataLength));
  }
}

/** What the daemon has lent, and was not handed to the program yet; the oldest is handed first. */
export class Lent {
  private entries: (Message | LentRun)[] = [];
  private first = 0;
  /** How many messages they are. */
  length = 0;

  push(message: Message): void {
    this.entries.push(message);
    this.length++;
  }

  /** An urgent message is handed before all others. */
  pushFirst(message: Message): void {
    this.entries.splice(this.first, 0, message);
    this.length++;
  }

  /** `count` messages of one head, whose data, each `dataLength` bytes, lie `stride` bytes apart. */
  pushRun(
    head: Head,
    serial: number,
    bytes: Uint8Array,
    at: number,
    stride: number,
    dataLength: number,
    count: number,
  ): void {
    this.entries.push(new LentRun(head, serial, bytes, at, stride, dataLength, count));
    this.length += count;
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

  private drop(): void {
    this.first++;
    if (this.first === this.entries.length) {
      this.entries = [];
      this.first = 0;
    }
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.length = 0;
  }
}
