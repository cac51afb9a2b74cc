import { describe, expect, it } from 'vitest';
import { keptRuns, readRun, tell } from './kept.ts';
import { type Failed, replay, shorten, simulate } from './simulate.ts';

// KBUS_SIM_RUNS is the number of new runs; KBUS_SIM_SEED tries the run of this seed only, and
// KBUS_SIM_RUN the one in this file. KBUS_SIM_KEEP keeps a failing run: see kept.ts.

const { KBUS_SIM_SEED, KBUS_SIM_RUN, KBUS_SIM_RUNS, KBUS_SIM_KEEP } = process.env;
const runs = KBUS_SIM_RUNS === undefined ? 700 : Number(KBUS_SIM_RUNS);

async function throwShortest(failed: Failed): Promise<never> {
  throw new Error(tell(await shorten(failed), KBUS_SIM_KEEP));
}

async function mustHold(
  seed: number,
): Promise<{ steps: number; faults: number; messages: number }> {
  const { failed, figures } = await simulate(seed);
  if (failed !== null) await throwShortest(failed);
  return figures;
}

describe('clients, sessions and engine keep the promises, whatever happens to their connections', () => {
  it.for(keptRuns())('in a run that failed once: $why', async (run) => {
    expect(await replay(run)).toBe(null);
  });

  it.runIf(KBUS_SIM_RUN !== undefined)('in the run of a file', async () => {
    const run = readRun(KBUS_SIM_RUN as string);
    const why = await replay(run);
    if (why !== null) await throwShortest({ ...run, why });
  });

  it.runIf(KBUS_SIM_SEED !== undefined)('in the run of a seed', async () => {
    await mustHold(Number(KBUS_SIM_SEED));
  });

  const isUsual = KBUS_SIM_SEED === undefined && KBUS_SIM_RUN === undefined;
  it.runIf(isUsual)('in new random runs', { timeout: 36_000_000 }, async () => {
    const first = Math.floor(Math.random() * 2 ** 31);
    const sum = { runs: 0, steps: 0, faults: 0, messages: 0 };
    for (let seed = first; seed < first + runs; seed++) {
      const began = performance.now();
      const { steps, faults, messages } = await mustHold(seed);
      if (performance.now() - began > 3000) console.log(`seed ${seed} took long`);
      sum.runs++;
      sum.steps += steps;
      sum.faults += faults;
      sum.messages += messages;
    }
    console.log(`simulator: seeds from ${first}: ${JSON.stringify(sum)}`);
    if (runs < 100) return;
    expect(sum.messages).toBeGreaterThan(runs);
    expect(sum.faults).toBeGreaterThan(0);
  });
});
