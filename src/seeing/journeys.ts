import type { MessageKind } from '../message/fields.ts';
import type { MessageId, OrigFrom } from '../message/id.ts';
import { BusView } from '../tap/bus-view.ts';
import type { EventOf, SeenMessage, TapEvent } from '../tap/events.ts';
import { Sends } from './sends.ts';
import { whoOf } from './who.ts';

/** A copy of a message in the queue of one Ksock. Times are microseconds of the tap. */
export interface Copy {
  readonly ksock: number;
  /** `Ksock 7 (thermostat, pid 812)`. */
  readonly who: string;
  /** The name that it came by; '' for the answer to a Request. */
  readonly binding: string;
  readonly bindingNumber: number;
  readonly isReplier: boolean;
  /** Its place in the queue, from 1. */
  readonly place: number;
  readonly queuedAt: number;
  /** How it left the queue, and when; null: it is unread. */
  end: { readonly how: 'read' | 'unbound' | 'closed' | 'taken back'; readonly at: number } | null;
}

/** What became of one message. */
export interface Journey {
  readonly bus: number;
  readonly id: MessageId;
  readonly kind: MessageKind;
  readonly name: string;
  /** The sender's Ksock id; 0: KBUS. */
  readonly from: number;
  readonly who: string;
  readonly origFrom: OrigFrom;
  /** Bytes of data. */
  readonly size: number;
  readonly at: number;
  readonly copies: Copy[];
  /** Listeners that missed it. */
  readonly missed: string[];
  /** When it began to wait for room (ALL_OR_WAIT). */
  waitedAt: number | null;
  /** How the send ended; null: not yet. */
  sent: {
    readonly how: 'sent' | 'discarded' | 'left' | 'refused';
    readonly at: number;
    readonly errno: number;
  } | null;
  /** It was refused after it had waited, and a Status will tell the requester. */
  awaitsStatus: boolean;
  /** The Reply or Status to this Request. `reply`: what became of the Reply itself, if that is followed. */
  answer: Answer | null;
  givenUp: { readonly at: number; readonly isTakenBack: boolean; readonly hasLeft: boolean } | null;
  /** Why the rest is not known: events were lost, or too many messages are followed at once; null: it is. */
  cut: 'lost' | 'crowded' | null;
}

export interface Answer {
  readonly id: MessageId;
  /** The name of the Status; '' for a Reply. */
  readonly status: string;
  readonly who: string;
  readonly at: number;
  readonly reply: Journey | null;
}

/** The most messages that are followed at once; of more, the oldest are cut. */
const MAX_OPEN = 10_000;

/**
 * Follows messages through a bus, by the events of a tap. `wants` chooses them; `finished` gets each when nothing more can
 * become of it: all its copies are read or gone, and a Request is answered or given up.
 */
export class Journeys {
  readonly view = new BusView();
  private readonly wants: (message: SeenMessage) => boolean;
  private readonly finished: (journey: Journey) => void;
  /** Unfinished ones by id, oldest first. */
  private readonly open = new Map<string, Journey>();
  /** Requests of Replies that are followed, too. */
  private readonly requestOf = new Map<Journey, Journey>();
  private readonly sends = new Sends<Journey | null>((message, event) =>
    this.wants(message) ? this.begin(message, event.time) : null,
  );

  constructor(wants: (message: SeenMessage) => boolean, finished: (journey: Journey) => void) {
    this.wants = wants;
    this.finished = finished;
  }

  /** Those of which more may become, oldest first. */
  get unfinished(): Journey[] {
    return [...this.open.values()].filter((one) => !this.requestOf.has(one));
  }

  apply(event: TapEvent): void {
    this.view.apply(event);
    this.sends.apply(event);
    switch (event.type) {
      case 'lost':
        for (const one of [...this.open.values()]) this.cut(one, 'lost');
        break;
      case 'sent':
        for (const one of this.each(event)) this.end(one, 'sent', event.time);
        break;
      case 'refused':
        this.refused(event);
        break;
      case 'waiting':
        for (const one of this.each(event)) one.waitedAt ??= event.time;
        break;
      case 'discarded': {
        const one = this.open.get(String(event.id));
        if (one !== undefined) this.end(one, 'discarded', event.time);
        break;
      }
      case 'queued':
        this.queued(event);
        break;
      case 'missed':
        for (const one of this.each(event)) one.missed.push(this.nameOf(event.ksock));
        break;
      case 'read':
        this.read(event);
        break;
      case 'unbound':
        this.leave(
          event.ksock,
          'unbound',
          event.time,
          ({ bindingNumber }) => bindingNumber === event.binding,
        );
        break;
      case 'closed':
        this.leave(event.ksock, 'closed', event.time, () => true);
        for (const one of [...this.open.values()]) {
          if (one.from === event.ksock && one.sent === null) this.end(one, 'left', event.time);
        }
        break;
      case 'answered':
        this.answered(event);
        break;
      case 'givenUp':
        this.givenUp(event);
        break;
    }
    this.sends.done(event);
  }

  private begin(message: SeenMessage, time: number): Journey {
    const { from, id, kind, name, origFrom, wholeLength: size } = message;
    const who = from === 0 ? 'KBUS' : this.nameOf(from);
    const journey: Journey = {
      ...{ bus: this.view.bus, id, kind, name, from, who, origFrom, size, at: time },
      ...{ copies: [], missed: [], waitedAt: null, sent: null, answer: null, givenUp: null },
      ...{ awaitsStatus: false, cut: null },
    };
    if (id.isSet) this.open.set(String(id), journey);
    if (this.open.size > MAX_OPEN) {
      this.cut(this.open.values().next().value as Journey, 'crowded');
    }
    return journey;
  }

