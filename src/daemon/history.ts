import type { Flushable, FlushScheduler } from '../base/flush-scheduler.ts';
import { systemTimers, type Timers } from '../base/timers.ts';
import type { Bus } from '../bus/bus.ts';
import { BusTap } from '../tap/bus-tap.ts';
import { KINDS } from '../tap/filter.ts';
import { type Turns, Worker } from './turns.ts';

/** The state of the bus is noted again after this part of the size. */
const STATE_PART = 1 / 4;

const MICROSECONDS = 1000;

/** What the histories of a daemon have in common. */
export interface HistoryHost {
  readonly flushes: FlushScheduler;
  readonly turns: Turns;
}

/** A block of events, and when it began, in microseconds since the history did. */
interface Kept {
  readonly block: Uint8Array;
  readonly time: number;
  /** It begins with the state of the bus. */
  readonly isState: boolean;
}

/**
 * The last events of a bus, in memory of a bounded size: what came before somebody looked. Now and then it notes the state of
 * the bus, so that what is left can be understood.
 */
export class History extends Worker implements Flushable {
  private readonly bus: Bus;
  private readonly size: number;
  private readonly host: HistoryHost;
  private readonly timers: Timers;
  private readonly began: number;
  private readonly tap: BusTap;
  private kept: Kept[] = [];
  private keptBytes = 0;
  /** Bytes since the state was noted last. */
  private sinceState = 0;
  private time = 0;
  private isDirty = false;
  private isStateNext = true;

  constructor(bus: Bus, size: number, host: HistoryHost, timers: Timers = systemTimers) {
    super();
    this.bus = bus;
    this.size = size;
    this.host = host;
    this.timers = timers;
    this.began = timers.now();
    const filter = { names: null, kinds: KINDS, data: 0xffff_ffff };
    this.tap = new BusTap(
      bus,
      { filter, size, startedAt: Date.now() },
      {
        now: () => this.now(),
        hasEvents: () => {},
        hasBlock: () => this.markDirty(),
      },
    );
    this.noteState();
  }

  private now(): number {
    return Math.floor((this.timers.now() - this.began) * MICROSECONDS);
  }

  private markDirty(): void {
    if (this.isDirty) return;
    this.isDirty = true;
    this.host.flushes.markDirty(this);
  }

  /** Takes over what the tap has, and notes the state if it is time. */
  flush(): void {
    this.isDirty = false;
    this.takeAll();
    if (this.tap.mustGoOn) this.host.turns.add(this);
    else if (this.sinceState >= this.size * STATE_PART) this.noteState();
  }

  private noteState(): void {
    this.takeAll();
    this.isStateNext = true;
    this.sinceState = 0;
    this.tap.restate();
    // A large state takes several turns.
    if (!this.goOn()) this.host.turns.add(this);
  }

  goOn(): boolean {
    this.tap.goOn();
    this.takeAll();
    return !this.tap.mustGoOn;
  }

  private takeAll(): void {
    for (let block = this.tap.take(); block !== null; block = this.tap.take()) this.keep(block);
  }

  private keep(block: Uint8Array): void {
    this.kept.push({ block, time: this.time, isState: this.isStateNext });
    this.isStateNext = false;
    this.time = this.now();
    this.sinceState += block.length;
    let change = block.length;
    this.keptBytes += block.length;
    while (this.keptBytes > this.size && this.kept.length > 1) {
      const { length } = (this.kept.shift() as Kept).block;
      this.keptBytes -= length;
      change -= length;
    }
    this.bus.share.hold(change);
  }

  /**
   * The blocks of the last so many milliseconds, and those before them back to the last state of the bus. They must not be
   * changed but for their headroom.
   */
  past(milliseconds: number): Uint8Array[] {
    this.takeAll();
    const from = this.now() - milliseconds * MICROSECONDS;
    const { kept } = this;
    let begin = kept.findIndex(({ isState }) => isState);
    for (let at = begin + 1; at < kept.length; at++) {
      const { isState, time } = kept[at] as Kept;
      if (time > from) break;
      if (isState) begin = at;
    }
    return kept.slice(Math.max(begin, 0)).map(({ block }) => block);
  }

  stop(): void {
    this.host.turns.remove(this);
    this.tap.stop();
    this.bus.share.hold(-this.keptBytes);
    this.kept = [];
    this.keptBytes = 0;
  }
}
