import { BusView } from '../tap/bus-view.ts';
import type { EventOf, KsockInfo, TapEvent } from '../tap/events.ts';
import { Histogram, type Percentiles } from './histogram.ts';
import { Sends } from './sends.ts';
import { Known, Unread } from './unread.ts';

/** So many names are told apart; others are counted together. */
const MAX_NAMES = 1000;
/** So many Requests are followed from their send to their answer. */
const MAX_REQUESTS = 200_000;

/** The name under which all names beyond MAX_NAMES are counted: no message can have it. */
export const OTHER_NAMES = '';

/** The traffic of a Ksock, since the last snapshot. Rates are per second, times in milliseconds. */
export interface KsockTraffic {
  readonly info: KsockInfo;
  readonly sentRate: number;
  readonly readRate: number;
  /** Messages that are put into its queue. */
  readonly queuedRate: number;
  readonly missedRate: number;
  /** Bytes of data that it sends. */
  readonly bytesRate: number;
  /** How long its oldest unread message has waited; null: it has none. */
  readonly unreadAge: number | null;
  /** The age is longer: the message came before the tap. */
  readonly isOlder: boolean;
  /** How long it has had the oldest Request that it has read and not answered; null: it has none. */
  readonly unansweredAge: number | null;
  /** It has had it for longer: since before the tap. */
  readonly isUnansweredOlder: boolean;
  /** How long messages wait in its queue. */
  readonly toRead: Percentiles | null;
  /** How long requesters wait for its answers, from send to answer. */
  readonly toAnswer: Percentiles | null;
  /** How long ago it read a message last; null: not since the tap began. */
  readonly readAgo: number | null;
}

export interface NameTraffic {
  /** {@link OTHER_NAMES}: all names beyond those that are told apart. */
  readonly name: string;
  readonly rate: number;
  readonly bytesRate: number;
  /** Bytes of data of one message, on average. */
  readonly size: number;
  readonly missedRate: number;
  readonly refusedRate: number;
  readonly toRead: Percentiles | null;
  readonly toAnswer: Percentiles | null;
}

/** What happened between two snapshots. */
export interface TrafficSnapshot {
  readonly bus: number;
  /** Milliseconds since the snapshot before. */
  readonly interval: number;
  /** The state of the bus is known. */
  readonly isComplete: boolean;
  readonly ksocks: readonly KsockTraffic[];
  readonly names: readonly NameTraffic[];
  readonly sentRate: number;
  readonly bytesRate: number;
  readonly refusedRate: number;
  /** Events that the tap has lost, since it began. */
  readonly lostEvents: number;
}

/** What is kept of a message until it is read. */
interface Kept {
  readonly name: NameCounts;
  readonly size: number;
  readonly isRequest: boolean;
}

interface Asked {
  readonly name: NameCounts;
  readonly sentAt: number;
  readAt: number;
  replier: number;
}

class NameCounts {
  readonly name: string;
  sent = 0;
  bytes = 0;
  missed = 0;
  refused = 0;
  usedAt = 0;
  readonly toRead = new Histogram();
  readonly toAnswer = new Histogram();

  constructor(name: string) {
    this.name = name;
  }
}

class KsockCounts {
  sent = 0;
  read = 0;
  queued = 0;
  missed = 0;
  bytes = 0;
  readAt = -1;
  readonly unread: Unread<Kept>;
  /** When the tap began to see it. */
  readonly since: number;
  readonly toRead = new Histogram();
  readonly toAnswer = new Histogram();

  constructor(unread: number, time: number, known: Known) {
    this.unread = new Unread(unread, time, known);
    this.since = time;
  }
}

/** Percentiles are of the last one or two of these, in microseconds. */
const TURN_US = 5_000_000;

/**
 * Who sends and reads how much, and how long that takes: a model of the traffic of a bus, kept by the events of a tap. It
 * has no clock: time passes by the events, and by the times of snapshots. Its memory is bounded.
 */
export class Traffic {
  readonly view = new BusView();
  private readonly ksocks = new Map<number, KsockCounts>();
  private readonly names = new Map<string, NameCounts>();
  private readonly others = new NameCounts(OTHER_NAMES);
  private readonly known = new Known();
  private readonly requests = new Map<string, Asked>();
  private readonly sends = new Sends<Kept>((message, { time }) => ({
    name: this.nameOf(message.name, time),
    size: message.wholeLength,
    isRequest: message.isRequest(),
  }));
  private totals = { sent: 0, refused: 0 };
  private snapshotAt = -1;
  private turnedAt = 0;

