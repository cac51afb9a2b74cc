// What the chaos of joined buses has in common: programs that send, hear and ask, and what they check.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Announcement } from '../dist/index.js';
import { Random } from '../harness/random.mjs';

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Ksock } from '../dist/index.js' */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    only: { type: 'string', default: 'all' },
    mode: { type: 'string', default: 'core' },
    servers: { type: 'string', default: '1' },
    inside: { type: 'boolean', default: false },
  },
});

/** What was asked for on the command line. */
export const { inside, only, mode } = values;
export const seconds = Number(values.seconds);
/** How many NATS servers. */
export const servers = Number(values.servers);
export const random = new Random(Number(values.seed));

/** The folder of this run. */
export const folder = mkdtempSync(join(tmpdir(), 'kbus-chaos-'));

/** A path in it. @param {string} name */
export const at = (name) => join(folder, name);

/** All that runs. @type {Set<ChildProcess>} */
export const children = new Set();

/** @param {string} what @param {() => boolean | Promise<boolean>} holds */
export async function until(what, holds) {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within a minute`);
    await pause(20);
  }
}

/** What a promise was broken by; null while all are kept. */
export class Verdict {
  /** @type {unknown} */
  broken = null;

  /** @param {unknown} error */
  breaks(error) {
    this.broken ??= error;
  }
}

/**
 * What a listener hears of the senders of one other bus: the numbers of each rise, and what it does not hear, its bus was told of as
 * missed.
 */
export class Ears {
  /** The network ids of the Limpets of that bus. @type {ReadonlySet<number>} */
  from;
  /** By name, the last number. @type {Map<string, number>} */
  last = new Map();
  heard = 0;
  missed = 0;

  /** @param {readonly number[]} from */
  constructor(...from) {
    this.from = new Set(from);
  }

  /** @param {Ksock} ksock @param {readonly string[]} names @param {Verdict} verdict */
  async listen(ksock, names, verdict) {
    for (const name of names) {
      await ksock.listener(name, (message) => {
        // A Reply has the name of its Request.
        if (message.isReply()) return;
        const number = Number(message.text());
        const last = this.last.get(name) ?? 0;
        if (number <= last) verdict.breaks(new Error(`${name} ${number} came after ${last}`));
        this.last.set(name, number);
        this.heard++;
      });
    }
    await ksock.listener('$.KBUS.Limpet.Missed', (message) => {
      const from = message.origFrom.networkId;
      const count = Number(message.text());
      if (this.from.has(from)) this.missed += count;
      // Nobody sends anything on the other buses.
      else verdict.breaks(new Error(`told of ${count} missed messages of Limpet ${from}`));
    });
  }

  get counted() {
    return this.heard + this.missed;
  }
}

/** Sends Requests to one name, and counts the answers: each must get one. */
export class Asker {
  name = '';
  ksock;
  verdict;
  replies = 0;
  /** By their names. @type {Record<string, number>} */
  statuses = {};
  refused = 0;
  /** @type {Promise<void>[]} */
  asked = [];

  /** @param {Ksock} ksock @param {string} name @param {Verdict} verdict */
  constructor(ksock, name, verdict) {
    this.ksock = ksock;
    this.name = name;
    this.verdict = verdict;
  }

  ask() {
    const text = String(this.asked.length + 1);
    const outcome = this.ksock.request(this.name, text, { timeout: 60_000 }).then(
      (reply) => {
        if (reply.text() !== text) {
          this.verdict.breaks(new Error(`the answer to ${text} is ${reply.text()}`));
        }
        this.replies++;
      },
      (error) => {
        if (error.code === 'ETIMEDOUT') this.verdict.breaks(new Error(`no answer to ${text}`));
        else if (error.name !== 'StatusError') this.refused++;
        else {
          const { name } = error.status;
          this.statuses[name] = (this.statuses[name] ?? 0) + 1;
        }
      },
    );
    this.asked.push(outcome);
  }

  /** How many Requests listeners of another bus hear, or miss: at least, and at most. `isOfReplier`: its Replier is there. */
  heardBy({ isOfReplier = false } = {}) {
    let least = this.replies;
    for (const [name, count] of Object.entries(this.statuses)) {
      if (!isUnheard(name, isOfReplier)) least += count;
    }
    return { least, most: least + (this.statuses['$.KBUS.Limpet.NotSent'] ?? 0) };
  }
}

/** Whether a Request with this Status may not be heard. @param {string} status @param {boolean} isOfReplier */
function isUnheard(status, isOfReplier) {
  // Its Limpet had not read it, or had nobody to send it to, or the bus refused it.
  if (status === '$.KBUS.Replier.Unbound' || status === '$.KBUS.Limpet.NotSent') return true;
  return isOfReplier && status.startsWith('$.KBUS.RemoteError.');
}

/** Sends Announcements, and counts those that its bus took. */
export class Announcer {
  sent = 0;
  number = 0;
  ksock;
  name;

  /** @param {Ksock} ksock @param {string} name */
  constructor(ksock, name) {
    this.ksock = ksock;
    this.name = name;
  }

  async announce() {
    try {
      await this.ksock.sendMsg(new Announcement(this.name, String(++this.number)));
      this.sent++;
    } catch {
      // Nobody hears it.
    }
  }
}

/**
 * Waits until each has heard as many messages as were sent, or was told that it missed them; it may be no more.
 * @param {readonly [ears: Ears, least: number, most: number][]} all @param {Verdict} verdict
 */
export async function untilHeard(all, verdict) {
  const text = () =>
    all.map(([{ heard, missed }, least, most]) => `${heard} + ${missed} of ${least} to ${most}`);
  try {
    await until('', () => all.every(([ears, least]) => ears.counted >= least));
  } catch {
    verdict.breaks(new Error(`heard + told missed is less than what was sent: ${text()}`));
  }
  // What is too much may still come.
  await pause(2000);
  if (all.every(([ears, least, most]) => ears.counted >= least && ears.counted <= most)) return;
  verdict.breaks(new Error(`heard + told missed is not what was sent: ${text()}`));
}

/**
 * Prints what happened, or throws what was broken. @param {string} what @param {Verdict} verdict @param {Ears[]} ears
 * @param {Asker[]} askers @param {object} faults
 */
export function report(what, verdict, ears, askers, faults) {
  if (verdict.broken !== null) throw verdict.broken;
  if (askers.some(({ replies }) => replies === 0)) throw new Error('no Request was answered');
  let heard = 0;
  let missed = 0;
  for (const each of ears) {
    heard += each.heard;
    missed += each.missed;
  }
  let replies = 0;
  let refused = 0;
  /** @type {Record<string, number>} */
  const statuses = {};
  for (const asker of askers) {
    replies += asker.replies;
    refused += asker.refused;
    for (const [name, count] of Object.entries(asker.statuses)) {
      statuses[name] = (statuses[name] ?? 0) + count;
    }
  }
  const figures = { heard, missed, replies, statuses, refused, ...faults };
  console.log(`chaos of ${what}: every promise was kept: ${JSON.stringify(figures)}`);
}

/** Runs; says how to do it again if it fails. @param {() => Promise<void>} main */
export async function runChaos(main) {
  try {
    await main();
  } catch (error) {
    console.error(error);
    const program = process.argv[1]?.split(/[\\/]/).at(-1);
    const { only, mode, seconds, seed, servers } = values;
    console.error(
      `Repeat it with: node chaos/${program} --seed ${seed} --seconds ${seconds} --only ${only} --mode ${mode} --servers ${servers}`,
    );
    process.exitCode = 1;
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
  process.exit();
}
