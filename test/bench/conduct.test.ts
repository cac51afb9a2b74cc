import { expect, test } from 'vitest';
import { conduct, withStage } from '../../bench/conduct.mjs';
import engine from '../../bench/systems/engine.mjs';
import floor from '../../bench/systems/floor.mjs';
import inProcess from '../../bench/systems/in-process.mjs';
import inProcessCalls from '../../bench/systems/in-process-calls.mjs';
import kbus from '../../bench/systems/kbus.mjs';
import { workloadOf, workloads } from '../../bench/workloads.mjs';

// Longer than any wait for messages that are not lost.
const options = { seconds: 0.05, node: process.execPath, silence: 60_000 };

for (const workload of workloads) {
  test(`the floor does ${workload.name} and loses nothing`, { timeout: 100_000 }, async () => {
    const cell = await conduct(floor, workload, options);
    expect(cell.count).toBeGreaterThan(0);
    expect(cell).toMatchObject({ lost: 0, wrong: 0 });
    expect(cell.daemonPeak).toBeGreaterThan(0);
    for (const { key } of workload.figures) expect(cell.figures[key]).toBeGreaterThan(0);
  });
}

const did = ['rtt64', '1to1', 'fan16', 'mixed', 'mixedawait', 'mixed4', 'services'];
for (const system of [kbus, inProcess, inProcessCalls, engine]) {
  for (const workload of workloads.filter(({ name }) => did.includes(name))) {
    if (system.workloads?.includes(workload.name) === false) continue;
    test(`${system.title} does ${workload.name} and loses nothing`, {
      timeout: 100_000,
    }, async () => {
      const cell = await conduct(system, workload, options);
      expect(cell.count).toBeGreaterThan(0);
      expect(cell).toMatchObject({ lost: 0, wrong: 0 });
    });
  }
}

test('the same processes do one run after the other', { timeout: 100_000 }, async () => {
  const stage = { node: process.execPath, silence: 60_000, limit: 90 };
  const runs = await withStage(kbus, workloadOf('mixed4'), stage, async ({ run }) => [
    await run(0.05),
    await run(0.05),
  ]);
  for (const run of runs) {
    expect(run.count).toBeGreaterThan(0);
    expect(run).toMatchObject({ lost: 0, wrong: 0 });
  }
});

test('a part that fails makes the cell fail, with its name and the reason', {
  timeout: 100_000,
}, async () => {
  const broken = { ...floor, name: 'nowhere' }; // a file that the processes can't load
  const failing = conduct(broken, workloadOf('rtt'), options);
  await expect(failing).rejects.toThrow(/nowhere rtt, daemon: .*nowhere\.mjs/s);
});
