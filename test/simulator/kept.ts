import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Failed, Run } from './simulate.ts';
import type { Step } from './steps.ts';

// Runs that failed once are kept as their steps, which don't depend on the random choices of today. A file
// has first a line with the fault, the limit of the queues and the length of turns, and then a line for each step.

const FOLDER = new URL('once-failed/', import.meta.url).pathname;

export interface Kept extends Run {
  readonly why: string;
}

export function readRun(path: string): Kept {
  const [first, ...steps] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const { why, limit, turnSteps } = JSON.parse(first as string) as Omit<Kept, 'steps'>;
  return { why, limit, turnSteps, steps: steps.map((line) => JSON.parse(line) as Step) };
}

export function keptRuns(): Kept[] {
  return readdirSync(FOLDER).map((file) => readRun(join(FOLDER, file)));
}

function linesOf({ why, limit, turnSteps, steps }: Kept): string[] {
  return [{ why, limit, turnSteps }, ...steps].map((line) => JSON.stringify(line));
}

/**
 * Writes a failed run to a file; gives the text that says where it is and how to replay it. With a `why`, the file
 * goes into the directory of runs that every test repeats, otherwise into the system's temporary directory.
 */
export function tell({ why, steps, ...setup }: Failed, keepAs: string | undefined): string {
  const title = keepAs ?? (why.split('\n')[0] as string);
  const folder = keepAs === undefined ? join(tmpdir(), 'kbus-runs') : FOLDER;
  const words = title.toLowerCase().match(/[a-z0-9]+/g) ?? ['failed'];
  const path = join(folder, `${words.slice(0, 12).join('-')}.jsonl`);
  const lines = linesOf({ ...setup, why: title, steps });
  mkdirSync(folder, { recursive: true });
  writeFileSync(path, `${lines.join('\n')}\n`);
  return [
    'The simulated bus broke. The shortest run that was found is in',
    `  ${path}`,
    'Replay it with',
    `  KBUS_SIM_RUN=${path} npx vitest run test/simulator/simulator.test.ts`,
    'To repeat it in every test, fix the fault and move the file to test/simulator/once-failed; or let it fail again with',
    "  KBUS_SIM_KEEP='the fault', which writes it there. These are its lines:",
    ...lines,
    why,
  ].join('\n');
}
