// Buses joined through NATS, beside NATS alone: node bench/machines.mjs [--rounds 3] [--write]. Senders, receivers, Limpets and
// the server are processes of their own, all on this machine; the buses are of one daemon.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Ksock } from '../dist/index.js';
import { freePort, startNats } from '../harness/nats-server.mjs';
import { Daemon, KBUS } from '../harness/serve.mjs';
import { children, MESSAGES, median, part, rateOf, said, tripOf } from './joined.mjs';
import { writeReport } from './page.mjs';

/** @import { ChildProcess } from 'node:child_process' */

/** What must hold. */
const MUST = { rate: 0.7, trip: 1.5 };
const SIZES = [2];

/** @param {ChildProcess} child @returns {number} seconds of CPU so far */
function cpuOf({ pid }) {
  const words = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(words[11]) + Number(words[12])) / 100;
}

/** @param {string} folder @param {number} bus */
async function untilAsked(folder, bus) {
  const ksock = await Ksock.open(bus, { directory: folder });
  while ((await ksock.findReplier('$.Bench.Ask')) === null) await pause(20);
  await ksock.close();
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      write: { type: 'boolean', default: false },
    },
  });
  const rounds = Number(values.rounds);
  const folder = mkdtempSync(join(tmpdir(), 'kbus-machines-'));
  const daemon = new Daemon(folder, ['--buses', '17']);
  children.add(daemon.child);
  await daemon.serving;
  const port = await freePort();
  const server = await startNats(port);
  children.add(server);
  const nats = `nats://127.0.0.1:${port}`;

  /** @type {ChildProcess[]} */
  const limpets = [];
  /** Until so many buses are joined. @param {number} size */
  const grow = async (size) => {
    for (let bus = limpets.length; bus < size; bus++) {
      const args = ['--id', String(bus + 1), '--bus', String(bus), '--directory', folder];
      const words = [KBUS, 'limpet', '--nats', nats, '--federation', 'plant', ...args];
      const child = spawn(process.execPath, words, { stdio: 'ignore' });
      children.add(child);
      limpets.push(child);
    }
    for (let bus = 0; bus < size; bus++) await untilAsked(folder, bus);
  };

  await said(part('natsReply', nats));
  // Bus 16 is alone; each of the others knows the Replier of bus 1 when it is joined with that.
  for (const bus of [1, 16]) await said(part('reply', folder, bus));
  /** @type {Record<string, number[]>} */
  const figures = { bare: [], joined: [], bareTrip: [], localTrip: [], joinedTrip: [] };
  const note = (/** @type {string} */ name, /** @type {number} */ value) =>
    figures[name]?.push(value);
  let missed = 0;
  /** @type {string[]} */
  const scale = [];
  for (const size of SIZES) {
    await grow(size);
    if (size === 2) {
      await untilAsked(folder, 0);
      for (let round = 1; round <= rounds; round++) {
        note('bare', (await rateOf(nats, 0, 0, ['natsHear', 'natsAnnounce'])).rate);
        const joined = await rateOf(folder, 0, 1);
        note('joined', joined.rate);
        missed += joined.missed;
        note('bareTrip', await tripOf(nats, 0, 'natsAsk'));
        note('localTrip', await tripOf(folder, 16));
        note('joinedTrip', await tripOf(folder, 0));
      }
    }
    const [sender] = limpets;
    const before = cpuOf(/** @type {ChildProcess} */ (sender));
    const result = await rateOf(folder, 0, 1);
    const each = ((cpuOf(/** @type {ChildProcess} */ (sender)) - before) / MESSAGES) * 1e6;
    const trip = await tripOf(folder, 0);
    missed += result.missed;
    scale.push(
      `| ${size} | ${Math.round(result.rate).toLocaleString('en')} | ${Math.round(result.rate * (size - 1)).toLocaleString('en')} | ${trip.toFixed(0)} | ${each.toFixed(1)} |`,
    );
    console.error(scale.at(-1));
  }

  console.error(JSON.stringify(figures));
  server.kill();
  rmSync(folder, { recursive: true, force: true });
  const of = (/** @type {string} */ name) => median(figures[name] ?? []);
  const rate = median(
    (figures['joined'] ?? []).map((value, at) => value / (figures['bare']?.[at] ?? 1)),
  );
  const trip = median(
    (figures['joinedTrip'] ?? []).map(
      (value, at) => value / ((figures['bareTrip']?.[at] ?? 1) + (figures['localTrip']?.[at] ?? 0)),
    ),
  );
  const text = [
    `Rounds: ${rounds}; medians, and ratios of one round.`,
    '',
    '| | NATS alone | two buses through NATS | ratio | must |',
    '| --- | ---: | ---: | ---: | ---: |',
    `| announcements 1 → 1, mixed; ${missed} missed | ${Math.round(of('bare')).toLocaleString('en')}/s | ${Math.round(of('joined')).toLocaleString('en')}/s | ${rate.toFixed(2)} | ≥ ${MUST.rate} |`,
    `| round trip of a Request (one on a bus alone: ${of('localTrip').toFixed(0)} µs) | ${of('bareTrip').toFixed(0)} µs | ${of('joinedTrip').toFixed(0)} µs | ${trip.toFixed(2)} of the sum of both | ≤ ${MUST.trip} |`,
    '',
    '| buses | announcements of one bus, /s | deliveries to other buses, /s | round trip, µs | CPU of the sending Limpet, µs each |',
    '| ---: | ---: | ---: | ---: | ---: |',
    ...scale,
  ].join('\n');
  console.log(text);
  if (values.write) writeReport('machines', text);
  if (rate < MUST.rate || trip > MUST.trip || missed > 0) process.exitCode = 1;
}

try {
  await main();
} finally {
  for (const child of children) child.kill();
}
process.exit();
