// Greedy programs, one after the other, each at a daemon of its own: how much memory it costs, and how long others wait.
//
//   npm run greed                             all of it
//   npm run greed -- --only 'wildcard'        those whose names match
//   npm run greed -- --part 1/2               the first half of them
//   npm run greed -- --write                  also writes the table in docs/reliability.md: nothing else does. Of a part
//                                             of them, it writes those rows, and leaves the others
//
// It fails if the daemon grows by more than its limit and 64 MiB, if it ends, or if a program that asks a Request every
// 20 ms fails, waits more than 250 ms, or, in one of a thousand cases, 50 ms longer than without the greedy one. It also
// shows how much of the longest wait was for a CPU: the greedy program needs one, too.
import { fork } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Child } from '../dist/measure/index.js';
import { Daemon } from '../harness/serve.mjs';
import { ATTACKS } from './attacks.mjs';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    /** 1: all of each attack. */
    scale: { type: 'string', default: '1' },
    /** How long each goes on, at least, in seconds. */
    seconds: { type: 'string', default: '5' },
    /** Without judging times: for a machine with other work. */
    untimed: { type: 'boolean', default: false },
    part: { type: 'string', default: '1/1' },
    /** Also writes the table in docs/reliability.md. */
    write: { type: 'boolean', default: false },
  },
});

const MEBIBYTE = 1024 * 1024;
/** The limit of attacks that set none: a daemon's default would depend on the machine. */
const MAX_MEMORY = 512 * MEBIBYTE;
const MUST = { growth: 64 * MEBIBYTE, wait: 250, most: 50 };
/** How long an attack may take before it is as good as done. */
const MAX_ATTACK_MS = 60_000;

/** @import { Said, Wait } from './talk.ts' */

/** @param {string[]} args */
const start = (...args) =>
  /** @type {Child<Said, object>} */ (
    new Child(fork(fileURLToPath(new URL('program.mjs', import.meta.url)), args), args[0] ?? '')
  );

/** @param {number} pid @param {'VmRSS' | 'VmHWM'} what */
function memoryOf(pid, what) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(new RegExp(`^${what}:\\s*(\\d+)`, 'm').exec(status)?.[1]) * 1024;
}

/** @param {readonly Wait[]} all @param {number} part */
function quantile(all, part) {
  const sorted = all.map(({ ms }) => ms).sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

const sleep = (/** @type {number} */ ms) => setTimeout(ms);

/** @param {Child<Said, object>} witness */
async function asked(witness) {
  witness.tell({});
  return witness.next('waits');
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
  const daemon = new Daemon(directory, options);
  await daemon.serving;
  const pid = /** @type {number} */ (daemon.child.pid);
  const witness = start('witness', directory, String(pid));
  await witness.next('ready');
  const pause = values.untimed ? 100 : 1000;
  await sleep(pause);
  await asked(witness);
  await sleep(2 * pause);
  const idle = await asked(witness);
  const before = memoryOf(pid, 'VmRSS');
  const attacker = start('attacker', directory, name, values.scale);
  const seconds = Number(values.seconds) * 1000;
  const done = attacker.next('done').catch((error) => String(error));
  const late = new AbortController();
  const isLate = setTimeout(MAX_ATTACK_MS, null, late).catch(() => {});
  await Promise.race([done, isLate]);
  late.abort();
  await sleep(seconds);
  attacker.tell({ over: true });
  const busy = await asked(witness);
  const growth = daemon.isRunning ? memoryOf(pid, 'VmHWM') - before : Number.POSITIVE_INFINITY;
  await attacker.end();
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
    lost: [...busy.lost, ...after.lost],
    asked: waits.length,
    idle: quantile(idle.waits, 0.999),
    most: quantile(waits, 0.999),
    worst: waits.reduce((a, b) => (b.ms > a.ms ? b : a), { ms: 0, ready: 0 }),
  };
}

const mebi = (/** @type {number} */ bytes) => (bytes / MEBIBYTE).toFixed(0);
const ms = (/** @type {number} */ time) => time.toFixed(1);
const HEAD = [
  '| the program | limit, MiB | growth, MiB | Requests | alone, ms | 99.9 %, ms | longest, ms | for a CPU, ms | |',
  '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |',
];
let broken = 0;
/** The rows by what the program does. @type {Map<string, string>} */
const rows = new Map();
console.log(HEAD.join('\n'));
for (const name of chosen()) {
  const { does, isReference } = /** @type {typeof ATTACKS[string]} */ (ATTACKS[name]);
  const isTimed = !values.untimed && isReference !== true;
  const { limit, growth, lives, lost, asked: count, idle, most, worst } = await run(name);
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
  const figures = [mebi(limit), mebi(growth), count, ...times].join(' | ');
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
  const how = `Measured on ${date}, ${values.seconds} s each: ${cpu?.model}, ${cpus().length} cores, Node ${process.versions.node}.`;
  const table = [...HEAD, ...all].join('\n');
  writeFileSync(page, `${text.slice(0, from)}\n${how}\n\n${table}\n\n${text.slice(to)}`);
}
