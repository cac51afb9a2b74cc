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
  },
});

/** What was asked for on the command line. */
export const { only, mode } = values;
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

/** What a listener hears of a sender: its numbers rise. */
export class Ears {
  last = 0;
  heard = 0;
  /** What its bus was told that it has missed. */
  missed = 0;

  /** @param {Ksock} ksock @param {string} name @param {Verdict} verdict */
  async listen(ksock, name, verdict) {
    await ksock.listener(name, (message) => {
      const number = Number(message.text());
      if (number <= this.last) verdict.breaks(new Error(`${number} came after ${this.last}`));
      this.last = number;
      this.heard++;
    });
    await ksock.listener('$.KBUS.Limpet.Missed', (message) => {
      this.missed += Number(message.text());
    });
  }
}

/** Asks, and counts the answers: each Request must get one. */
export class Asker {
  replies = 0;
  statuses = 0;
  refused = 0;
  /** @type {Promise<void>[]} */
  asked = [];

  /** @param {Ksock} ksock @param {string} name @param {string} text @param {Verdict} verdict */
  ask(ksock, name, text, verdict) {
    const outcome = ksock.request(name, text, { timeout: 60_000 }).then(
      (reply) => {
        if (reply.text() !== text) {
          verdict.breaks(new Error(`the answer to ${text} is ${reply.text()}`));
        }
        this.replies++;
      },
      (error) => {
        if (error.code === 'ETIMEDOUT') verdict.breaks(new Error(`no answer to ${text}`));
        else if (error.name === 'StatusError') this.statuses++;
        else this.refused++;
      },
    );
    this.asked.push(outcome);
  }
}

/** @param {readonly Ksock[]} ksocks @param {readonly string[]} names @param {number} number */
export async function announce(ksocks, names, number) {
  for (const [at, ksock] of ksocks.entries()) {
    ksock.post(new Announcement(names[at] ?? '', String(number)));
  }
  await Promise.all(ksocks.map((ksock) => ksock.flush().catch(() => {})));
}

/** Waits until both have heard each of so many messages, or were told that they missed it. @param {Ears[]} ears @param {number} sent @param {Verdict} verdict */
export async function untilHeard(ears, sent, verdict) {
  await until('all is heard, or counted', () => {
    return verdict.broken !== null || ears.every(({ heard, missed }) => heard + missed >= sent);
  });
}

/**
 * Prints what happened, or throws what was broken. @param {string} what @param {Verdict} verdict @param {Ears[]} ears
 * @param {Asker} asker @param {object} faults
 */
export function report(what, verdict, ears, { replies, statuses, refused }, faults) {
  if (verdict.broken !== null) throw verdict.broken;
  if (replies === 0) throw new Error('no Request was answered');
  let heard = 0;
  let missed = 0;
  for (const each of ears) {
    heard += each.heard;
    missed += each.missed;
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
