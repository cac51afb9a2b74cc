/** Deadlines with the same duration for all who have one: one timer serves them all. */
export class Deadlines<T> {
  private readonly milliseconds: number;
  private readonly lost: (one: T) => void;
  // In the order of their deadlines.
  private readonly until = new Map<T, number>();
  private timer: NodeJS.Timeout | null = null;

  /** Calls `lost` with each whose deadline has passed. */
  constructor(milliseconds: number, lost: (one: T) => void) {
    this.milliseconds = milliseconds;
    this.lost = lost;
  }

  /** Sets a deadline from now. */
  begin(one: T): void {
    this.until.delete(one);
    this.until.set(one, performance.now() + this.milliseconds);
    if (this.timer === null) this.wake(this.milliseconds);
  }

  /** Removes the deadline of one that is done, or gone. */
  end(one: T): void {
    this.until.delete(one);
  }

  stop(): void {
    this.until.clear();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private wake(milliseconds: number): void {
    // After a pause of this process, events that are there already go first.
    this.timer = setTimeout(() => setImmediate(() => this.look()), milliseconds);
    this.timer.unref();
  }

  private look(): void {
    // Stopped in the meantime.
    if (this.timer === null) return;
    const now = performance.now();
    for (const [one, until] of this.until) {
      // A timer may be a moment early.
      if (until > now + 1) {
        this.wake(until - now);
        return;
      }
      this.until.delete(one);
      this.lost(one);
    }
    this.timer = null;
  }
}
