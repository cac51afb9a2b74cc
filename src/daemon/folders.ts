import { lstatSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

/**
 * Makes a folder, and those around it that aren't there; gives those that it made, the innermost first. One by one:
 * the recursive way of Node tries without end where a folder is refused as one that isn't there (below /proc).
 * An error of the file system, which names the folder.
 */
export function makeFolders(folder: string, mode: number): string[] {
  const missing: string[] = [];
  let at = resolve(folder);
  while (lstatSync(at, { throwIfNoEntry: false }) === undefined && dirname(at) !== at) {
    missing.push(at);
    at = dirname(at);
  }
  const made: string[] = [];
  for (const next of missing.reverse()) {
    try {
      mkdirSync(next, { mode });
      made.unshift(next);
    } catch (error) {
      // Somebody else may make the same folders now.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return made;
}
