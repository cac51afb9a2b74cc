// Whether something grows, or gets slower, from the second quarter of a soak to the last: the first is left
// out, in which code is compiled and memory is got that will be used again.
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

/** How much more of each there may be at the end: so many of its units, or this part of it if that is more. */
export const NOISE = {
  heap: { least: 1024 * 1024, part: 0 },
  external: { least: 1024 * 1024, part: 0 },
  rss: { least: 16 * 1024 * 1024, part: 0.2 },
  // Those who have left may not quite be gone.
  resources: { least: 16, part: 0 },
  ksocks: { least: 0, part: 0 },
  queued: { least: 0, part: 0 },
  latency: { least: 0.2, part: 0.5 },
  seconds: { least: 0.1, part: 0.5 },
};

/**
 * What has drifted: a line for each; none if nothing has.
 *
 * @template {Judged} J
 * @param {readonly { readonly [key in J]: number }[]} samples
 * @param {readonly J[]} judged  what must not
 */
export function drifted(samples, judged) {
  if (samples.length < 8) return [`${samples.length} samples are too few to tell`];
  return judged.flatMap((what) => {
    const { second, last } = quarters(samples.map((sample) => sample[what]));
    const { least, part } = NOISE[what];
    const noise = Math.max(least, second * part);
    return last - second > noise
      ? [`${what} went from ${second} to ${last}, and only ${noise} of that is noise`]
      : [];
  });
}
