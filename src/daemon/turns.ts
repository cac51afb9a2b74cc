import type { Work } from '../bus/work.ts';

/**
 * After how many steps a turn is over (spec 1 §14.2). Most take 0.1 to 0.2 µs, so a turn takes 1 to 2 ms. Where each step
 * reaches for memory that is not in the processor's cache, or new objects fill the young generation, it takes five times
 * as long, and must still be over within 10 ms.
 */
export const TURN_STEPS = 10_000;

/** A connection that takes at most so many steps each time, on average, is served before others. */
const LIGHT_STEPS = 256;

/** Part of a turn that light connections may take while others wait. */
const LIGHT_PART = 1 / 2;

/** Part of a turn that is over before what buses put off may take no more, while heavy connections wait. */
const PUT_OFF_PART = 3 / 4;

/** After so many steps of a turn, what there is to send is sent. */
const FLUSH_STEPS = 4000;

/** How much the latest steps of a connection count in its average. */
const NEWEST_PART = 1 / 8;

/** A connection whose turn ended before its work. */
export abstract class Worker {
  /** How many steps it takes each time that it has work, on average. A new one must show first that it asks for little. */
  private usualSteps = 2 * LIGHT_STEPS;

  /** Continues until its work is done (true), or the turn is over. */
  abstract goOn(): boolean;

  /** It has taken so many steps at once. */
  took(steps: number): void {
    this.usualSteps += (steps - this.usualSteps) * NEWEST_PART;
  }

  get isLight(): boolean {
    return this.usualSteps <= LIGHT_STEPS;
  }
}

/**
 * Shares the time of a daemon (spec 1 §14.2). A turn has a number of steps for all connections together. When they are
 * taken, all further work is put off, the event loop gets to hear what else has happened, and the next turn begins: first
 * with the connections that take few steps each time, then with what buses put off, then with the other connections, each
 * in the order in which they came. So however many connections are greedy, one that asks for little waits for little more
 * than a turn.
 */
export class Turns {
  readonly work: Work;
  private readonly schedule: (turn: () => void) => void;
  private readonly flush: () => void;
  private readonly light = new Set<Worker>();
  private readonly heavy = new Set<Worker>();
  private isScheduled = false;

  /**
   * `schedule` calls a function after the event loop has reported other events; `flush` sends what workers have left to
   * send.
   */
  constructor(work: Work, schedule: (turn: () => void) => void, flush: () => void) {
    this.work = work;
    this.schedule = schedule;
    this.flush = flush;
  }

  private get isAnyWaiting(): boolean {
    return this.light.size + this.heavy.size > 0;
  }

  /** The worker continues in a later turn. */
  add(worker: Worker): void {
    if (this.heavy.has(worker)) return;
    (worker.isLight ? this.light : this.heavy).add(worker);
    this.check();
  }

  /** It has left. */
  remove(worker: Worker): void {
    this.light.delete(worker);
    this.heavy.delete(worker);
  }

  /** Call it after each event: begins another turn soon, if there is work, or this one is over. */
  check(): void {
    const { work } = this;
    if (this.isScheduled || !(work.isTurnOver || work.isPending || this.isAnyWaiting)) return;
    this.isScheduled = true;
    this.schedule(() => this.turn());
  }

  private turn(): void {
    const { work } = this;
    this.isScheduled = false;
    work.tick();
    work.begin();
    const isMore = work.isPending || this.heavy.size > 0;
    this.serve(this.light, isMore ? LIGHT_PART * work.limit : work.limit);
    // Those who ask for little get what they wait for before the rest of the turn.
    this.flush();
    if (work.isPending) {
      work.goOn(this.heavy.size > 0 ? PUT_OFF_PART * work.limit : work.limit);
    }
    this.serve(this.heavy, work.limit);
    this.flush();
    this.check();
  }

  /** Serves waiting workers until so many steps of the turn are taken. */
  private serve(waiting: Set<Worker>, until: number): void {
    const { work } = this;
    let flushed = work.done;
    for (const worker of waiting) {
      if (work.done >= until) return;
      // Those who get something are at work meanwhile.
      if (work.done - flushed > FLUSH_STEPS) {
        this.flush();
        flushed = work.done;
      }
      waiting.delete(worker);
      const before = work.done;
      const isDone = worker.goOn();
      worker.took(work.done - before);
      if (!isDone) this.add(worker);
    }
  }
}
