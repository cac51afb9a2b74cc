import { type BigIntStats, lstatSync } from 'node:fs';

/**
 * Distinguishes a file from a later one at the same path; undefined if there is none. A file system reuses inode
 * numbers, so the time of birth is part of the identity.
 */
export function identityOf(path: string): string | undefined {
  return identity(lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

export function identity(stats: BigIntStats | undefined): string | undefined {
  return stats && `${stats.dev}:${stats.ino}:${stats.birthtimeNs}`;
}
