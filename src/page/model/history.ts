import type { MessageKind } from '../../message/fields.ts';
import type { MessageId } from '../../message/id.ts';
import type { EventOf, SeenMessage, TapEvent } from '../../tap/events.ts';
import { KBUS } from './programs.ts';

/** A message in the queue of one Ksock. */
export interface Copy {
  readonly ksock: number;
  /** The name that it came by; '' for an answer. */
  readonly binding: string;
  readonly isReplier: boolean;
  readonly queuedAt: number;
  /** When it was read; -1: not yet. */
  readAt: number;
}

/** One message, and what became of it. Times are microseconds of the page's clock (see BusModel). */
export interface Entry {
  /** Its place among all messages that the page has seen, from 0. */
  readonly seq: number;
  readonly time: number;
  readonly message: SeenMessage;
  readonly kind: MessageKind;
  readonly name: string;
  /** The Ksock that sent it; 0: KBUS. */
  readonly from: number;
  /** Those who got it, in the order of its delivery. */
  copies: readonly Copy[];
  /** Listeners that missed it. */
  missed: readonly number[];
  state: 'sending' | 'sent' | 'refused' | 'waiting' | 'discarded';
  /** Why it was refused. */
  errno: number;
  /** The Reply or Status to this Request. */
  answer: Entry | null;
  answeredAt: number;
  /** The Request that this one answers. */
  request: Entry | null;
  /** The requester waits no more. */
  givenUpAt: number;
}

/** How many messages, and bytes of their data, are kept at most. */
export interface HistoryLimits {
  readonly messages: number;
  readonly bytes: number;
}

const LIMITS: HistoryLimits = { messages: 50_000, bytes: 48 * 1024 * 1024 };

const NONE: readonly never[] = [];

/**
 * The latest messages of a bus, and what became of them: a bounded number, of which the oldest are forgotten. It is kept by
 * the events of a tap.
 */
export class History {
  /** The first message that is kept, and the one after the last. */
  first = 0;
  end = 0;
  private readonly limits: HistoryLimits;
  private readonly ring: Entry[] = [];
  private readonly byId = new Map<string, Entry>();
  private readonly bindings = new Map<number, { name: string; replier: boolean }>();
  private bytes = 0;
  private startedAt = 0;

  constructor(limits: HistoryLimits = LIMITS) {
    this.limits = limits;
  }

  get(seq: number): Entry | undefined {
    return seq < this.first || seq >= this.end ? undefined : this.ring[seq % this.limits.messages];
  }

  /** The message with this id, such as `[0:349]`. */
  find(id: string): Entry | undefined {
    return this.byId.get(id);
  }

  apply(event: TapEvent): void {
    switch (event.type) {
      case 'begin':
        this.begin(event);
        break;
      case 'binding':
      case 'bound':
        this.bindings.set(event.binding, { name: event.name, replier: event.replier });
        break;
      case 'unbound':
        this.bindings.delete(event.binding);
        break;
      case 'messages':
        for (const message of event.messages) this.add(message, event.from, event.time);
        break;
      case 'queued':
        this.queued(event);
        break;
      case 'missed':
        this.each(event, (entry) => {
          entry.missed = [...entry.missed, event.ksock];
        });
        break;
      case 'read':
        this.read(event);
        break;
      case 'sent':
        this.each(event, (entry) => {
          entry.state = 'sent';
        });
        break;
      case 'waiting':
        this.each(event, (entry) => {
          entry.state = 'waiting';
        });
        break;
      case 'discarded': {
        const entry = this.byId.get(String(event.id));
        if (entry !== undefined) entry.state = 'discarded';
        break;
      }
      case 'refused':
        this.refused(event);
        break;
      case 'answered':
        this.answered(event);
        break;
      case 'givenUp': {
        const entry = this.byId.get(String(event.request));
        if (entry !== undefined) entry.givenUpAt = event.time;
        break;
      }
    }
  }

