/** So many seconds are shown. */
export const SECONDS = 60;

const SECOND_US = 1_000_000;

/** How many messages came in each of the last 60 seconds. Times are microseconds. */
export class RateLine {
  private readonly counts = new Float64Array(SECONDS);
  /** The second that the last count is of. */
  private second = 0;

  add(time: number, count = 1): void {
    this.advance(time);
    const at = this.second % SECONDS;
    this.counts[at] = (this.counts[at] as number) + count;
  }

  private advance(time: number): void {
    const second = Math.floor(time / SECOND_US);
    if (second <= this.second) return;
    if (second - this.second >= SECONDS) this.counts.fill(0);
    else for (let at = this.second + 1; at <= second; at++) this.counts[at % SECONDS] = 0;
    this.second = second;
  }

  /** The counts, the oldest first; the last is that of the second of `now`, which is not over. */
  at(now: number): number[] {
    this.advance(now);
    return Array.from(
      { length: SECONDS },
      (_, at) => this.counts[(this.second + 1 + at) % SECONDS] as number,
    );
  }

  /** Messages per second, in the last whole second. */
  rate(now: number): number {
    return this.at(now)[SECONDS - 2] as number;
  }
}
