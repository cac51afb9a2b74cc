import { TapClock } from '../../seeing/tap-clock.ts';
import { Traffic } from '../../seeing/traffic.ts';
import type { TapEvent } from '../../tap/events.ts';
import { History } from './history.ts';
import { KeptBlocks } from './kept-blocks.ts';
import { NameTable } from './name-table.ts';
import { Pairs } from './pairs.ts';
import { Programs } from './programs.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * All that the page knows of one bus, kept by the events of a tap, and of the taps after it when a connection was lost. Times
 * are microseconds since the first of them began.
 */
export class BusModel {
  readonly traffic = new Traffic();
  readonly programs = new Programs();
  readonly history: History;
  readonly kept: KeptBlocks;
  readonly pairs = new Pairs();
  readonly names = new NameTable();
  readonly clock = new TapClock();
  /** Milliseconds between 1970 and time 0; null: no tap has begun. */
  private startedAt: number | null = null;
  /** Time of the last event. */
  latest = 0;
  private shift = 0;

  constructor(history = new History()) {
    this.history = history;
    this.kept = new KeptBlocks(history);
  }

  /** Applies events that came at the time `own` of the page's clock, in microseconds. */
  apply(events: readonly TapEvent[], own: number): void {
    for (const event of events) this.applyOne(event);
    if (events.length > 0) this.clock.note(this.latest, own);
  }

  private applyOne(event: TapEvent): void {
    if (event.type === 'begin') {
      this.startedAt ??= event.startedAt;
      this.shift = (event.startedAt - this.startedAt) * 1000;
    }
    if (this.shift !== 0) (event as Mutable<TapEvent>).time += this.shift;
    this.latest = event.time;
    this.traffic.apply(event);
    this.programs.apply(event);
    this.pairs.apply(event);
    this.names.apply(event);
    this.history.apply(event);
  }

  /** Milliseconds since 1970 at a time of the model. */
  dateOf(time: number): number {
    return (this.startedAt ?? 0) + time / 1000;
  }
}
