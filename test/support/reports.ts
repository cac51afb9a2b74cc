import { afterEach, beforeEach, vi } from 'vitest';

/**
 * A Ksock without `onHandlerError` prints what its handlers throw with `console.error`. While each test of the file
 * runs, these reports go into the returned list instead.
 */
export function catchReports(): unknown[] {
  const reported: unknown[] = [];
  beforeEach(() => {
    reported.length = 0;
    vi.spyOn(console, 'error').mockImplementation((_what, error) => void reported.push(error));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });
  return reported;
}