  /** Of another tap, perhaps of another daemon: ids may begin anew, and what was before does not change any more. */
  private begin({ startedAt }: EventOf<'begin'>): void {
    this.bindings.clear();
    if (this.startedAt !== startedAt) this.byId.clear();
    this.startedAt = startedAt;
  }

  private add(message: SeenMessage, sender: number, time: number): Entry {
    // A Status has the id of the Replier in whose place KBUS answers.
    const from = message.isSynthetic() ? KBUS : sender;
    const { limits, ring } = this;
    const entry: Entry = {
      seq: this.end,
      time,
      message,
      kind: message.kind,
      name: message.name,
      from,
      copies: NONE,
      missed: NONE,
      // What KBUS makes, nobody sends.
      state: from === KBUS ? 'sent' : 'sending',
      errno: 0,
      answer: null,
      answeredAt: -1,
      request: null,
      givenUpAt: -1,
    };
    if (this.end - this.first >= limits.messages) this.forgetFirst();
    ring[this.end % limits.messages] = entry;
    this.end++;
    this.bytes += message.dataLength;
    if (message.id.isSet) this.byId.set(String(message.id), entry);
    while (this.bytes > limits.bytes && this.first < this.end - 1) this.forgetFirst();
    return entry;
  }

  private forgetFirst(): void {
    const at = this.first % this.limits.messages;
    const entry = this.ring[at] as Entry;
    this.bytes -= entry.message.dataLength;
    const key = String(entry.message.id);
    if (this.byId.get(key) === entry) this.byId.delete(key);
    // Its partner must not keep it, and through it a chain of others.
    if (entry.answer !== null) entry.answer.request = null;
    if (entry.request !== null) entry.request.answer = null;
    delete this.ring[at];
    this.first++;
  }

  private each(
    { id, count }: { id: MessageId; count: number },
    tell: (entry: Entry) => void,
  ): void {
    for (let at = 0; at < count; at++) {
      const entry = this.byId.get(keyOf(id, at));
      if (entry !== undefined) tell(entry);
    }
  }

  private queued(event: EventOf<'queued'>): void {
    const { binding: number, ksock, time: queuedAt } = event;
    const binding = this.bindings.get(number);
    this.each(event, (entry) => {
      const isReplier = binding?.replier === true && entry.kind === 'Request';
      const copy = { ksock, binding: binding?.name ?? '', isReplier, queuedAt, readAt: -1 };
      entry.copies = [...entry.copies, copy];
    });
  }

  private read(event: EventOf<'read'>): void {
    this.each(event, ({ copies }) => {
      const copy = copies.find(({ ksock, readAt }) => ksock === event.ksock && readAt < 0);
      if (copy !== undefined) copy.readAt = event.time;
    });
  }

  private refused({ attempt, errno, id, ksock, messages, time }: EventOf<'refused'>): void {
    const waited = attempt === 'send' ? undefined : this.byId.get(String(id));
    for (const message of messages) {
      const entry = waited ?? this.add(message, ksock, time);
      entry.state = 'refused';
      entry.errno = errno;
    }
  }

  private answered(event: EventOf<'answered'>): void {
    const { count, id, isDirect, ksock, request, time } = event;
    for (let at = 0; at < count; at++) {
      const asked = this.byId.get(keyOf(request, at));
      const answer = this.byId.get(keyOf(id, at));
      if (asked !== undefined) {
        asked.answeredAt = time;
        asked.answer = answer ?? null;
      }
      if (answer === undefined) continue;
      answer.request = asked ?? null;
      if (!isDirect) continue;
      const copy = { ksock, binding: '', isReplier: false, queuedAt: time, readAt: time };
      answer.copies = [...answer.copies, copy];
    }
  }
}

function keyOf({ networkId, serialNum }: MessageId, at: number): string {
  return `[${networkId}:${serialNum + at}]`;
}

/** How long the answer took, in milliseconds; of a Reply or Status, that of its Request. Null: there is none, yet. */
export function answerTime(entry: Entry): number | null {
  const asked = entry.request ?? entry;
  return asked.answeredAt < 0 ? null : (asked.answeredAt - asked.time) / 1000;
}
