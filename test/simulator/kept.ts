import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Failed, Run } from './simulate.ts';
import type { Step } from './steps.ts';

// Runs that failed once are kept as their steps, which mean the same whatever else is drawn by now. A file
// has a line for each: first what was wrong, and the limit of the queues; then one step after the other.

const FOLDER = new URL('once-failed/', import.meta.url).pathname;

export interface Kept extends Run {
  readonly why: string;
}

export function readRun(path: string): Kept {
  const [first, ...steps] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const { why, limit } = JSON.parse(first as string) as { why: string; limit: number };
  return { why, limit, steps: steps.map((line) => JSON.parse(line) as Step) };
}

export function keptRuns(): Kept[] {
  return readdirSync(FOLDER).map((file) => readRun(join(FOLDER, file)));
}

function linesOf({ why, limit, steps }: Kept): string[] {
  return [{ why, limit }, ...steps].map((line) => JSON.stringify(line));
}

/**
 * Writes a failed run down, and says where, and how to see it again: with a `why` in the folder of those
 * that are run with every test, else in the machine's folder for what is temporary.
 */
export function tell({ why, limit, steps }: Failed, keepAs: string | undefined): string {
  const title = keepAs ?? (why.split('\n')[0] as string);
  const folder = keepAs === undefined ? join(tmpdir(), 'kbus-runs') : FOLDER;
  const words = title.toLowerCase().match(/[a-z0-9]+/g) ?? ['failed'];
  const path = join(folder, `${words.slice(0, 12).join('-')}.jsonl`);
  const lines = linesOf({ why: title, limit, steps });
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return [
    'The simulated bus broke. The shortest way to it that was found is in',
    `  ${path}`,
    'and can be seen again with',
    `  KBUS_SIM_RUN=${path} npx vitest run test/simulator/simulator.test.ts`,
    'To have it tried with every test, mend it, and move the file to test/simulator/once-failed; or fail again with',
    "  KBUS_SIM_KEEP='what was wrong', which writes it there. These are its lines:",
    ...lines,
    why,
  ].join('\n');
}
