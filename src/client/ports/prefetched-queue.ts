import { appended } from '../../base/appended.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import type { Message } from '../../message/message.ts';
import { PrefetchedBatch } from './prefetched-batch.ts';

/** Prefetched messages that the program has not consumed yet, oldest first. */
export class PrefetchedQueue {
  private items: (Message | PrefetchedBatch)[] = [];
  private first = 0;
  /** The batch that is being read: its messages come before all others. */
  batch: PrefetchedBatch | null = null;
  /** The number of messages. */
  length = 0;

  push(message: Message): void {
    this.items = appended(this.items, message);
    this.length++;
  }

  /** Adds urgent messages in front of all others. */
  pushFirst(urgent: PrefetchedBatch): void {
    this.length += urgent.left;
    const { batch } = this;
    this.batch = null;
    if (batch !== null) this.items.splice(this.first, 0, urgent, batch);
    else this.items.splice(this.first, 0, urgent);
  }

  pushBatch(batch: PrefetchedBatch): void {
    this.items = appended(this.items, batch);
    this.length += batch.left;
  }

  /** Takes the first message. */
  take(): Message | null {
    if (this.length === 0) return null;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) return this.takeItem() as Message;
    const message = batch.next();
    if (batch.left === 0) this.batch = null;
    return message;
  }

  /** Takes the first message and lets `borrowed` show it; false if there is none. */
  show(borrowed: BorrowedMessage): boolean {
    if (this.length === 0) return false;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) {
      borrowed.showMessage(this.takeItem() as Message);
      return true;
    }
    batch.show(borrowed);
    if (batch.left === 0) this.batch = null;
    return true;
  }

  /** Makes the next item the current batch, if it is one. */
  nextBatch(): PrefetchedBatch | null {
    if (!(this.items[this.first] instanceof PrefetchedBatch)) return null;
    this.batch = this.takeItem() as PrefetchedBatch;
    return this.batch;
  }

  private takeItem(): Message | PrefetchedBatch {
    const item = this.items[this.first++] as Message | PrefetchedBatch;
    if (this.first === this.items.length) {
      this.items = [];
      this.first = 0;
    }
    return item;
  }

  clear(): void {
    this.items = [];
    this.first = 0;
    this.batch = null;
    this.length = 0;
  }
}
