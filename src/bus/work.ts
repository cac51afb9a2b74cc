/**
 * Counts the steps that buses take, and puts off what would hold up everybody (spec 1 §14.2). A step is what costs about
 * as much as one delivery. All buses of a daemon share one count, because one thread serves them all.
 *
 * A driver calls `begin` at the start of each of its turns, and `goOn` in later turns while there is work. A bus without
 * such a driver has no limit, and puts nothing off.
 */
export class Work {
  /** Steps taken in this turn. */
  done = 0;
  /** The turn is over after about as many steps, or when the driver's latest event has lasted so many milliseconds. */
  readonly limit: number;
  private readonly maxMs: number;
  /** From so many steps on, the turn may be over. */
  private checkpoint = 0;
  /** The turn is over, because it has lasted too long. */
  private isLate = false;
  /** The driver's clock, in milliseconds; null: it has none. The bus itself never reads it. */
  clock: (() => number) | null = null;
  /**
   * What the clock showed when the driver's latest event began: whole milliseconds from 0, and again from 0 after
   * {@link MAX_MS}. -1: the driver has no clock. A bus only copies it, and reports how long ago that was.
   */
  now = -1;
  /** Called when work is put off: `goOn` is needed. */
  onPutOff: () => void = () => {};
  private tasks: Steps[] = [];

  constructor(limit = Number.POSITIVE_INFINITY, maxMs = Number.POSITIVE_INFINITY) {
    this.limit = limit;
    this.maxMs = maxMs;
    this.lookAgain();
  }

  /** No long work may begin or continue in this turn. */
  get isTurnOver(): boolean {
    return this.done >= this.checkpoint && this.isOver();
  }

  private isOver(): boolean {
    if (this.done >= this.limit || this.isLate) return true;
    this.isLate = this.hasLasted(this.maxMs);
    this.lookAgain();
    return this.isLate;
  }

  private lookAgain(): void {
    this.checkpoint = this.isLate ? 0 : Math.min(this.limit, this.done + CLOCK_STEPS);
  }

  /** Whether work was put off. */
  get isPending(): boolean {
    return this.tasks.length > 0;
  }

  begin(): void {
    this.done = 0;
    this.goOnAnyway();
  }

  /** What comes now has some of the steps that are left, even if the turn has lasted too long. */
  goOnAnyway(): void {
    this.isLate = false;
    this.lookAgain();
  }

  /** Does something for which there are so many steps, though the turn may be over. */
  spare(steps: number, what: () => void): void {
    const beyond = this.done + steps - this.limit;
    const { isLate } = this;
    if (beyond > 0) this.done -= beyond;
    this.isLate = false;
    what();
    if (beyond > 0) this.done += beyond;
    this.isLate ||= isLate;
    this.lookAgain();
  }

  /** A driver calls it when an event begins. */
  tick(): void {
    if (this.clock !== null) this.now = this.clock() & MAX_MS;
  }

  /** Whether the driver's latest event began so many milliseconds ago, by its clock. */
  hasLasted(milliseconds: number): boolean {
    return this.clock !== null && ((this.clock() - this.now) & MAX_MS) >= milliseconds;
  }

  /** Milliseconds since the clock stood at `then`; null without a clock. Longer than {@link MAX_MS} can't be told. */
  since(then: number): number | null {
    return this.now < 0 || then < 0 ? null : (this.now - then) & MAX_MS;
  }

  /** Takes the steps, as many as the turn has room for, but at least one; the others in later turns. */
  run(steps: Steps): void {
    if (!this.advance(steps)) this.putOff(steps);
  }

  /** Takes the steps in later turns; at once where there are no turns. */
  defer(steps: Steps): void {
    if (this.limit === Number.POSITIVE_INFINITY) this.run(steps);
    else this.putOff(steps);
  }

  /** Does something in a later turn; at once where there are no turns. */
  later(what: () => void): void {
    this.defer(oneStep(what));
  }

  private putOff(steps: Steps): void {
    this.tasks.push(steps);
    this.onPutOff();
  }

  /** Continues what was put off, in turn. */
  goOn(): void {
    while (this.tasks.length > 0 && !this.isTurnOver) {
      const steps = this.tasks.shift() as Steps;
      if (!this.advance(steps)) this.tasks.push(steps);
    }
  }

  /** True when all steps are taken. */
  private advance(steps: Steps): boolean {
    while (steps.next().done !== true) {
      this.done++;
      if (this.isTurnOver) return false;
    }
    return true;
  }
}

/** After so many steps, the clock is read: most steps take far less time than that takes. */
const CLOCK_STEPS = 1000;

/** Times are small integers, which cost no memory of their own: 24 days and 20 hours. */
const MAX_MS = 0x7fff_ffff;

function* oneStep(what: () => void): Steps {
  what();
  yield;
}

/** Work in steps: what has been done holds after each of them. */
export type Steps = Generator<void, void>;
