import { relative } from 'node:path';
import process from 'node:process';
import { quoted } from '../base/quoted.ts';
import { programPath } from '../system/program-path.ts';

/** The shell command for this program: `kbus` if that is in the PATH, else Node and its file. */
export function kbusCommand(): string {
  if (programPath('kbus') !== undefined) return 'kbus';
  const main = process.argv[1] ?? '';
  return `node ${quoted(nearest(main))}`;
}

/** The relative path if the file is below the working directory. */
function nearest(path: string): string {
  try {
    const near = relative(process.cwd(), path);
    return near.startsWith('..') ? path : near;
  } catch {
    // The working directory was removed.
    return path;
  }
}
