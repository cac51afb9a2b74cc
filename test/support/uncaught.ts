import { afterEach, beforeEach, expect } from 'vitest';

/**
 * What a handler throws is nobody's to catch: it is an uncaught exception. Here such exceptions are caught while
 * each test of the file runs, and it must have taken all of them out of the list that this gives.
 */
export function catchUncaught(): unknown[] {
  const uncaught: unknown[] = [];
  let theirs: NodeJS.UncaughtExceptionListener[] = [];
  beforeEach(() => {
    uncaught.length = 0;
    theirs = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => uncaught.push(error));
  });
  afterEach(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of theirs) process.on('uncaughtException', listener);
    expect(uncaught).toEqual([]);
  });
  return uncaught;
}
