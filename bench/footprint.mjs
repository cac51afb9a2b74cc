// Measures what KBUS takes before it works: memory, the package, and the start. See --help.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as rest } from 'node:timers/promises';
import { Command } from 'commander';
import { Announcement, Ksock } from '../dist/index.js';
import { ended } from '../dist/measure/index.js';
import { memoryOf } from '../harness/machine.mjs';
import { KBUS } from '../harness/serve.mjs';
import { median } from '../harness/statistics.mjs';
import { onSignals, rounds, run } from './command.mjs';
import { conduct } from './conduct.mjs';
import { writeReport } from './page.mjs';
import { format, measuredHere, spread, table } from './report.mjs';
import kbus from './systems/kbus.mjs';
import { workloadOf } from './workloads.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const root = new URL('../', import.meta.url);

/** @type {{ rounds: number, write: boolean }} */
const given = new Command('node bench/footprint.mjs')
  .description(
    'Measures what KBUS takes: memory of the daemon, size of the package, and time to start, beside a bare Node that only accepts connections. Run nothing else meanwhile: it takes two minutes.',
  )
  .addOption(
    rounds(
      'measurements of memory, each with a new daemon; the start is measured five times as often',
      5,
    ),
  )
  .option('--write', 'put the tables into docs/performance.md, between their marks', false)
  .addHelpText(
    'after',
    `
Examples:
  node bench/footprint.mjs --rounds 2
  node bench/footprint.mjs --write`,
  )
  .helpOption('--help', 'show this')
  .parse()
  .opts();

const KIB = 1024;
const MIB = 1024 * KIB;
const KSOCKS = 4000;
const BINDINGS = 100_000;
const MESSAGES = 500_000;
const SIZE = 64;
/** Seconds at full load. */
const LOAD = 3;
/** Milliseconds until a process counts as idle. */
const REST = 1500;
/** Milliseconds between two attempts to connect. */
const LOOK = 1;

const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-'));
const empty = join(folder, 'empty.mjs');
const bare = join(folder, 'bare.mjs');
writeFileSync(empty, '');
writeFileSync(
  bare,
  `import { createServer } from 'node:net';
createServer((socket) => socket.end('.').on('error', () => {})).listen(process.argv[2]);
`,
);

/** The running processes. @type {Set<ChildProcess>} */
const running = new Set();

