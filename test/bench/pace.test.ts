import { expect, test } from 'vitest';
import { pace } from '../../bench/pace.mjs';

test('a paced sender waits until the window before the last one is done', async () => {
  const confirmations: (() => void)[] = [];
  const { sent } = pace(3, () => new Promise<void>((resolve) => confirmations.push(resolve)));
  const waits = Array.from({ length: 6 }, () => sent());
  expect(waits.map((wait) => wait !== undefined)).toEqual([false, false, true, false, false, true]);
  await waits[2]; // the first window has none before it
  let done = false;
  const second = waits[5]?.then(() => {
    done = true;
  });
  await Promise.resolve();
  expect(done).toBe(false);
  confirmations[0]?.();
  await second;
});
