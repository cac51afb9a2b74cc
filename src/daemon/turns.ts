import type { Work } from '../bus/work.ts';

/** After how many steps a turn is over (spec 1 §14.2): within 10 ms, if each takes 0.2 µs; most take half as long. */
export const TURN_STEPS = 50_000;

/** A connection whose turn ended before its work. */
export interface Worker {
  /** The steps that it has taken since it opened; more for one that waited without using its time. */
  steps: number;
  /** Continues until its work is done (true), or the turn is over. */
  goOn(): boolean;
}

/**
 * Shares the time of a daemon (spec 1 §14.2). A turn has a number of steps for all connections together. When they are
 * taken, all further work is put off, the event loop gets to hear what else has happened, and the next turn begins: first
 * with what buses put off, then with the connections that have taken the fewest steps. So however many connections are
 * greedy, one that asks for little waits for little more than a turn.
 */
export class Turns {
  readonly work: Work;
  private readonly schedule: (turn: () => void) => void;
  private readonly flush: () => void;
  private readonly waiting = new Set<Worker>();
  private isScheduled = false;
  /** A connection that begins to wait has taken at least as many steps as the one that was served last. */
  private least = 0;

  /**
   * `schedule` calls a function after the event loop has reported other events; `flush` sends what a worker has left to
   * send.
   */
  constructor(work: Work, schedule: (turn: () => void) => void, flush: () => void) {
    this.work = work;
    this.schedule = schedule;
    this.flush = flush;
  }

  /** The worker continues in a later turn. */
  add(worker: Worker): void {
    if (this.waiting.has(worker)) return;
    if (worker.steps < this.least) worker.steps = this.least;
    this.waiting.add(worker);
    this.check();
  }

  /** It has left. */
  remove(worker: Worker): void {
    this.waiting.delete(worker);
  }

  /** Call it after each event: begins another turn soon, if there is work, or this one is over. */
  check(): void {
    const { work } = this;
    if (this.isScheduled || !(work.isTurnOver || work.isPending || this.waiting.size > 0)) return;
    this.isScheduled = true;
    this.schedule(() => this.turn());
  }

  private turn(): void {
    const { work, waiting } = this;
    this.isScheduled = false;
    work.begin();
    if (work.isPending) {
      work.goOn();
      this.flush();
      // What buses put off may take all of a turn, but not every turn.
      if (waiting.size > 0) work.begin();
    }
    while (waiting.size > 0 && !work.isTurnOver) {
      const worker = this.next();
      waiting.delete(worker);
      const before = work.done;
      const isDone = worker.goOn();
      worker.steps += work.done - before;
      if (!isDone) waiting.add(worker);
      this.flush();
    }
    this.check();
  }

  private next(): Worker {
    let [next] = this.waiting as Iterable<Worker> as unknown as [Worker];
    for (const worker of this.waiting) if (worker.steps < next.steps) next = worker;
    this.least = next.steps;
    return next;
  }
}