/** @param {string[]} args */
function start(args) {
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

/** @param {ChildProcess} child */
async function end(child) {
  child.kill('SIGKILL');
  await ended(child);
}

let directories = 0;

/** A program that serves a directory of its own, and its socket path. */
const programs = {
  bare() {
    const path = join(folder, String(directories++));
    return { child: start([bare, path]), directory: '', path };
  },
  kbus() {
    const directory = join(folder, String(directories++));
    const child = start([KBUS, 'serve', '--directory', directory]);
    return { child, directory, path: join(directory, 'kbus0.sock') };
  },
};

/** Resolves with a program's first answer. @template T @param {{ child: ChildProcess, path: string }} program @param {() => Promise<T>} attempt @returns {Promise<T>} */
async function answerOf({ child, path }, attempt) {
  for (;;) {
    if (existsSync(path)) {
      try {
        return await attempt();
      } catch {
        // The socket exists, and the program does not listen yet.
      }
    }
    if (child.exitCode !== null) throw new Error(`${path}: the program exited`);
    await rest(LOOK);
  }
}

const opened = (/** @type {ReturnType<typeof programs.kbus>} */ program) =>
  answerOf(program, () => Ksock.open(0, { directory: program.directory }));

const accepted = (/** @type {ReturnType<typeof programs.bare>} */ program) =>
  answerOf(program, async () => {
    const socket = connect(program.path);
    await once(socket, 'data');
    socket.destroy();
  });

/** The memory that a new daemon needs for each of `count` objects. @param {number} count @param {(program: ReturnType<typeof programs.kbus>, ksock: Ksock) => Promise<unknown>} add */
async function each(count, add) {
  const program = programs.kbus();
  try {
    const ksock = await opened(program);
    await rest(REST);
    const before = memoryOf(program.child.pid ?? 0);
    await add(program, ksock);
    await rest(REST);
    return (memoryOf(program.child.pid ?? 0) - before) / count;
  } finally {
    await end(program.child);
  }
}

/** The memory of an idle program after a connection. @template {{ child: ChildProcess }} P @param {P} program @param {(program: P) => Promise<unknown>} reach */
async function idle(program, reach) {
  try {
    await reach(program);
    await rest(REST);
    return memoryOf(program.child.pid ?? 0);
  } finally {
    await end(program.child);
  }
}

/** Milliseconds from the start of a program to its first answer. @template {{ child: ChildProcess }} P @param {() => P} program @param {(program: P) => Promise<unknown>} reach */
async function timeTo(program, reach) {
  const begin = performance.now();
  const running = program();
  try {
    await reach(running);
    return performance.now() - begin;
  } finally {
    await end(running.child);
  }
}

async function timeOfEmpty() {
  const begin = performance.now();
  await once(start([empty]), 'exit');
  return performance.now() - begin;
}

/** @param {() => Promise<number>} measure @param {number[]} into */
const note = async (measure, into) => into.push(await measure());

async function memory() {
  /** @type {Record<'bare' | 'idle' | 'ksock' | 'binding' | 'message' | 'peak', number[]>} */
  const found = { bare: [], idle: [], ksock: [], binding: [], message: [], peak: [] };
  for (let round = 1; round <= given.rounds; round++) {
    console.error(`memory: round ${round} of ${given.rounds}`);
    await note(() => idle(programs.bare(), accepted), found.bare);
    await note(
      () => idle(programs.kbus(), async (program) => (await opened(program)).close()),
      found.idle,
    );
    await note(
      () =>
        each(KSOCKS, async ({ directory }) => {
          for (let left = KSOCKS; left > 0; left -= 100) {
            await Promise.all(Array.from({ length: 100 }, () => Ksock.open(0, { directory })));
          }
        }),
      found.ksock,
    );
    await note(
      () =>
        each(BINDINGS, async (_, ksock) => {
          for (let i = 0; i < BINDINGS; i += 1000) {
            const names = Array.from({ length: 1000 }, (_, j) => `$.Bench.Name${i + j}`);
            await Promise.all(names.map((name) => ksock.bind(name)));
          }
        }),
      found.binding,
    );
    await note(
      () =>
        each(MESSAGES, async ({ directory }, ksock) => {
          await ksock.setMaxMessages(MESSAGES);
          await ksock.bind('$.Bench.Tell');
          const sender = await Ksock.open(0, { directory });
          const data = Buffer.alloc(SIZE, 1);
          const messages = function* () {
            for (let i = 0; i < MESSAGES; i++) yield new Announcement('$.Bench.Tell', data);
          };
          await sender.sendAll(messages());
          const unread = await ksock.numMessages();
          if (unread !== MESSAGES)
            throw new Error(`the queue has ${unread} of ${MESSAGES} messages`);
        }),
      found.message,
    );
    await note(
      async () =>
        (await conduct(kbus, workloadOf('1to1'), { seconds: LOAD, node: process.execPath }))
          .daemonPeak,
      found.peak,
    );
  }
  const bareMemory = median(found.bare);
  const more = found.idle.map((value) => value - bareMemory);
  return [
    ['', 'median', 'min…max', 'must be', 'goal'],
    row('bare Node that accepts, idle, MiB', found.bare, MIB),
    row('daemon, idle, MiB', found.idle, MIB),
    row('daemon − bare Node, MiB', more, MIB, 10, 4),
    row(`each idle Ksock (of ${KSOCKS}), KiB`, found.ksock, KIB, 16, 8),
    row(`each binding (of ${BINDINGS}), bytes`, found.binding, 1),
    row(`each unread message of ${SIZE} bytes (of ${MESSAGES}), bytes`, found.message, 1),
    row('peak of the daemon, 1 → 1 at full load, MB', found.peak, 1e6, 120, 65),
  ];
}

async function starting() {
  /** @type {Record<'empty' | 'bare' | 'kbus', number[]>} */
  const found = { empty: [], bare: [], kbus: [] };
  const send = async (/** @type {ReturnType<typeof programs.kbus>} */ program) => {
    const ksock = await opened(program);
    await ksock.sendMsg(new Announcement('$.Bench.Tell'));
    await ksock.close();
  };
  // The first start of each is not counted: it reads files from the disk.
  for (let round = 0; round <= given.rounds * 5; round++) {
    if (round % 5 === 1) console.error(`start: round ${round} of ${given.rounds * 5}`);
    const times = {
      empty: await timeOfEmpty(),
      bare: await timeTo(programs.bare, accepted),
      kbus: await timeTo(programs.kbus, send),
    };
    if (round === 0) continue;
    for (const name of /** @type {('empty' | 'bare' | 'kbus')[]} */ (Object.keys(times))) {
      found[name].push(times[name]);
    }
  }
  return [
    ['', 'median', 'min…max', 'must be', 'goal'],
    row('bare Node: an empty ES module, from start to end, ms', found.empty, 1),
    row('bare Node: an ES module that accepts, to its first answer, ms', found.bare, 1),
    row('kbus serve, to the first send, ms', found.kbus, 1, 150, 90),
  ];
}

function packed() {
  /** @typedef {{ size: number, unpackedSize: number, entryCount: number }} Pack */
  /** Some versions of npm give a list, others an object by name. @type {Pack[] | Record<string, Pack>} */
  const answer = JSON.parse(
    execFileSync('npm', ['pack', '--dry-run', '--json'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }),
  );
  const [pack] = Object.values(answer);
  if (pack === undefined) throw new Error('npm packed nothing');
  const { size, unpackedSize, entryCount } = pack;
  /** @type {{ packages: Record<string, Record<'dev' | 'devOptional' | 'optional' | 'peer', boolean>> }} */
  const lock = JSON.parse(readFileSync(new URL('package-lock.json', root), 'utf8'));
  const needed = Object.entries(lock.packages).filter(
    ([path, { dev, devOptional, optional, peer }]) =>
      path !== '' && !(dev || devOptional || optional || peer),
  );
  const names = needed.map(([path]) => path.replace(/^.*node_modules\//, ''));
  return [
    ['', 'size'],
    ['package, packed, KiB', format(size / KIB)],
    ['package, unpacked, KiB', format(unpackedSize / KIB)],
    ['files in it', format(entryCount)],
    [`packages it needs, and those that they need: ${names.join(', ')}`, format(names.length)],
  ];
}

/** @param {string} title @param {number[]} values @param {number} unit @param {number} [must] @param {number} [goal] */
function row(title, values, unit, must, goal) {
  const scaled = values.map((value) => value / unit);
  const reached = median(scaled);
  const judged = (/** @type {number | undefined} */ limit) =>
    limit === undefined ? '' : `≤ ${limit} ${reached <= limit ? 'met' : 'missed'}`;
  return [title, format(reached), spread(scaled), judged(must), judged(goal)];
}

async function main() {
  const text = [
    `${measuredHere()} Memory is RSS ${REST / 1000} s after the last call; ` +
      `${given.rounds} new daemons for each row. ${given.rounds * 5} starts; the client runs already, and tries to connect every millisecond.`,
    '### Memory',
    table(await memory()),
    '### Start',
    table(await starting()),
    '### Package',
    table(packed()),
  ].join('\n\n');
  console.log(`\n${text}`);
  if (given.write) writeReport('footprint', text);
}

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});
onSignals(() => process.exit(130));
await run('footprint', main);
