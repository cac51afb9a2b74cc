import { expect, test } from 'vitest';
import { median } from '../../harness/statistics.mjs';

test('the median of an even number of values is between the middle two', () => {
  expect(median([5, 1, 9])).toBe(5);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([])).toBeNaN();
});
