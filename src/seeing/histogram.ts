/** Buckets of each doubling: a value is told to within about 6 %. */
const PER_OCTAVE = 8;
/** From 1 µs to 2^32 µs, which is more than an hour. */
const OCTAVES = 32;
const BUCKETS = PER_OCTAVE * OCTAVES + 1;

/** Two figures of many times: half of them were within `p50`, and 99 of 100 within `p99`, in milliseconds. */
export interface Percentiles {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

/**
 * Times in microseconds, of which only percentiles are asked: a bounded number of buckets, each a little wider than the one
 * before. It forgets: it has what came since the last {@link turn} but one.
 */
export class Histogram {
  private recent: Uint32Array | null = null;
  private before: Uint32Array | null = null;

  add(us: number, times = 1): void {
    this.recent ??= new Uint32Array(BUCKETS);
    const at = bucketOf(us);
    this.recent[at] = (this.recent[at] as number) + times;
  }

  /** Call it at intervals: what came before the last call but one is forgotten. */
  turn(): void {
    this.before = this.recent;
    this.recent = null;
  }

  /** Null if nothing came. */
  get percentiles(): Percentiles | null {
    let count = 0;
    for (let at = 0; at < BUCKETS; at++) count += this.of(at);
    if (count === 0) return null;
    return { p50: this.within(count * 0.5), p99: this.within(count * 0.99), count };
  }

  private of(bucket: number): number {
    return (this.recent?.[bucket] ?? 0) + (this.before?.[bucket] ?? 0);
  }

  /** The time, in milliseconds, within which so many were. */
  private within(wanted: number): number {
    let count = 0;
    let at = 0;
    for (; at < BUCKETS - 1; at++) {
      count += this.of(at);
      if (count >= wanted) break;
    }
    return middleOf(at) / 1000;
  }
}

function bucketOf(us: number): number {
  if (us < 1) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(us) * PER_OCTAVE));
}

function middleOf(bucket: number): number {
  return bucket === 0 ? 0 : 2 ** ((bucket - 0.5) / PER_OCTAVE);
}
