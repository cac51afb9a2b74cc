import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Most tests wait for other processes.
    maxWorkers: 2,
    // Nothing waits for time to pass, so only what hangs takes this long.
    testTimeout: 20_000,
    hookTimeout: 30_000,
  },
});