  private nameOf(id: number): string {
    const info = this.view.ksocks.get(id);
    return info === undefined ? `Ksock ${id}` : whoOf(info);
  }

  /** The messages of an event that are followed. */
  private *each({ id, count }: { id: MessageId; count: number }): Generator<Journey> {
    for (const one of this.sends.each(id, count)) if (one !== null) yield one;
  }

  private end(one: Journey, how: 'sent' | 'discarded' | 'left', at: number): void {
    one.sent = { how, at, errno: 0 };
    this.check(one);
  }

  private refused({ attempt, errno, id, messages, time }: EventOf<'refused'>): void {
    const waited = attempt === 'send' ? undefined : this.open.get(String(id));
    for (const message of messages) {
      if (!this.wants(message)) continue;
      const one = waited ?? this.begin(message, time);
      one.sent = { how: 'refused', at: time, errno };
      // spec 1 §6.11: nobody called, so a Status follows.
      if (attempt === 'poll' && one.kind === 'Request') one.awaitsStatus = true;
      else this.finish(one);
    }
  }

  private queued({
    atFront,
    binding: number,
    count,
    id,
    ksock,
    time,
    unread,
  }: EventOf<'queued'>): void {
    const binding = this.view.bindings.get(number);
    let place = atFront ? 1 : unread - count + 1;
    const who = this.nameOf(ksock);
    for (const one of this.sends.each(id, count)) {
      one?.copies.push({
        ksock,
        who,
        binding: binding?.name ?? '',
        bindingNumber: number,
        isReplier: binding?.replier === true && one.kind === 'Request',
        place,
        queuedAt: time,
        end: null,
      });
      place++;
    }
  }

  private read({ count, id, ksock, time }: EventOf<'read'>): void {
    for (let at = 0; at < count; at++) {
      const one = this.open.get(`[${id.networkId}:${id.serialNum + at}]`);
      const copy = one?.copies.find(({ end, ksock: reader }) => reader === ksock && end === null);
      if (one === undefined || copy === undefined) continue;
      copy.end = { how: 'read', at: time };
      this.check(one);
    }
  }

  /** Unread copies leave the queue of a Ksock. */
  private leave(
    ksock: number,
    how: 'unbound' | 'closed',
    at: number,
    which: (copy: Copy) => boolean,
  ): void {
    for (const one of [...this.open.values()]) {
      for (const copy of one.copies) {
        if (copy.ksock === ksock && copy.end === null && which(copy)) copy.end = { how, at };
      }
      this.check(one);
    }
  }

  private answered({ count, id, replier, request, status, time }: EventOf<'answered'>): void {
    const who = replier === 0 ? 'KBUS' : this.nameOf(replier);
    const replies = [...this.sends.each(id, count)];
    for (let at = 0; at < count; at++) {
      const asked = this.open.get(`[${request.networkId}:${request.serialNum + at}]`);
      const reply = replies[at] ?? null;
      // A Status is not sent by anybody.
      if (reply !== null && status !== '') reply.sent = { how: 'sent', at: time, errno: 0 };
      if (asked === undefined) {
        if (reply !== null) this.check(reply);
        continue;
      }
      const answerId = reply?.id ?? id;
      asked.answer = { id: answerId, status, who, at: time, reply };
      if (reply !== null) {
        this.requestOf.set(reply, asked);
      }
      this.check(asked);
    }
  }

  private givenUp({ hasLeft, isTakenBack, replier, request, time }: EventOf<'givenUp'>): void {
    const one = this.open.get(String(request));
    if (one === undefined) return;
    one.givenUp = { at: time, isTakenBack, hasLeft };
    const copy = one.copies.find(
      ({ end, isReplier, ksock }) => isReplier && ksock === replier && end === null,
    );
    if (isTakenBack && copy !== undefined) copy.end = { how: 'taken back', at: time };
    this.check(one);
  }

  private check(one: Journey): void {
    if (!isDone(one)) return;
    const request = this.requestOf.get(one);
    if (request === undefined) {
      this.finish(one);
    } else if (this.open.get(String(request.id)) === request) {
      this.forget(one);
      this.check(request);
    } else {
      this.forget(one);
    }
  }

  private finish(one: Journey): void {
    this.forget(one);
    const reply = one.answer?.reply;
    if (reply) this.forget(reply);
    this.finished(one);
  }

  private cut(one: Journey, why: 'lost' | 'crowded'): void {
    one.cut = why;
    if (this.requestOf.has(one)) this.forget(one);
    else this.finish(one);
  }

  private forget(one: Journey): void {
    if (this.open.get(String(one.id)) === one) this.open.delete(String(one.id));
    this.requestOf.delete(one);
  }
}

/** Nothing more can become of it. */
function isDone({ answer, awaitsStatus, copies, givenUp, kind, sent }: Journey): boolean {
  if (sent === null || copies.some(({ end }) => end === null)) return false;
  if (kind !== 'Request' || !(sent.how === 'sent' || awaitsStatus)) return true;
  if (givenUp !== null) return true;
  return answer !== null && (answer.reply === null || isDone(answer.reply));
}
