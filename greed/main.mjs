// Greedy programs, one after the other, each at a daemon of its own: how much memory it costs, and how long others wait.
//
//   npm run greed                             all of it
//   npm run greed -- --only 'wildcard'        those whose names (in attacks.mjs and doors.mjs) match
//   npm run greed -- --part 1/2               the first half of them
//   npm run greed -- --one-session            the processor's time is shared by threads, and not by programs
//   npm run greed -- --write                  also writes the table in docs/reliability.md: nothing else does. Of a part
//                                             of them, it writes those rows, and leaves the others
//
// It fails if the daemon grows by more than its limit and 64 MiB, if it ends, or if a program that asks a Request every
// 20 ms fails, waits more than 250 ms, or, in more than one of a thousand cases, 50 ms longer than without the greedy one.
// It also shows how much of the longest wait was for a CPU: the greedy program needs one, too.
//
// An attack goes on, or is made again and again by new processes, until the witness has asked enough Requests. Each
// program has a session of its own, as programs of several terminals and units of systemd have: among these, and not
// among their threads, Linux divides the CPUs (sched_autogroup).
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Child } from '../dist/measure/index.js';
import { cpuOf, memoryOf, peakMemoryOf } from '../harness/machine.mjs';
import { Daemon } from '../harness/serve.mjs';
import { ATTACKS } from './attacks.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    /** 1: all of each attack. */
    scale: { type: 'string', default: '1' },
    /** How many Requests the witness asks beside each, at least: of fewer than 1,001, none may be late. */
    requests: { type: 'string', default: '1001' },
    /** Without judging times: for a machine with other work. */
    untimed: { type: 'boolean', default: false },
    part: { type: 'string', default: '1/1' },
    /** All programs in one session: Linux divides the CPUs among their threads. */
    'one-session': { type: 'boolean', default: false },
    /** Also writes the table in docs/reliability.md. */
    write: { type: 'boolean', default: false },
  },
});

const MEBIBYTE = 1024 * 1024;
/** The limit of attacks that set none: a daemon's default would depend on the machine. */
const MAX_MEMORY = 512 * MEBIBYTE;
const MUST = { growth: 64 * MEBIBYTE, wait: 250, most: 50 };
/** How long an attack may take before it is as good as done. */
const MAX_ATTACK_MS = 30_000;
/** How long all that it has done stays, before its program ends and does it again. */
const HOLD_MS = 1000;
/** @import { ChildProcess } from 'node:child_process' */
/** @import { Said, Told, Wait } from './talk.ts' */

const detached = !values['one-session'];
/** The programs that run, each a process group of its own: a terminal's signals do not reach them. @type {Set<ChildProcess>} */
const running = new Set();
process.on('exit', () => {
  for (const { pid } of running) {
    try {
      if (pid !== undefined) process.kill(detached ? -pid : pid, 9);
    } catch {
      // It has ended.
    }
  }
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));

/** @param {ChildProcess} child */
function ends(child) {
  running.add(child);
  child.once('exit', () => running.delete(child));
}

/** @param {string[]} args */
function start(...args) {
  const path = fileURLToPath(new URL('program.mjs', import.meta.url));
  const child = fork(path, args, { detached });
  ends(child);
  return /** @type {Child<Said, Told>} */ (new Child(child, args[0] ?? ''));
}

