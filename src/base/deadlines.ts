/** Those who must have done something within a time, the same for all of them: one timer serves all. */
export class Deadlines<T> {
  private readonly milliseconds: number;
  private readonly lost: (one: T) => void;
  // Oldest first, and with it those whose time ends first.
  private readonly until = new Map<T, number>();
  private timer: NodeJS.Timeout | null = null;

  /** `lost` is told of each whose time is over. */
  constructor(milliseconds: number, lost: (one: T) => void) {
    this.milliseconds = milliseconds;
    this.lost = lost;
  }

  /** Its time begins now. */
  begin(one: T): void {
    this.until.delete(one);
    this.until.set(one, performance.now() + this.milliseconds);
    if (this.timer === null) this.wake(this.milliseconds);
  }

  /** It has done what it must, or is gone. */
  end(one: T): void {
    this.until.delete(one);
  }

  stop(): void {
    this.until.clear();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  private wake(milliseconds: number): void {
    // After a pause of this process, what has come by now is looked at first.
    this.timer = setTimeout(() => setImmediate(() => this.look()), milliseconds);
    this.timer.unref();
  }

  private look(): void {
    // Stopped meanwhile.
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
