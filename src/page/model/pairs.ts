import type { MessageId } from '../../message/id.ts';
import { Sends } from '../../seeing/sends.ts';
import type { EventOf, TapEvent } from '../../tap/events.ts';
import { KBUS } from './programs.ts';

/** Pairs beyond these are counted together. */
const MAX_PAIRS = 40_000;

/** What one Ksock got from another. */
export interface Pair {
  readonly from: number;
  readonly to: number;
  count: number;
  missed: number;
  /** Messages in the interval before the last {@link Pairs.turn}, per second. */
  rate: number;
  /** Messages since then. */
  recent: number;
}

/** Who gets how many messages from whom. Ksocks that have left are forgotten. */
export class Pairs {
  /** Messages of pairs that are not told apart. */
  others = 0;
  private readonly pairs = new Map<number, Map<number, Pair>>();
  private size = 0;
  private turnedAt = 0;
  private readonly sends = new Sends<number>((message, { from }) =>
    message.isSynthetic() ? KBUS : from,
  );

  apply(event: TapEvent): void {
    this.sends.apply(event);
    switch (event.type) {
      case 'begin':
        this.pairs.clear();
        this.size = 0;
        break;
      case 'queued':
        this.note(event, 'count');
        break;
      case 'missed':
        this.note(event, 'missed');
        break;
      case 'answered':
        if (event.isDirect) this.add(event.replier, event.ksock, event.count, 'count');
        break;
      case 'closed':
        this.forget(event.ksock);
        break;
    }
    this.sends.done(event);
  }

  private note(event: EventOf<'queued' | 'missed'>, what: 'count' | 'missed'): void {
    const from = this.senderOf(event.id);
    if (from !== null) this.add(from, event.ksock, event.count, what);
  }

  private senderOf(id: MessageId): number | null {
    return this.sends.each(id, 1).next().value ?? null;
  }

  private add(from: number, to: number, count: number, what: 'count' | 'missed'): void {
    let ofSender = this.pairs.get(from);
    if (ofSender === undefined) {
      ofSender = new Map();
      this.pairs.set(from, ofSender);
    }
    let pair = ofSender.get(to);
    if (pair === undefined) {
      if (this.size >= MAX_PAIRS) {
        this.others += count;
        return;
      }
      pair = { from, to, count: 0, missed: 0, rate: 0, recent: 0 };
      ofSender.set(to, pair);
      this.size++;
    }
    pair[what] += count;
    if (what === 'count') pair.recent += count;
  }

  private forget(ksock: number): void {
    this.size -= this.pairs.get(ksock)?.size ?? 0;
    this.pairs.delete(ksock);
    for (const ofSender of this.pairs.values()) if (ofSender.delete(ksock)) this.size--;
  }

  /** Takes rates, since the last call; `now` in microseconds. */
  turn(now: number): void {
    const interval = Math.max(1, now - this.turnedAt);
    this.turnedAt = now;
    for (const pair of this.all()) {
      pair.rate = (pair.recent * 1e6) / interval;
      pair.recent = 0;
    }
  }

  get(from: number, to: number): Pair | undefined {
    return this.pairs.get(from)?.get(to);
  }

  *all(): Generator<Pair> {
    for (const ofSender of this.pairs.values()) yield* ofSender.values();
  }
}
