import type { FlushScheduler } from '../base/flush-scheduler.ts';
import type { Work } from '../bus/work.ts';

/**
 * After how many steps a turn is over (spec 1 §14.2). Most take 0.1 to 0.2 µs, so a turn takes 1 to 2 ms. Where each step
 * reaches for memory that is not in the processor's cache, new objects fill the young generation, or V8 has not compiled
 * the code yet, it takes ten times as long: then the clock says when it is over.
 */
export const TURN_STEPS = 10_000;

/**
 * A connection that takes at most so many steps each time, on average, is served before others: what it asks for is done at
 * once, even if the turn is over, because to read what it asks for takes as long.
 */
export const LIGHT_STEPS = 256;

/** What there is to send is put off when an event has taken so many times the steps of a turn. */
const MOST_TURNS_AT_ONCE = 2;

/**
 * An event, or a turn, that has lasted so many milliseconds is over, too. It also writes no more: steps do not tell how long
 * that takes the system, which is 10 µs mostly, and 300 for a TCP connection whose buffers are full.
 */
export const MAX_EVENT_MS = 4;

/** After so many steps of a turn, what there is to send is sent. */
const FLUSH_STEPS = 4000;

/** So many milliseconds lie between two looks at the memory. */
const LOOK_MS = 20;

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
 * with what buses put off; then come the connections that take few steps each time, those that have something to send, and
 * the other connections, each in the order in which they came, and each kind with half of what is left of the turn. So
 * however many connections are greedy, one that asks for little waits for little more than a turn.
 */
export class Turns {
  readonly work: Work;
  private readonly schedule: (turn: () => void) => void;
  private readonly flushes: FlushScheduler;
  private readonly light = new Set<Worker>();
  private readonly heavy = new Set<Worker>();
  /** The next turn will come, or is under way. */
  private isScheduled = false;
  /** Called now and then while there are events. */
  onLook: () => void = () => {};
  private looked = 0;

  /** `schedule` calls a function after the event loop has reported other events; `flushes` sends what there is to send. */
  constructor(work: Work, schedule: (turn: () => void) => void, flushes: FlushScheduler) {
    this.work = work;
    this.schedule = schedule;
    this.flushes = flushes;
    const most = MOST_TURNS_AT_ONCE * work.limit;
    flushes.mustStop = (flushed) => work.done >= most || (flushed > 0 && this.isLong);
    flushes.onFlushed = () => this.check();
    work.onPutOff = () => this.check();
  }

  /**
   * The next turn begins after this iteration of the event loop: steps of several short iterations must not add up until
   * one has to put off what it could do at once.
   */
  private get isSoonOver(): boolean {
    const { work } = this;
    return work.done >= work.limit / 2 || work.isTurnOver;
  }

  private get isLong(): boolean {
    return this.work.hasLasted(MAX_EVENT_MS);
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

  /** Call it after each event: begins another turn soon, if there is work, or this one is half over. */
  check(): void {
    const { flushes, work } = this;
    if ((work.since(this.looked) ?? 0) >= LOOK_MS) {
      this.looked = work.now;
      this.onLook();
    }
    if (this.isScheduled) return;
    if (!(this.isSoonOver || work.isPending || flushes.isPending || this.isAnyWaiting)) return;
    this.isScheduled = true;
    this.schedule(() => this.turn());
  }

  private turn(): void {
    const { flushes, work } = this;
    work.tick();
    work.begin();
    if (work.isPending) {
      work.goOn();
      // The others have as many steps, and as long.
      work.tick();
      work.begin();
    }
    this.serve(this.light, this.heavy.size > 0 || flushes.isPending ? this.share : work.limit);
    // Those who ask for little get what they wait for before the rest of the turn.
    flushes.flush();
    const until = this.share;
    flushes.goOn(() => work.done >= until || this.isLong);
    work.goOnAnyway();
    this.serve(this.heavy, work.limit);
    flushes.flush();
    this.isScheduled = false;
    this.check();
  }

  /** Until when a kind of work may go on: half of what is left of the turn. */
  private get share(): number {
    const { done, limit } = this.work;
    return limit === Number.POSITIVE_INFINITY ? limit : (done + limit) / 2;
  }

  /** Serves waiting workers until so many steps of the turn are taken: at least one, however long the turn has lasted. */
  private serve(waiting: Set<Worker>, until: number): void {
    const { work } = this;
    let flushed = work.done;
    let isBegun = false;
    for (const worker of waiting) {
      if (work.done >= until || (isBegun && this.isLong)) return;
      isBegun = true;
      // Those who get something are at work meanwhile.
      if (work.done - flushed > FLUSH_STEPS) {
        this.flushes.flush();
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
