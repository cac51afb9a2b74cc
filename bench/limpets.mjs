// What joined buses cost, beside one bus: node bench/limpets.mjs [--rounds 5] [--write]. Limpets, senders and
// receivers are processes of their own. Each round measures the direct way and the way over links one after the other, and the ratios are those of one round.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Announcement, Bus, Ksock } from '../dist/index.js';
import { Limpet } from '../dist/limpet/index.js';
import { Daemon, KBUS } from '../harness/serve.mjs';
import { writeReport } from './page.mjs';
import { lengthsOf, namesOf } from './traffic.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const MESSAGES = 400_000;
const REQUESTS = 3000;
const WARM = 500;
const IDLE_LINKS = 64;
const NAMES = 1000;

/** KBUS_BENCH_NO_WAIT: senders do not wait for listeners, whose queues hold everything. */
const { KBUS_BENCH_NO_WAIT } = process.env;
const WAIT = { wait: KBUS_BENCH_NO_WAIT === undefined };

/** What must hold. */
const MUST = { rate: 0.4, one: 2.4, two: 3.8, idle: 64 * 1024 };

const [role = '', directory = '', bus = '0'] = process.argv[2]?.startsWith('role:')
  ? [process.argv[2].slice(5), process.argv[3], process.argv[4]]
  : [];

/** @param {object} message */
const tell = (message) => process.send?.(message);

/** @type {Record<string, () => Promise<void>>} */
const ROLES = {
  async hear() {
    let missed = 0;
    const onMissed = (/** @type {{ count: number }} */ { count }) => {
      missed += count;
    };
    const ksock = await Ksock.open(Number(bus), { directory, onMissed });
    if (!WAIT.wait) await ksock.setMaxMessages(MESSAGES);
    let count = 0;
    let began = 0;
    const hear = () => {
      if (count === 0) began = performance.now();
      if (++count < MESSAGES - missed) return;
      tell({ rate: (count - 1) / ((performance.now() - began) / 1000), missed });
    };
    await ksock.listener('$.Plant.*', hear, { borrowed: true });
    tell({ ready: true });
  },
  async announce() {
    const ksock = await Ksock.open(Number(bus), { directory });
    const names = namesOf(NAMES);
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    for (let at = 0; at < MESSAGES; at++) {
      const message = new Announcement(names[at % NAMES] ?? '', data[at % data.length]);
      const room = ksock.post(message, WAIT);
      if (room !== undefined) await room;
    }
    await ksock.flush();
    tell({ done: true });
  },
  async reply() {
    const ksock = await Ksock.open(Number(bus), { directory });
    await ksock.replier('$.Bench.Ask', (request) => request.data);
    tell({ ready: true });
  },
  async ask() {
    const ksock = await Ksock.open(Number(bus), { directory });
    for (let at = 0; at < WARM; at++) await ksock.request('$.Bench.Ask', 'ask');
    const began = performance.now();
    for (let at = 0; at < REQUESTS; at++) await ksock.request('$.Bench.Ask', 'ask');
    tell({ trip: ((performance.now() - began) / REQUESTS) * 1000 });
  },
  /** A hub; tells how much memory it has in use. */
  async hub() {
    const limpet = new Limpet({
      id: 1,
      bus: new Bus(),
      links: [{ server: join(directory, 'idle') }],
    });
    await limpet.start();
    const inUse = () => {
      /** @type {{ gc?: () => void }} */ (globalThis).gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = inUse();
    tell({ ready: true });
    await once(process, 'message');
    tell({ idle: (inUse() - before) / IDLE_LINKS });
  },
  /** The Limpets at the other ends of its links. */
  async ends() {
    const client = join(directory, 'idle');
    const limpets = Array.from({ length: IDLE_LINKS }, (_, at) => {
      return new Limpet({ id: at + 2, bus: new Bus(), links: [{ client }] });
    });
    for (const limpet of limpets) await limpet.start();
    const isReady = () => limpets.every((each) => each.report().paths.length === IDLE_LINKS);
    while (!isReady()) await pause(20);
    tell({ ready: true });
  },
};

/** @type {Set<ChildProcess>} */
const children = new Set();

/** @param {string} name @param {string} folder @param {number} [number] */
function part(name, folder, number = 0) {
  const file = process.argv[1] ?? '';
  const child = fork(file, [`role:${name}`, folder, String(number)], { execArgv: ['--expose-gc'] });
  children.add(child);
  return child;
}

/** The next message of a part. @param {ChildProcess} child @returns {Promise<any>} */
const said = async (child) => (await once(child, 'message'))[0];

/** @param {ChildProcess} child */
function end(child) {
  child.kill();
  children.delete(child);
}

/** @param {string} folder @param {number} from @param {number} to */
async function rateOf(folder, from, to) {
  const listener = part('hear', folder, to);
  await said(listener);
  const heard = said(listener);
  const sender = part('announce', folder, from);
  const result = await heard;
  end(listener);
  end(sender);
  return result;
}

/** @param {string} folder @param {number} from */
async function tripOf(folder, from) {
  const asker = part('ask', folder, from);
  const { trip } = await said(asker);
  end(asker);
  return trip;
}

/** @param {string} folder */
async function idleOf(folder) {
  const hub = part('hub', folder);
  await said(hub);
  const ends = part('ends', folder);
  await said(ends);
  const told = said(hub);
  hub.send({});
  const { idle } = await told;
  end(ends);
  end(hub);
  return idle;
}

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

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
  for (let round = 1; round <= Number(values.rounds); round++) {
    const direct = await rateOf(folder, 5, 5);
    const linked = await rateOf(folder, 0, 1);
    missed += direct.missed + linked.missed;
    const [trip, one, two] = [
      await tripOf(folder, 5),
      await tripOf(folder, 0),
      await tripOf(folder, 2),
    ];
    rows.push({ direct: direct.rate, linked: linked.rate, trip, one, two });
    console.error(`round ${round}:`, JSON.stringify(rows.at(-1)));
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

const play = ROLES[role];
if (play !== undefined) {
  process.on('disconnect', () => process.exit());
  await play();
} else {
  try {
    await main();
  } finally {
    for (const child of children) child.kill();
  }
  process.exit();
}
