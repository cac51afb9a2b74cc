// Whether a value grows, or the daemon slows down, from the second quarter of a soak to the last. The first quarter does
// not count: Node compiles code and allocates memory for reuse.
import { median } from '../harness/statistics.mjs';

/** Medians of the second and the last quarter. @param {readonly number[]} values */
export function quarters(values) {
  const quarter = Math.max(1, Math.floor(values.length / 4));
  return {
    second: median(values.slice(quarter, 2 * quarter)),
    last: median(values.slice(-quarter)),
  };
}

/** @typedef {keyof typeof NOISE} Judged  what may drift */

/** The tolerated growth of each value: in its unit, or as a part of it, whichever is more. */
export const NOISE = {
  heap: { least: 1024 * 1024, part: 0 },
  external: { least: 1024 * 1024, part: 0 },
  rss: { least: 16 * 1024 * 1024, part: 0.2 },
  // The daemon may not have closed all visitors yet.
  resources: { least: 16, part: 0 },
  ksocks: { least: 0, part: 0 },
  queued: { least: 0, part: 0 },
  latency: { least: 0.2, part: 0.5 },
  seconds: { least: 0.1, part: 0.5 },
};

/**
 * A line for each value that has drifted.
 *
 * @template {Judged} J
 * @param {readonly { readonly [key in J]: number }[]} samples
 * @param {readonly J[]} judged  what must not
 */
export function drifted(samples, judged) {
  if (samples.length < 8) return [`${samples.length} rounds are too few to judge: at least 8`];
  return judged.flatMap((what) => {
    const { second, last } = quarters(samples.map((sample) => sample[what]));
    const { least, part } = NOISE[what];
    const noise = Math.max(least, second * part);
    return last - second > noise
      ? [`${what} went from ${second} to ${last}; the tolerance is ${noise}`]
      : [];
  });
}
