import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';

/** Where a program is: in the PATH, or else in one of these folders; undefined when it is in none. */
export function programPath(name: string, others: readonly string[] = []): string | undefined {
  const { PATH = '' } = process.env;
  return [...PATH.split(delimiter), ...others]
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((path) => mayUse(path, constants.X_OK));
}

/** Whether this process may use a file in this way: one of {@link constants}. */
export function mayUse(path: string, how: number): boolean {
  try {
    accessSync(path, how);
    return true;
  } catch {
    return false;
  }
}
