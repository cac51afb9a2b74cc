import { type BigIntStats, lstatSync } from 'node:fs';

/**
 * Tells one file from another that has its path now; undefined where there is none. A file system gives the number
 * of a file again once the file is gone, but not the time at which it was made.
 */
export function identityOf(path: string): string | undefined {
  return identity(lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

/** The same of a file that was looked at already. */
export function identity(stats: BigIntStats | undefined): string | undefined {
  return stats && `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
}
