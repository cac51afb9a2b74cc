// A program of a greedy run: the attacker, or the witness.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { Ksock } from '../dist/index.js';
import { forked, stackOf } from '../dist/measure/index.js';
import { ATTACKS, Attack } from './attacks.mjs';

/** How often the witness asks. */
const EVERY_MS = 20;

/** @import { Said } from './talk.ts' */

const say = forked((error) => /** @type {Said} */ ({ failed: stackOf(error) }));
const [role = '', directory = '', name = '', scale = '1'] = process.argv.slice(2);

/**
 * For how many milliseconds a process has been ready to work, but no CPU was free for it (Linux; elsewhere 0).
 *
 * @param {string | number} pid
 */
function readyFor(pid) {
  try {
    const [, waited] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ');
    return Number(waited) / 1e6;
  } catch {
    return 0;
  }
}

/**
 * Asks a Request of a Replier of its own every 20 ms, and tells how long each took, and how long of that the daemon (process
 * `name`) or this process could have worked, but other processes had the CPUs.
 */
async function witness() {
  const [asker, replier] = [await Ksock.open(0, { directory }), await Ksock.open(0, { directory })];
  await replier.replier('$.Witness.Ask', (request) => request.data);
  /** @type {{ ms: number, ready: number }[]} */
  let waits = [];
  /** Why Requests failed: each reason once, and how often. @type {Map<string, number>} */
  let lost = new Map();
  const ready = () => readyFor(name) + readyFor(process.pid);
  const ask = async () => {
    const before = ready();
    const began = performance.now();
    await asker.request('$.Witness.Ask', 'well?', { timeout: 60_000 }).catch((error) => {
      const why = String(error);
      lost.set(why, (lost.get(why) ?? 0) + 1);
    });
    const ms = performance.now() - began;
    // Both may have been ready at the same time.
    waits.push({ ms, ready: Math.min(ms, ready() - before) });
    tell();
  };
  let atLeast = Number.POSITIVE_INFINITY;
  const tell = () => {
    if (waits.length < atLeast) return;
    atLeast = Number.POSITIVE_INFINITY;
    say({ waits, lost: [...lost] });
    waits = [];
    lost = new Map();
  };
  setInterval(ask, EVERY_MS);
  process.on('message', (/** @type {{ atLeast: number }} */ told) => {
    ({ atLeast } = told);
    tell();
  });
  say({ ready: true });
}

async function attacker() {
  const attack = new Attack(directory, Number(scale), () => say({ done: false }));
  process.on('message', () => {
    attack.isOver = true;
  });
  const { run } = /** @type {typeof ATTACKS[string]} */ (ATTACKS[name]);
  await run(attack);
  say({ done: true });
  setInterval(() => attack.kept, 1000);
}

await (role === 'witness' ? witness() : attacker());
