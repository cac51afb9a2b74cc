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
  if (sorted.length % 2 === 1) return /** @type {number} */ (sorted[middle]);
  if (sorted.length === 0) return Number.NaN;
  return /** @type {number} */ (sorted[middle - 1] + /** @type {number} */ (sorted[middle])) / 2;
}
