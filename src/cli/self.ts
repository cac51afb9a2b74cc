import { relative } from 'node:path';
import process from 'node:process';
import { quoted } from '../base/quoted.ts';
import { programPath } from '../system/program-path.ts';

/** How to run this program from here: `kbus` where a shell finds that, else Node and its file. */
export function kbusCommand(): string {
  if (programPath('kbus') !== undefined) return 'kbus';
  const main = process.argv[1] ?? '';
  return `node ${quoted(nearest(main))}`;
}

/** From where we are, if it is below. */
function nearest(path: string): string {
  try {
    const near = relative(process.cwd(), path);
    return near.startsWith('..') ? path : near;
  } catch {
    // The folder where we are was removed.
    return path;
  }
}
