import fc from 'fast-check';
import type { Sequence } from './operations.ts';
import { type MakeBus, makeEngine, runSequence, type Seen } from './side-by-side.ts';

const { KBUS_SEED, KBUS_PATH, KBUS_RUNS } = process.env;

/** Whether the tests run their usual number of cases. */
export const isUsual = [KBUS_SEED, KBUS_PATH, KBUS_RUNS].every((value) => value === undefined);

/** The number of random cases of a test: `usual` times KBUS_RUNS / 100. */
export function runs(usual: number): number {
  const percent = KBUS_RUNS === undefined ? 100 : Number(KBUS_RUNS);
  return Math.max(1, Math.round((usual * percent) / 100));
}

/** The settings that replay a failed case. */
const replay = {
  ...(KBUS_SEED === undefined ? {} : { seed: Number(KBUS_SEED) }),
  ...(KBUS_PATH === undefined ? {} : { path: KBUS_PATH }),
};

function howToReplay<T>(details: fc.RunDetails<T>): string {
  const { seed, counterexamplePath, numRuns, numShrinks } = details;
  return (
    `Failed after ${numRuns} random cases, made shorter ${numShrinks} times. Replay it with\n` +
    `  KBUS_SEED=${seed} KBUS_PATH=${counterexamplePath} npx vitest run <this file> -t '<this test>'`
  );
}

/** Tries random cases of a property; throws with the shortest failing case. */
export function holds<T>(property: fc.IProperty<T>, numRuns = 100): void {
  mustHold(fc.check(property, { numRuns: runs(numRuns), ...replay }));
}

/** The same for an async property; a case that takes longer than `timeout` milliseconds fails. */
export async function holdsInTime<T>(
  property: fc.IAsyncProperty<T>,
  numRuns: number,
  timeout: number,
): Promise<void> {
  mustHold(await fc.check(property, { numRuns: runs(numRuns), timeout, ...replay }));
}

function mustHold<T>(details: fc.RunDetails<T>): void {
  if (!details.failed) return;
  const { counterexample, errorInstance } = details;
  throw new Error(`${howToReplay(details)}\n${fc.stringify(counterexample)}\n${errorInstance}`, {
    cause: errorInstance,
  });
}

interface Trial {
  make?: MakeBus;
  seen?: Seen;
  /** Don't shrink a failing sequence. */
  endOnFailure?: boolean;
}

/** Tries sequences until one fails; gives that one, shrunk, or null. */
export function findFailing(
  sequences: fc.Arbitrary<Sequence>,
  numRuns: number,
  { make = makeEngine, seen, endOnFailure = false }: Trial = {},
): fc.RunDetails<[Sequence]> | null {
  const details = fc.check(
    fc.property(sequences, (sequence) => runSequence(sequence, make, seen)),
    { numRuns, endOnFailure, ...replay },
  );
  return details.failed ? details : null;
}

/** Throws if engine and naive model disagree, with the difference and the way to replay it. */
export function agree(sequences: fc.Arbitrary<Sequence>, numRuns: number, seen: Seen): void {
  const failed = findFailing(sequences, runs(numRuns), { seen });
  if (failed === null) return;
  const { counterexample, errorInstance } = failed;
  throw new Error(
    `engine and naive model disagree.\n${howToReplay(failed)}\n` +
      `and keep it in test/model/once-failed.json:\n  ${JSON.stringify(counterexample?.[0])}\n` +
      `${errorInstance instanceof Error ? errorInstance.message : errorInstance}`,
  );
}
