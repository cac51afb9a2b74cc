import { expect, test } from 'vitest';
import { pace } from '../../bench/pace.mjs';

test('a paced sender waits for the window before the last', async () => {
  const confirmations: (() => void)[] = [];
  const { sent } = pace(3, () => new Promise<void>((resolve) => confirmations.push(resolve)));
  const waits = Array.from({ length: 6 }, () => sent());
  expect(waits.map((wait) => wait !== undefined)).toEqual([false, false, true, false, false, true]);
  await waits[2]; // nothing was before the first window
  let done = false;
  const second = waits[5]?.then(() => {
    done = true;
  });
  await Promise.resolve();
  expect(done).toBe(false);
  confirmations[0]?.();
  await second;
});
