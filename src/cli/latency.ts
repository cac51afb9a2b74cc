import { createHistogram, performance } from 'node:perf_hooks';

/** Stretches of time are drawn in steps of a half octave: each begins at √2 × where the last one did. */
const STEPS_PER_OCTAVE = 2;
const BAR = 40;

/** How long each of many requests took. Times that are told are in µs. */
export class Latency {
  private readonly histogram = createHistogram({ lowest: 1, highest: 3_600e9, figures: 3 });
  /** How many took as long as each step says, from 1 µs. */
  private readonly steps: number[] = [];

  /** Records what began at this reading of `performance.now()` and ends now. */
  record(since: number): void {
    const micro = Math.max((performance.now() - since) * 1000, 1);
    this.histogram.record(Math.ceil(micro * 1000));
    const step = Math.floor(Math.log2(micro) * STEPS_PER_OCTAVE);
    this.steps[step] = (this.steps[step] ?? 0) + 1;
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

const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** A measured number: more than three figures of it say nothing. */
export function inFigures(value: number): string {
  return three.format(value);
}
