import { createHistogram, performance } from 'node:perf_hooks';
import { inFigures } from './figures.ts';

/** The histogram has two bars per octave: each begins at √2 times the start of the one before. */
const STEPS_PER_OCTAVE = 2;
const BAR_CHARACTERS = 40;

/** The latencies of many requests, in µs. */
export class Latency {
  private readonly histogram = createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 });
  /** The number of latencies in each step, from 1 µs on; the first step also has the shorter ones. */
  private readonly steps: number[] = [];

  /** Records the time since a reading of `performance.now()`; gives the reading of now. */
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

  /** The latency in µs that `percent` (0 to 100) of all requests did not exceed. */
  percentile(percent: number): number {
    return this.histogram.percentile(percent) / 1000;
  }

  /** The steps from the shortest latency to the longest, with their counts. */
  get buckets(): { from: number; to: number; count: number }[] {
    const first = this.steps.findIndex((count) => count !== undefined);
    if (first < 0) return [];
    return Array.from({ length: this.steps.length - first }, (_, at) => ({
      from: 2 ** ((first + at) / STEPS_PER_OCTAVE),
      to: 2 ** ((first + at + 1) / STEPS_PER_OCTAVE),
      count: this.steps[first + at] ?? 0,
    }));
  }

  /** A line for each bucket; the bar of the fullest has {@link BAR_CHARACTERS}. */
  draw(): string {
    const { buckets } = this;
    const most = Math.max(...buckets.map(({ count }) => count));
    const rows = buckets.map(({ from, to, count }) => {
      const bar = '█'.repeat(Math.ceil((count / most) * BAR_CHARACTERS));
      return `${inFigures(from).padStart(9)} to ${inFigures(to).padStart(9)} µs  ${bar.padEnd(BAR_CHARACTERS)}  ${count.toLocaleString('en')}\n`;
    });
    return rows.join('');
  }
}
