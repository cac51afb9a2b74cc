import type { Message } from '../message/message.ts';

/** An iterator over the messages of a Ksock, until `next` gives null. */
export class Messages implements AsyncIterableIterator<Message> {
  private readonly nextMessage: () => Promise<Message | null>;
  private readonly stop: () => Promise<void>;

  constructor(next: () => Promise<Message | null>, stop: () => Promise<void>) {
    this.nextMessage = next;
    this.stop = stop;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    const message = await this.nextMessage();
    return message === null ? { value: undefined, done: true } : { value: message, done: false };
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    await this.stop();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
