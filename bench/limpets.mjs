// What joined buses cost, beside one bus: node bench/limpets.mjs [--rounds 5] [--write]. Limpets, senders and
// receivers are processes of their own. Each round measures the direct way and the way over links one after the other, and
// the ratios are those of one round. A first round, which does not count, lets Limpets and daemon compile their code: they
// run for long.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Ksock } from '../dist/index.js';
import { Daemon, KBUS } from '../harness/serve.mjs';
import { children, IDLE_LINKS, idleOf, median, part, rateOf, said, tripOf } from './joined.mjs';
import { writeReport } from './page.mjs';

/** What must hold. */
const MUST = { rate: 0.4, one: 2.4, two: 3.8, idle: 64 * 1024 };

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '5' },
      write: { type: 'boolean', default: false },
    },
  });
  const folder = mkdtempSync(join(tmpdir(), 'kbus-limpets-'));
  const daemon = new Daemon(folder, ['--buses', '6']);
  children.add(daemon.child);
  await daemon.serving;
  const at = (/** @type {string} */ name) => join(folder, name);
  // Buses 0 and 1 are joined by a pair, buses 2, 3 and 4 by a chain with a hub; bus 5 has no Limpet.
  const limpets = [
    ['--id', '1', '--bus', '0', '--server', at('pair')],
    ['--id', '2', '--bus', '1', '--client', at('pair')],
    ['--id', '3', '--bus', '2', '--server', at('a')],
    ['--id', '4', '--bus', '3', '--link', `client:${at('a')}`, '--link', `server:${at('b')}`],
    ['--id', '5', '--bus', '4', '--client', at('b')],
  ];
  for (const args of limpets) {
    const words = [KBUS, 'limpet', ...args, '--directory', folder];
    children.add(spawn(process.execPath, words, { stdio: 'ignore' }));
    await pause(300);
  }
  for (const number of [1, 4, 5]) await said(part('reply', folder, number));
  for (const number of [0, 2]) {
    const ksock = await Ksock.open(number, { directory: folder });
    while ((await ksock.findReplier('$.Bench.Ask')) === null) await pause(20);
    await ksock.close();
  }

  /** @type {{ direct: number, linked: number, trip: number, one: number, two: number }[]} */
  const rows = [];
  let missed = 0;
  for (let round = 0; round <= Number(values.rounds); round++) {
    const direct = await rateOf([folder, 5], [folder, 5]);
    const linked = await rateOf([folder, 0], [folder, 1]);
    missed += direct.missed + linked.missed;
    const [trip, one, two] = [
      await tripOf(folder, 5),
      await tripOf(folder, 0),
      await tripOf(folder, 2),
    ];
    const row = { direct: direct.rate, linked: linked.rate, trip, one, two };
    console.error(`round ${round}:`, JSON.stringify(row));
    if (round > 0) rows.push(row);
  }
  const idle = await idleOf(folder);
  rmSync(folder, { recursive: true, force: true });

  const of = (/** @type {(row: (typeof rows)[0]) => number} */ value) => median(rows.map(value));
  const rate = of(({ direct, linked }) => linked / direct);
  const one = of(({ trip, one }) => one / trip);
  const two = of(({ trip, two }) => two / trip);
  const lines = [
    '| | one bus | joined | ratio | must |',
    '| --- | ---: | ---: | ---: | ---: |',
    `| announcements 1 → 1, mixed, through one link; ${missed} missed | ${Math.round(of((row) => row.direct))}/s | ${Math.round(of((row) => row.linked))}/s | ${rate.toFixed(2)} | ≥ ${MUST.rate} |`,
    `| round trip of a Request, one link | ${of((row) => row.trip).toFixed(0)} µs | ${of((row) => row.one).toFixed(0)} µs | ${one.toFixed(2)} | ≤ ${MUST.one} |`,
    `| the same, two links | ${of((row) => row.trip).toFixed(0)} µs | ${of((row) => row.two).toFixed(0)} µs | ${two.toFixed(2)} | ≤ ${MUST.two} |`,
    `| memory of an idle link in a hub of ${IDLE_LINKS} | | ${(idle / 1024).toFixed(1)} KiB | | ≤ ${MUST.idle / 1024} KiB |`,
  ];
  const text = `Rounds: ${values.rounds}; medians.\n\n${lines.join('\n')}`;
  console.log(text);
  if (values.write) writeReport('limpets', text);
  const isGood = rate >= MUST.rate && one <= MUST.one && two <= MUST.two && idle <= MUST.idle;
  if (!isGood || missed > 0) process.exitCode = 1;
}

try {
  await main();
} finally {
  for (const child of children) child.kill();
}
process.exit();
