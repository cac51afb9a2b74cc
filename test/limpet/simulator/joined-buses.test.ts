import { describe, expect, it } from 'vitest';
import { type Figures, simulate } from './world.ts';

// KBUS_LIMPET_SEED repeats the run of one seed; KBUS_LIMPET_RUNS is the number of new runs.

const { KBUS_LIMPET_SEED, KBUS_LIMPET_RUNS } = process.env;
const runs = KBUS_LIMPET_RUNS === undefined ? 300 : Number(KBUS_LIMPET_RUNS);

function mustHold(seed: number): Figures {
  try {
    return simulate(seed);
  } catch (error) {
    const again = `KBUS_LIMPET_SEED=${seed} npx vitest run test/limpet/simulator`;
    throw new Error(`seed ${seed}: ${(error as Error).message}\nRepeat it with: ${again}`, {
      cause: error,
    });
  }
}

describe('joined buses keep the promises of Limpets, whatever happens to links, Limpets and buses', () => {
  it.runIf(KBUS_LIMPET_SEED !== undefined)('in the run of a seed', () => {
    console.log(JSON.stringify(mustHold(Number(KBUS_LIMPET_SEED))));
  });

  it.runIf(KBUS_LIMPET_SEED === undefined)('in new random runs', { timeout: 3_600_000 }, () => {
    const first = Math.floor(Math.random() * 2 ** 31);
    const sum = { deliveries: 0, requests: 0, cuts: 0, deaths: 0, missed: 0 };
    const statuses: Record<string, number> = {};
    for (let seed = first; seed < first + runs; seed++) {
      const figures = mustHold(seed);
      for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += figures[key];
      for (const [name, count] of Object.entries(figures.statuses)) {
        statuses[name] = (statuses[name] ?? 0) + count;
      }
    }
    console.log(`joined buses: seeds from ${first}: ${JSON.stringify({ runs, ...sum, statuses })}`);
    if (runs < 100) return;
    for (const count of Object.values(sum)) expect(count).toBeGreaterThan(0);
    // The rarest of them comes about once in 60 runs.
    if (runs < 1000) return;
    for (const name of ['Reply', '$.KBUS.Limpet.NotSent', '$.KBUS.Limpet.LinkLost']) {
      expect(statuses[name]).toBeGreaterThan(0);
    }
  });
});