  apply(event: TapEvent): void {
    this.view.apply(event);
    this.sends.apply(event);
    switch (event.type) {
      case 'begin':
        for (const { unread } of this.ksocks.values()) unread.clear();
        this.ksocks.clear();
        this.requests.clear();
        if (this.snapshotAt < 0) this.snapshotAt = event.time;
        break;
      case 'ksock':
      case 'opened':
        this.ksocks.set(event.ksock, new KsockCounts(event.unread, event.time, this.known));
        break;
      case 'closed':
        this.closed(event.ksock);
        break;
      case 'unbound':
        this.ksocks.get(event.ksock)?.unread.unbound(event.binding);
        break;
      case 'sent':
        this.sent(event);
        break;
      case 'refused':
        this.refused(event);
        break;
      case 'queued':
        this.queued(event);
        break;
      case 'missed':
        this.missed(event);
        break;
      case 'read':
        this.read(event);
        break;
      case 'answered':
        this.answered(event);
        break;
      case 'givenUp':
        this.requests.delete(String(event.request));
        if (event.isTakenBack) this.ksocks.get(event.replier)?.unread.takenBack(event.request);
        break;
    }
    this.sends.done(event);
  }

  private nameOf(name: string, time: number): NameCounts {
    let counts = this.names.get(name);
    if (counts === undefined) {
      if (this.names.size >= MAX_NAMES) return this.others;
      counts = new NameCounts(name);
      this.names.set(name, counts);
    }
    counts.usedAt = time;
    return counts;
  }

  private closed(id: number): void {
    this.ksocks.get(id)?.unread.clear();
    this.ksocks.delete(id);
    for (const [key, { replier }] of this.requests) if (replier === id) this.requests.delete(key);
  }

  private sent(event: EventOf<'sent'>): void {
    const { id, count, ksock, time } = event;
    const sender = this.ksocks.get(ksock);
    if (sender !== undefined) sender.sent += count;
    this.totals.sent += count;
    let serial = id.serialNum;
    for (const { name, size, isRequest } of this.sends.each(id, count)) {
      name.sent++;
      name.bytes += size;
      if (sender !== undefined) sender.bytes += size;
      if (isRequest && this.requests.size < MAX_REQUESTS) {
        const asked = { name, sentAt: time, readAt: -1, replier: 0 };
        this.requests.set(keyOf(id.networkId, serial), asked);
      }
      serial++;
    }
  }

  private refused({ messages, time }: EventOf<'refused'>): void {
    this.totals.refused += messages.length;
    for (const { name } of messages) this.nameOf(name, time).refused++;
  }

  private queued({ atFront, binding, count, id, ksock, time }: EventOf<'queued'>): void {
    const reader = this.ksocks.get(ksock);
    const sent = this.sends.of(id);
    if (reader === undefined) return;
    reader.queued += count;
    if (sent !== null) reader.unread.queued(sent, id, count, binding, time, atFront);
  }

  private missed({ count, id, ksock }: EventOf<'missed'>): void {
    const reader = this.ksocks.get(ksock);
    if (reader !== undefined) reader.missed += count;
    for (const { name } of this.sends.each(id, count)) name.missed++;
  }

  private read({ count, id, isAsked, ksock, time }: EventOf<'read'>): void {
    const reader = this.ksocks.get(ksock);
    if (reader === undefined) return;
    reader.read += count;
    reader.readAt = time;
    reader.unread.read(id, count, ({ name }, queuedAt) => {
      reader.toRead.add(time - queuedAt);
      name.toRead.add(time - queuedAt);
    });
    if (!isAsked) return;
    for (let at = 0; at < count; at++) {
      const asked = this.requests.get(keyOf(id.networkId, id.serialNum + at));
      if (asked === undefined) continue;
      asked.readAt = time;
      asked.replier = ksock;
    }
  }

  private answered(event: EventOf<'answered'>): void {
    const { count, id, isDirect, ksock, replier, request, status, time } = event;
    // Nobody sends a Status.
    if (status !== '') for (const { name } of this.sends.each(id, count)) name.sent++;
    const requester = this.ksocks.get(ksock);
    if (requester !== undefined && isDirect) {
      requester.read += count;
      requester.queued += count;
      requester.readAt = time;
    }
    for (let at = 0; at < count; at++) {
      const key = keyOf(request.networkId, request.serialNum + at);
      const asked = this.requests.get(key);
      if (asked === undefined) continue;
      this.requests.delete(key);
      // A Status tells of an end, and not of how long an answer takes.
      if (status !== '') continue;
      asked.name.toAnswer.add(time - asked.sentAt);
      this.ksocks.get(replier)?.toAnswer.add(time - asked.sentAt);
    }
  }

