import type { MessageId } from '../message/id.ts';
import type { EventOf, SeenMessage, TapEvent } from '../tap/events.ts';
import type { Sent } from './unread.ts';

/** How many senders' waiting messages are kept. */
const MAX_WAITING = 10_000;

/**
 * Finds the messages that events are about by their ids: those that are being sent now, and those that wait for room.
 * `keep` makes what a model keeps of each message.
 */
export class Sends<T> {
  private readonly keep: (message: SeenMessage, event: EventOf<'messages'>) => T;
  private current: Sent<T> | null = null;
  private from = 0;
  /** The event before was one of messages: another one continues it. */
  private isOpen = false;
  private readonly waiting = new Map<number, Sent<T>>();

  constructor(keep: (message: SeenMessage, event: EventOf<'messages'>) => T) {
    this.keep = keep;
  }

  /** Call it with each event, before anything else. */
  apply(event: TapEvent): void {
    const { isOpen } = this;
    this.isOpen = event.type === 'messages';
    switch (event.type) {
      case 'messages':
        this.messages(event, isOpen);
        break;
      case 'waiting': {
        const sent = this.of(event.id);
        const isNew = sent !== null && !this.waiting.has(event.ksock);
        if (isNew && this.waiting.size < MAX_WAITING) this.waiting.set(event.ksock, sent);
        break;
      }
      case 'begin':
        this.waiting.clear();
        this.current = null;
        break;
    }
  }

  /** Call it when an event is done with. */
  done(event: TapEvent): void {
    switch (event.type) {
      case 'sent':
      case 'refused':
        if (event.attempt !== 'send') this.waiting.delete(event.ksock);
        break;
      case 'discarded':
      case 'closed':
        this.waiting.delete(event.ksock);
        break;
    }
  }

  private messages(event: EventOf<'messages'>, continues: boolean): void {
    const { current } = this;
    const kept = event.messages.map((message) => this.keep(message, event));
    if (continues && current !== null && this.from === event.from) {
      const { networkId, serialNum } = current.id;
      const isNext = event.id.serialNum === serialNum + current.each.length;
      if (isNext && event.id.networkId === networkId) {
        for (const one of kept) current.each.push(one);
        return;
      }
    }
    this.from = event.from;
    this.current = { id: event.id, time: event.time, each: kept };
  }

  /** The messages that include this one; null if they are not known. */
  of(id: MessageId): Sent<T> | null {
    if (this.current !== null && includes(this.current, id)) return this.current;
    for (const sent of this.waiting.values()) if (includes(sent, id)) return sent;
    return null;
  }

  /** What was kept of `count` messages from `id` on, as far as they are known. */
  *each(id: MessageId, count: number): Generator<T> {
    const sent = this.of(id);
    if (sent === null) return;
    const first = id.serialNum - sent.id.serialNum;
    for (let at = first; at < first + count && at < sent.each.length; at++) {
      yield sent.each[at] as T;
    }
  }
}

function includes({ id, each }: Sent<unknown>, { networkId, serialNum }: MessageId): boolean {
  const index = serialNum - id.serialNum;
  return id.networkId === networkId && index >= 0 && index < each.length;
}
