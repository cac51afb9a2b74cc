import { createHistogram, performance } from 'node:perf_hooks';
import { inFigures } from './figures.ts';

/** Stretches of time are drawn in steps of a half octave: each begins at √2 × where the last one did. */
const STEPS_PER_OCTAVE = 2;
const BAR = 40;

/** How long each of many requests took. Times that are told are in µs. */
export class Latency {
  private readonly histogram = createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 });
  /** How many took as long as each step says, from 1 µs; the first has those that took less, too. */
  private readonly steps: number[] = [];

  /** Records what began at this reading of `performance.now()` and ends now; gives the reading of now. */
  record(since: number): number {
    const now = performance.now();
    const micro = (now - since) * 1000;
    this.histogram.record(Math.max(Math.ceil(micro * 1000), 1));
    const step = Math.max(Math.floor(Math.log2(micro) * STEPS_PER_OCTAVE), 0);
    this.steps[step] = (this.steps[step] ?? 0) + 1;
    return now;
  }

  get count(): number {
    return this.histogram.count;
  }

  get max(): number {
    return this.histogram.max / 1000;
  }

  /** At least this share of all, 0 to 100 %, took no longer. */
  percentile(percent: number): number {
    return this.histogram.percentile(percent) / 1000;
  }

  /** The steps between the shortest and the longest, each with how many it has. */
  get buckets(): { from: number; to: number; count: number }[] {
    const first = this.steps.findIndex((count) => count !== undefined);
    if (first < 0) return [];
    return Array.from({ length: this.steps.length - first }, (_, at) => ({
      from: 2 ** ((first + at) / STEPS_PER_OCTAVE),
      to: 2 ** ((first + at + 1) / STEPS_PER_OCTAVE),
      count: this.steps[first + at] ?? 0,
    }));
  }

  /** A line for each bucket, its bar as long as its share of the fullest. */
  draw(): string {
    const { buckets } = this;
    const most = Math.max(...buckets.map(({ count }) => count));
    const rows = buckets.map(({ from, to, count }) => {
      const bar = '█'.repeat(Math.ceil((count / most) * BAR));
      return `${inFigures(from).padStart(9)} to ${inFigures(to).padStart(9)} µs  ${bar.padEnd(BAR)}  ${count.toLocaleString('en')}\n`;
    });
    return rows.join('');
  }
}