  /** The traffic since the last snapshot; `now` is a time of the tap, in microseconds. */
  snapshot(now: number): TrafficSnapshot {
    const interval = Math.max(1, now - this.snapshotAt);
    const rate = (count: number): number => (count * 1e6) / interval;
    const seen = this.askedOf();
    const ksocks: KsockTraffic[] = [];
    for (const [id, counts] of this.ksocks) {
      const info = this.view.ksocks.get(id);
      if (info === undefined) continue;
      const unread = info.unread === 0 ? null : counts.unread.oldest;
      const { oldest, count } = seen.get(id) ?? { oldest: now, count: 0 };
      // Others were read before the tap.
      const isUnansweredOlder = info.unreplied > count;
      ksocks.push({
        info: { ...info },
        sentRate: rate(counts.sent),
        readRate: rate(counts.read),
        queuedRate: rate(counts.queued),
        missedRate: rate(counts.missed),
        bytesRate: rate(counts.bytes),
        unreadAge: unread === null ? null : ms(now - unread.time),
        isOlder: unread?.isAtLeast === true,
        unansweredAge:
          info.unreplied === 0 ? null : ms(now - (isUnansweredOlder ? counts.since : oldest)),
        isUnansweredOlder,
        toRead: counts.toRead.percentiles,
        toAnswer: counts.toAnswer.percentiles,
        readAgo: counts.readAt < 0 ? null : ms(now - counts.readAt),
      });
      counts.sent = counts.read = counts.queued = counts.missed = counts.bytes = 0;
    }
    const names = [...this.names.values(), this.others].map((counts): NameTraffic => {
      const { name, sent, bytes, missed, refused } = counts;
      const told = {
        name,
        rate: rate(sent),
        bytesRate: rate(bytes),
        size: sent === 0 ? 0 : bytes / sent,
        missedRate: rate(missed),
        refusedRate: rate(refused),
        toRead: counts.toRead.percentiles,
        toAnswer: counts.toAnswer.percentiles,
      };
      counts.sent = counts.bytes = counts.missed = counts.refused = 0;
      return told;
    });
    const { sent, refused } = this.totals;
    this.totals = { sent: 0, refused: 0 };
    this.snapshotAt = now;
    this.turn(now);
    return {
      bus: this.view.bus,
      interval: ms(interval),
      isComplete: this.view.isComplete,
      ksocks,
      names: names.filter(
        ({ name, rate, refusedRate, toRead, toAnswer }) =>
          name !== OTHER_NAMES ||
          rate > 0 ||
          refusedRate > 0 ||
          toRead !== null ||
          toAnswer !== null,
      ),
      sentRate: rate(sent),
      bytesRate: names.reduce((sum, one) => sum + one.bytesRate, 0),
      refusedRate: rate(refused),
      lostEvents: this.view.lostEvents,
    };
  }

  /** The Requests that each Replier has read and not answered, as far as they were seen: when it read the first, and how many. */
  private askedOf(): Map<number, { oldest: number; count: number }> {
    const all = new Map<number, { oldest: number; count: number }>();
    for (const { readAt, replier } of this.requests.values()) {
      if (readAt < 0) continue;
      const one = all.get(replier);
      if (one === undefined) {
        all.set(replier, { oldest: readAt, count: 1 });
      } else {
        one.oldest = Math.min(one.oldest, readAt);
        one.count++;
      }
    }
    return all;
  }

  private turn(now: number): void {
    if (now - this.turnedAt < TURN_US) return;
    this.turnedAt = now;
    for (const { toRead, toAnswer } of [...this.ksocks.values(), this.others]) {
      toRead.turn();
      toAnswer.turn();
    }
    const isFull = this.names.size >= MAX_NAMES;
    for (const [key, counts] of this.names) {
      counts.toRead.turn();
      counts.toAnswer.turn();
      // Names that nobody uses any more make room for others.
      if (isFull && now - counts.usedAt > MAX_IDLE_US) this.names.delete(key);
    }
  }
}

const MAX_IDLE_US = 60_000_000;

function ms(us: number): number {
  return Math.max(0, us) / 1000;
}

function keyOf(network: number, serial: number): string {
  return `[${network}:${serial}]`;
}
