import { accessSync, constants } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import process from 'node:process';
import { quoted } from '../base/quoted.ts';

/** How to run this program from here: `kbus` where a shell finds that, else Node and its file. */
export function kbusCommand(): string {
  const { PATH = '' } = process.env;
  const folders = PATH.split(delimiter);
  if (folders.some((folder) => isProgram(join(folder, 'kbus')))) return 'kbus';
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

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
