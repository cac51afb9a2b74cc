import { statSync } from 'node:fs';

/** The id of the user who owns a process of this machine; -1 if it can't be found out. */
export function userOfProcess(pid: number): number {
  try {
    return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid ?? -1;
  } catch {
    return -1;
  }
}
