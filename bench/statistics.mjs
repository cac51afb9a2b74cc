/** @param {number[]} sorted ascending @param {number} share 0..1 */
export const percentile = (sorted, share) =>
  sorted.length === 0
    ? Number.NaN
    : /** @type {number} */ (
        sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]
      );

/** @param {number[]} values in any order */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}
