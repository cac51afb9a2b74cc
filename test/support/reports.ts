import { afterEach, beforeEach, vi } from 'vitest';

/**
 * What handlers throw is told by `console.error`, unless their Ksock has an `onHandlerError`. Here it is put into
 * the list that this gives, while each test of the file runs.
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
