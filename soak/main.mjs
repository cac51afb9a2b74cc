// A daemon and some programs that use the whole API for long. Memory must not grow, and calls must not get slower.
//
//   npm run soak -- --minutes 10            the mix
//   npm run soak -- --messages 10000000     a stream
//
// It runs in rounds of equal work. After each, the programs rest, all queues must be empty, and the daemon reports its
// memory. A run starts at its own serial number, half of the runs shortly before the last one: short runs together cover
// what one long run would.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Child } from '../dist/measure/index.js';
import { Random } from '../harness/random.mjs';
import { median } from '../harness/statistics.mjs';
import { drifted, quarters } from './drift.mjs';

/**
 * @import { Judged } from './drift.mjs'
 * @import { ClientSaid, ClientStart, DaemonSaid, DaemonStart, Sample, Told } from './talk.ts'
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    messages: { type: 'string' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    /** The number of operations of each program per round. */
    work: { type: 'string' },
    /** Also fail if it slows down: for an otherwise idle machine. */
    pace: { type: 'boolean', default: false },
    samples: { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const isStream = values.messages !== undefined;
const work = Number(values.work ?? (isStream ? 200_000 : 100));
const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

const random = new Random(seed);

const MAX_U32 = 2 ** 32 - 1;
const serial = random.chance(0.5) ? MAX_U32 - random.below(3000) : 1 + random.below(MAX_U32);
const ksock = 1 + random.below(2 ** 31);

const directory = mkdtempSync(join(tmpdir(), 'kbus-soak-'));
/** @type {Child<ClientSaid | DaemonSaid, Told>[]} */
const running = [];

/** @param {string} name @param {ClientStart | DaemonStart} what @param {string[]} execArgv */
function start(name, what, execArgv = []) {
  /** @type {Child<ClientSaid | DaemonSaid, Told>} */
  const child = new Child(fork(file(name), [JSON.stringify(what)], { execArgv }), name);
  running.push(child);
  return child;
}

/** @param {ReturnType<typeof start>} child */
async function stop(child) {
  child.tell({ what: 'stop' });
  if ((await child.ended) !== 0) await child.trouble;
}

const MIB = 1024 * 1024;
/** @param {Judged} what @param {number} value */
function shown(what, value) {
  if (['heap', 'external', 'rss'].includes(what)) return `${(value / MIB).toFixed(2)} MiB`;
  if (what === 'latency') return `${value.toFixed(3)} ms`;
  return what === 'seconds' ? `${value.toFixed(2)} s` : String(value);
}

async function soak() {
  const daemon = start('daemon.mjs', { directory, serial, ksock }, ['--expose-gc']);
  await daemon.next('serving');
  /** @type {ClientStart['role'][]} */
  const roles = isStream ? ['sender', 'listener'] : ['mix', 'mix', 'mix'];
  const clients = roles.map((role, number) =>
    start('client.mjs', { directory, role, number, work, seed: random.below(2 ** 32) }),
  );
  await Promise.all(clients.map((client) => client.next('open')));

  const until = Date.now() + Number(values.minutes) * 60_000;
  const rounds = isStream ? Math.ceil(Number(values.messages) / work) : Infinity;
  /** @type {Sample[]} */
  const samples = [];
  let operations = 0;
  while (samples.length < rounds && (isStream || Date.now() < until || samples.length < 8)) {
    const began = performance.now();
    for (const client of clients) client.tell({ what: 'work' });
    const said = await Promise.all(clients.map((client) => client.next('worked')));
    const done = said.map(({ worked }) => worked);
    const seconds = (performance.now() - began) / 1000;
    for (const client of clients) client.tell({ what: 'rest' });
    await Promise.all(clients.map((client) => client.next('resting')));
    daemon.tell({ what: 'sample' });
    const { sample: standing } = await daemon.next('sample');
    const latencies = done.flatMap((one) => one.latencies);
    const sample = {
      seconds,
      latency: isStream ? 0 : median(latencies),
      ...standing,
    };
    samples.push(sample);
    operations += done.reduce((sum, one) => sum + one.operations, 0);
    if (values.samples) console.log(JSON.stringify(sample));
  }
  for (const child of [...clients, daemon]) await stop(child);

  const wrapped = samples.some((sample, at) => sample.serial < (samples[at - 1]?.serial ?? serial));
  console.log(
    `soak: ${samples.length} rounds, ${operations} ${isStream ? 'messages' : 'operations'}, serial numbers from ${serial}${wrapped ? ' and again from 1' : ''}`,
  );
  for (const what of /** @type {const} */ (['heap', 'external', 'rss', 'latency', 'seconds'])) {
    const { second, last } = quarters(samples.map((sample) => sample[what]));
    console.log(
      `soak: ${what.padEnd(8)} ${shown(what, second)} in the second quarter, ${shown(what, last)} in the last`,
    );
  }
  /** @type {Judged[]} */
  const judged = ['heap', 'external', 'rss', 'resources', 'ksocks', 'queued'];
  const wrong = drifted(samples, values.pace ? [...judged, 'latency', 'seconds'] : judged);
  if (samples.some(({ queued }) => queued !== 0)) wrong.push('queues were not empty after a round');
  if (samples.some(({ ksocks }) => ksocks !== clients.length))
    wrong.push('Ksocks were left behind');
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
}

console.log(
  `soak: seed ${seed}, ${isStream ? `${values.messages} messages` : `${values.minutes} minutes of the mix`}`,
);
try {
  await soak();
  console.log('soak: nothing grew');
} catch (error) {
  console.error(
    `soak: ${error instanceof Error ? error.message : error}\nRun it again with --seed ${seed}`,
  );
  for (const child of running) child.process.kill('SIGKILL');
  process.exitCode = 1;
} finally {
  rmSync(directory, { recursive: true, force: true });
}
