import type { MessageKind } from '../message/fields.ts';
import type { TapEvent } from '../tap/events.ts';

/** Of so many names the messages are counted; of more, all together. */
const MAX_NAMES = 100_000;

export interface NameSummary {
  messages: number;
  /** Bytes of data. */
  bytes: number;
}

/** What is in a recording, by its events. */
export class Summary {
  /** Microseconds since 1970; 0 while there is no event. */
  first = 0;
  last = 0;
  events = 0;
  messages = 0;
  bytes = 0;
  refused = 0;
  missed = 0;
  lostEvents = 0;
  lostMessages = 0;
  readonly kinds = new Map<MessageKind, number>();
  readonly names = new Map<string, NameSummary>();
  /** Ksocks that were seen, by id: the name of the program. */
  readonly ksocks = new Map<number, string>();
  buses = new Set<number>();

  add(event: TapEvent): void {
    if (this.events++ === 0) this.first = event.time;
    this.last = Math.max(this.last, event.time);
    switch (event.type) {
      case 'begin':
        this.buses.add(event.bus);
        break;
      case 'ksock':
      case 'opened':
        if (this.ksocks.size < MAX_NAMES) this.ksocks.set(event.ksock, event.program);
        break;
      case 'messages':
        for (const message of event.messages) {
          this.messages++;
          this.bytes += message.wholeLength;
          this.kinds.set(message.kind, (this.kinds.get(message.kind) ?? 0) + 1);
          this.countName(message.name, message.wholeLength);
        }
        break;
      case 'refused':
        this.refused += event.count;
        break;
      case 'missed':
        this.missed += event.count;
        break;
      case 'lost':
        this.lostEvents += event.events;
        this.lostMessages += event.messages;
        break;
    }
  }

  private countName(name: string, bytes: number): void {
    const key = this.names.has(name) || this.names.size < MAX_NAMES ? name : '(other names)';
    let named = this.names.get(key);
    if (named === undefined) {
      named = { messages: 0, bytes: 0 };
      this.names.set(key, named);
    }
    named.messages++;
    named.bytes += bytes;
  }
}