/** @param {readonly Wait[]} all @param {number} part */
function quantile(all, part) {
  const sorted = all.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

const sleep = (/** @type {number} */ ms) => setTimeout(ms);

/** What the witness has waited since it was asked last, when it has asked so many. @param {Child<Said, Told>} witness */
async function asked(witness, atLeast = 0) {
  witness.tell({ atLeast });
  return witness.next('waits');
}

/**
 * Makes an attack until it is enough, by one program, or by several one after the other. Gives how often it was made.
 *
 * @param {() => Child<Said, Told>} begin  starts a program
 * @param {AbortSignal} enough
 */
async function attacked(begin, enough) {
  const isEnough = once(enough, 'abort');
  let rounds = 0;
  while (!enough.aborted) {
    const attacker = begin();
    const late = new AbortController();
    const isLate = setTimeout(MAX_ATTACK_MS, { done: false }, late).catch(() => ({ done: false }));
    const { done } = await Promise.race([attacker.next('done'), isLate]);
    late.abort();
    if (done) rounds++;
    // It goes on, or is not done yet, and may end in the middle of that.
    else await isEnough;
    attacker.tell({ over: true });
    await sleep(HOLD_MS);
    await attacker.end();
  }
  return rounds;
}

/** @param {string} name */
async function run(name) {
  const { settings: wanted = [] } = /** @type {typeof ATTACKS[string]} */ (ATTACKS[name]);
  const directory = mkdtempSync(join(tmpdir(), 'kbus-greed-'));
  const settings = typeof wanted === 'function' ? wanted(directory) : wanted;
  const options = settings.includes('--max-memory')
    ? settings
    : [...settings, '--max-memory', String(MAX_MEMORY)];
  const limit = Number(options[options.indexOf('--max-memory') + 1]);
  const daemon = new Daemon(directory, options, undefined, detached);
  ends(daemon.child);
  await daemon.serving;
  const pid = /** @type {number} */ (daemon.child.pid);
  const witness = start('witness', directory, String(pid));
  await witness.next('ready');
  const pause = values.untimed ? 100 : 1000;
  await sleep(pause);
  await asked(witness);
  await sleep(2 * pause);
  const idle = await asked(witness);
  const before = memoryOf(pid);
  const began = { time: performance.now(), work: cpuOf(pid) };
  const enough = new AbortController();
  const rounds = attacked(() => start('attacker', directory, name, values.scale), enough.signal);
  const ended = once(daemon.child, 'exit').then(() => ({ waits: [], lost: [] }));
  const busy = await Promise.race([
    asked(witness, Number(values.requests)),
    failure(rounds, daemon),
    ended,
  ]);
  const work = daemon.isRunning ? cpuOf(pid) - began.work : 0;
  const part = (work * 1000) / (performance.now() - began.time);
  enough.abort();
  const times = await rounds.catch(() => 0);
  const growth = daemon.isRunning ? peakMemoryOf(pid) - before : Number.POSITIVE_INFINITY;
  await sleep(pause);
  const after = await asked(witness);
  const lives = daemon.isRunning;
  await witness.end();
  await daemon.stop();
  rmSync(directory, { recursive: true, force: true });
  const waits = [...busy.waits, ...after.waits];
  return {
    limit,
    growth,
    lives,
    part,
    rounds: times,
    lost: [...busy.lost, ...after.lost],
    asked: waits.length,
    idle: quantile(idle.waits, 0.999),
    most: quantile(waits, 0.999),
    worst: waits.reduce((a, b) => (b.ms > a.ms ? b : a), { ms: 0, ready: 0 }),
  };
}

/**
 * Rejects if an attack fails that a daemon has survived.
 *
 * @param {Promise<unknown>} attack @param {Daemon} daemon @returns {Promise<never>}
 */
const failure = (attack, daemon) =>
  new Promise((_, reject) => attack.catch((error) => daemon.isRunning && reject(error)));

const mebi = (/** @type {number} */ bytes) => (bytes / MEBIBYTE).toFixed(0);
const ms = (/** @type {number} */ time) => time.toFixed(1);
const HEAD = [
  '| the program | times | daemon at work | limit, MiB | growth, MiB | Requests | alone, ms | 99.9 %, ms | longest, ms | for a CPU, ms | |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
];
let broken = 0;
/** The rows by what the program does. @type {Map<string, string>} */
const rows = new Map();
console.log(HEAD.join('\n'));
for (const name of chosen()) {
  const { does, isReference } = /** @type {typeof ATTACKS[string]} */ (ATTACKS[name]);
  const isTimed = !values.untimed && isReference !== true;
  const {
    rounds,
    part,
    limit,
    growth,
    lives,
    lost,
    asked: count,
    idle,
    most,
    worst,
  } = await run(name);
  const faults = [
    lives ? '' : 'the daemon ended',
    lost.length > 0 ? `${lost.reduce((sum, [, times]) => sum + times, 0)} Requests failed` : '',
    growth <= limit + MUST.growth ? '' : 'too much memory',
    !isTimed || most <= idle + MUST.most ? '' : 'slow',
    !isTimed || worst.ms <= MUST.wait ? '' : 'too slow',
  ].filter((fault) => fault !== '');
  if (faults.length > 0) broken++;
  for (const [why, times] of lost) console.error(`  ${times} times: ${why}`);
  const times = [idle, most, worst.ms, worst.ready].map(ms);
  const how = [rounds === 0 ? '–' : rounds, `${Math.round(part * 100)} %`];
  const figures = [...how, mebi(limit), mebi(growth), count, ...times].join(' | ');
  const row = `| ${does} | ${figures} | ${faults.join(', ')} |`;
  rows.set(does, row);
  console.log(row);
}
if (values.write) write();
process.exitCode = broken > 0 ? 1 : 0;

/** The names of the attacks that were asked for. */
function chosen() {
  const all = Object.keys(ATTACKS).filter((name) => new RegExp(values.only, 'i').test(name));
  const [part = 1, parts = 1] = values.part.split('/').map(Number);
  const from = (/** @type {number} */ at) => Math.floor((all.length * at) / parts);
  if (all.length === 0) throw new Error(`no attack is called '${values.only}'`);
  return all.slice(from(part - 1), from(part));
}

/** Writes the rows into the page; those that were not measured now stay as they are. */
function write() {
  const page = fileURLToPath(new URL('../docs/reliability.md', import.meta.url));
  const text = readFileSync(page, 'utf8');
  const begin = '<!-- greed: begin -->\n';
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf('<!-- greed: end -->');
  const before = text.slice(from, to).split('\n');
  const all = Object.values(ATTACKS).flatMap(
    ({ does }) => rows.get(does) ?? before.filter((line) => line.startsWith(`| ${does} |`)),
  );
  const date = new Date().toISOString().slice(0, 10);
  const [cpu] = cpus();
  const how = `Measured on ${date}: ${cpu?.model}, ${cpus().length} cores, Node ${process.versions.node}.`;
  const table = [...HEAD, ...all].join('\n');
  writeFileSync(page, `${text.slice(0, from)}\n${how}\n\n${table}\n\n${text.slice(to)}`);
}
