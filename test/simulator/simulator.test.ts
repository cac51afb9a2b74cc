import { describe, expect, it } from 'vitest';
import onceFailed from './seeds.json' with { type: 'json' };
import { shorten, simulate, tell } from './simulate.ts';

// KBUS_SIM_SEED replays one run; KBUS_SIM_RUNS is how many to try.

const { KBUS_SIM_SEED, KBUS_SIM_RUNS } = process.env;
const runs = KBUS_SIM_RUNS === undefined ? 1000 : Number(KBUS_SIM_RUNS);

async function mustHold(
  seed: number,
): Promise<{ steps: number; faults: number; messages: number }> {
  const { failed, figures } = await simulate(seed);
  if (failed !== null) throw new Error(tell(await shorten(failed)));
  return figures;
}

describe('clients, sessions and engine keep the promises, whatever happens to their connections', () => {
  it.for(onceFailed as { seed: number; why: string }[])('where once: $why', async ({ seed }) => {
    await mustHold(seed);
  });

  it('in runs that are new each time', { timeout: 36_000_000 }, async () => {
    if (KBUS_SIM_SEED !== undefined) {
      await mustHold(Number(KBUS_SIM_SEED));
      return;
    }
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
    expect(sum.messages).toBeGreaterThan(runs);
    expect(sum.faults).toBeGreaterThan(0);
  });
});
