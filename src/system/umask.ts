import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

/**
 * Calls a function that creates a file before it returns, with a umask that gives the file exactly this mode from its
 * first moment on. A worker can't set the umask of its process: there, the process's own applies.
 */
export function withMode<T>(mode: number, create: () => T): T {
  if (!isMainThread) return create();
  const before = process.umask(0o777 & ~mode);
  try {
    return create();
  } finally {
    process.umask(before);
  }
}
