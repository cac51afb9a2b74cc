import type { Tap } from '../../client/tap.ts';
import { REPORT } from '../../limpet/bus-side.ts';
import { type Journey, Journeys } from '../../seeing/journeys.ts';
import { TapClock } from '../../seeing/tap-clock.ts';
import type { TapEvent } from '../../tap/events.ts';
import { end } from '../ending.ts';
import type { Subject } from './subject.ts';

/** How many finished messages of a bus are kept, for those that Limpets carry. */
const MAX_KEPT = 10_000;

/** One bus, and what becomes of its messages. */
export class Followed {
  readonly tap: Tap;
  readonly journeys: Journeys;
  readonly ready: Promise<void>;
  /** Resolves when the tap has nothing more to tell: what it told was the past. */
  readonly ended: Promise<void>;
  readonly isRoot: Subject['isRoot'];
  private readonly clock = new TapClock();
  private readonly kept = new Map<string, Journey>();
  private readonly room: () => Promise<void> | undefined;
  private startedAt = 0;

  /**
   * `finished` gets each message that is to be printed, and was sent since `since`, in milliseconds since 1970; what `room` gives
   * is awaited before more is read.
   */
  constructor(
    tap: Tap,
    { isRoot, wants }: Subject,
    finished: (one: Journey, by: Followed) => void,
    room: () => Promise<void> | undefined,
    since: number,
  ) {
    this.tap = tap;
    this.isRoot = isRoot;
    this.room = room;
    this.journeys = new Journeys(wants, (journey) => {
      this.keep(journey);
      if (isRoot(journey) && this.timeOf(journey) >= since) finished(journey, this);
    });
    let ready = (): void => {};
    this.ready = new Promise((resolve) => {
      ready = resolve;
    });
    this.ended = this.read(() => ready()).catch(end);
  }

  private async read(ready: () => void): Promise<void> {
    for await (const events of this.tap.batches()) {
      for (const event of events) this.apply(event, ready);
      const last = events.at(-1);
      if (last !== undefined) this.clock.note(last.time, performance.now() * 1000);
      await this.room();
    }
  }

  private apply(event: TapEvent, ready: () => void): void {
    if (event.type === 'begin') this.startedAt = event.startedAt;
    this.journeys.apply(event);
    if (event.type === 'ready') ready();
  }

  private keep(journey: Journey): void {
    this.kept.set(String(journey.id), journey);
    if (this.kept.size > MAX_KEPT) this.kept.delete(this.kept.keys().next().value as string);
  }

  /** A message by its id, finished or not. */
  find(id: string): Journey | undefined {
    return this.kept.get(id) ?? this.journeys.unfinished.find((one) => String(one.id) === id);
  }

  /** The network ids of the Limpets of this bus. */
  get limpets(): number[] {
    return [...this.journeys.view.bindings.values()]
      .filter(({ name, replier }) => replier && name.startsWith(REPORT))
      .map(({ name }) => Number(name.slice(REPORT.length)));
  }

  /** The time of the tap, in microseconds. */
  get now(): number {
    return this.clock.at(performance.now() * 1000);
  }

  /** When a message was sent, in milliseconds since 1970. */
  timeOf({ at }: Journey): number {
    return this.startedAt + at / 1000;
  }
}
