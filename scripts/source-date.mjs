// The date of what is built, so that two builds of the same source are equal: SOURCE_DATE_EPOCH, else that of the last
// commit, else of package.json (in a folder without git).
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';

/** Seconds since 1970. */
export function sourceDate() {
  const given = Number(process.env['SOURCE_DATE_EPOCH']);
  if (given > 0) return given;
  const { status, stdout } = spawnSync('git', ['log', '-1', '--format=%ct'], { encoding: 'utf8' });
  const committed = status === 0 ? Number(stdout) : 0;
  return committed > 0 ? committed : Math.floor(statSync('package.json').mtimeMs / 1000);
}
