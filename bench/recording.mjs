// What recording a bus costs: node bench/recording.mjs [--rounds 5] [--write]. The daemon, the sender, the listener and
// `kbus record` are processes of their own. Each round measures mixed traffic without and with a recording, one after the
// other, and also with a tap of which nothing is asked but the state; the ratios are those of one round.
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Announcement, Ksock } from '../dist/index.js';
import { cpuOf } from '../harness/machine.mjs';
import { Daemon, KBUS } from '../harness/serve.mjs';
import { writeReport } from './page.mjs';
import { lengthsOf, namesOf } from './traffic.mjs';

/** @import { ChildProcess } from 'node:child_process' */

/** So many that the time in which programs compile their code counts little. */
const MESSAGES = 2_000_000;
const NAMES = 1000;

/** What must hold: the rate with a recording, in parts of the rate without. */
const MUST = 0.6;

const [role = '', directory = ''] = process.argv[2]?.startsWith('role:')
  ? [process.argv[2].slice(5), process.argv[3]]
  : [];

/** @param {object} message */
const tell = (message) => process.send?.(message);

/** @type {Record<string, () => Promise<void>>} */
const ROLES = {
  async hear() {
    const ksock = await Ksock.open(0, { directory });
    let count = 0;
    let began = 0;
    const hear = () => {
      if (count === 0) began = performance.now();
      if (++count === MESSAGES) tell({ rate: (count - 1) / ((performance.now() - began) / 1000) });
    };
    await ksock.listener('$.Plant.*', hear, { borrowed: true });
    tell({ ready: true });
  },
  async announce() {
    const ksock = await Ksock.open(0, { directory });
    const names = namesOf(NAMES);
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    for (let at = 0; at < MESSAGES; at++) {
      const message = new Announcement(names[at % NAMES] ?? '', data[at % data.length]);
      const room = ksock.post(message, { wait: true });
      if (room !== undefined) await room;
    }
    await ksock.flush();
  },
};

/** @type {Set<ChildProcess>} */
const children = new Set();

/** @param {string} name @param {string} folder */
function part(name, folder) {
  const child = fork(process.argv[1] ?? '', [`role:${name}`, folder]);
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

/** The rate of messages, and the µs of CPU time that the daemon takes for one. @param {string} folder @param {number} daemon */
async function measure(folder, daemon) {
  const listener = part('hear', folder);
  await said(listener);
  const heard = said(listener);
  const before = cpuOf(daemon);
  const sender = part('announce', folder);
  const { rate } = await heard;
  const cpu = ((cpuOf(daemon) - before) / MESSAGES) * 1e6;
  end(listener);
  end(sender);
  return { rate, cpu };
}

/** The same while `kbus record` records. @param {string} folder @param {number} daemon @param {string[]} options */
async function recorded(folder, daemon, options) {
  const file = join(folder, 'run.mcap');
  const args = ['record', '-o', file, '--force', '--directory', folder, '--json', ...options];
  const child = spawn(process.execPath, [KBUS, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let output = '';
  child.stdout.on('data', (text) => {
    output += text;
  });
  await once(child.stderr, 'data');
  const result = await measure(folder, daemon);
  const cpu = (cpuOf(child.pid ?? 0) / MESSAGES) * 1e6;
  const ended = once(child, 'close');
  child.kill('SIGINT');
  await ended;
  children.delete(child);
  /** @type {{ messages: number, lostMessages: number }} */
  const { messages, lostMessages } = JSON.parse(output);
  return { ...result, recorder: cpu, messages, lost: lostMessages, bytes: statSync(file).size };
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
  const folder = mkdtempSync(join(tmpdir(), 'kbus-recording-'));
  const daemon = new Daemon(folder, []);
  children.add(daemon.child);
  await daemon.serving;
  const pid = daemon.child.pid ?? 0;
  await measure(folder, pid);
  /** @type {Record<'without' | 'all' | 'heads', any>[]} */
  const rows = [];
  for (let round = 1; round <= Number(values.rounds); round++) {
    const without = await measure(folder, pid);
    const all = await recorded(folder, pid, []);
    const heads = await recorded(folder, pid, ['--data', '0']);
    rows.push({ without, all, heads });
    console.error(`round ${round}:`, JSON.stringify(rows.at(-1)));
  }
  rmSync(folder, { recursive: true, force: true });

  /** @param {'without' | 'all' | 'heads'} name @param {'rate' | 'cpu'} what */
  const of = (name, what) => median(rows.map((row) => row[name][what]));
  /** @param {'all' | 'heads'} name */
  const ratio = (name) => median(rows.map((row) => row[name].rate / row.without.rate));
  const lost = rows.reduce((sum, { all, heads }) => sum + all.lost + heads.lost, 0);
  const missing = rows.reduce((sum, { all }) => sum + MESSAGES - all.messages - all.lost, 0);
  /** @param {string} title @param {'without' | 'all' | 'heads'} name @param {string} rest */
  const line = (title, name, rest) =>
    `| ${title} | ${Math.round(of(name, 'rate')).toLocaleString('en')}/s | ${of(name, 'cpu').toFixed(2)} µs | ${rest} |`;
  const text = [
    `Rounds: ${values.rounds}, of ${MESSAGES.toLocaleString('en')} Announcements of mixed traffic, one to one; medians. ${lost} messages lost, ${missing} missing from the files; ${median(rows.map(({ all }) => all.bytes / MESSAGES)).toFixed(0)} bytes of file and ${median(rows.map(({ all }) => all.recorder)).toFixed(2)} µs of the recorder's CPU time for each.`,
    '',
    '| | rate | CPU time of the daemon | part of the rate without | must |',
    '| --- | ---: | ---: | ---: | ---: |',
    line('without a recording', 'without', ' | '),
    line('everything is recorded', 'all', `${ratio('all').toFixed(2)} | ≥ ${MUST}`),
    line('everything but data', 'heads', `${ratio('heads').toFixed(2)} | `),
  ].join('\n');
  console.log(text);
  if (values.write) writeReport('recording', text);
  if (ratio('all') < MUST || missing > 0) process.exitCode = 1;
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
