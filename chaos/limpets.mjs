// Two daemons, joined by four Limpets over two links, which are cut again and again by killing the proxies that they go
// through. Checked: nobody hears a message twice, a sender's messages come in order, each one is heard or counted as
// missed, and each Request gets exactly one answer.
//
//   node chaos/limpets.mjs --seconds 60 --seed 7
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Announcement, Ksock } from '../dist/index.js';
import { Random } from '../harness/random.mjs';
import { Daemon, KBUS } from '../harness/serve.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '30' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
  },
});
const random = new Random(Number(values.seed));
const folder = mkdtempSync(join(tmpdir(), 'kbus-chaos-'));
const at = (/** @type {string} */ name) => join(folder, name);
const PROXY = fileURLToPath(new URL('proxy.mjs', import.meta.url));

/** @type {Set<ChildProcess>} */
const children = new Set();
const figures = {
  announcements: 0,
  heard: 0,
  missed: 0,
  replies: 0,
  statuses: 0,
  refused: 0,
  cuts: 0,
};

/** @param {number} link */
async function startProxy(link) {
  const child = fork(PROXY, [at(`proxy${link}`), at(`link${link}`)], { silent: true });
  children.add(child);
  if (child.stdout !== null) await once(child.stdout, 'data');
  return child;
}

/** @param {string[]} args @param {string} directory */
function limpet(args, directory) {
  const child = spawn(process.execPath, [KBUS, 'limpet', ...args, '--directory', directory], {
    stdio: 'ignore',
  });
  children.add(child);
}

/** @param {string} what @param {() => boolean | Promise<boolean>} holds */
async function until(what, holds) {
  const end = performance.now() + 60_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`${what}: not within a minute`);
    await pause(20);
  }
}

/** What a listener has heard of a sender. */
class Ears {
  last = 0;
  heard = 0;

  /** @param {number} number */
  hear(number) {
    if (number <= this.last) throw new Error(`${number} came after ${this.last}`);
    this.last = number;
    this.heard++;
  }
}

async function main() {
  const daemons = [new Daemon(at('one')), new Daemon(at('two'))];
  for (const daemon of daemons) children.add(daemon.child);
  await Promise.all(daemons.map(({ serving }) => serving));
  limpet(['--server', '--id', '1', at('link0')], at('one'));
  limpet(['--server', '--id', '2', at('link1')], at('one'));
  const proxies = [await startProxy(0), await startProxy(1)];
  limpet(['--client', '--id', '3', at('proxy0')], at('two'));
  limpet(['--client', '--id', '4', at('proxy1')], at('two'));

  const open = (/** @type {string} */ where) => Ksock.open(0, { directory: at(where) });
  const [near, far, sender, back] = [
    await open('one'),
    await open('two'),
    await open('one'),
    await open('two'),
  ];
  for (const ksock of [near, far]) await ksock.setMaxMessages(10_000_000);
  await far.replier('$.Ask', (request) => request.text());
  await back.replier('$.Two.*', () => '');
  await near.replier('$.One.*', () => '');
  await until('the buses are joined', async () => {
    return (
      (await near.findReplier('$.Ask')) !== null && (await far.findReplier('$.One.*')) !== null
    );
  });

  const ears = { near: new Ears(), far: new Ears() };
  const missed = { near: 0, far: 0 };
  /** @type {unknown} */
  let broken = null;
  for (const [name, ksock] of /** @type {const} */ ([
    ['near', near],
    ['far', far],
  ])) {
    const noteMissed = (/** @type {{ text(): string }} */ message) => {
      missed[name] += Number(message.text());
    };
    const hear = (/** @type {{ text(): string }} */ message) => {
      try {
        ears[name].hear(Number(message.text()));
      } catch (error) {
        broken ??= error;
      }
    };
    await ksock.listener(name === 'near' ? '$.FromTwo' : '$.FromOne', hear);
    await ksock.listener('$.KBUS.Limpet.Missed', noteMissed);
  }

  const end = performance.now() + Number(values.seconds) * 1000;
  let sent = 0;
  /** @type {Promise<void>[]} */
  const asked = [];
  const announcing = (async () => {
    while (performance.now() < end) {
      for (let at = 0; at < 50; at++) {
        sent++;
        sender.post(new Announcement('$.FromOne', String(sent)));
        back.post(new Announcement('$.FromTwo', String(sent)));
      }
      await Promise.all([sender.flush(), back.flush()]);
      const text = String(sent);
      asked.push(
        sender.request('$.Ask', text, { timeout: 60_000 }).then(
          (reply) => {
            if (reply.text() !== text)
              broken ??= new Error(`the answer to ${text} is ${reply.text()}`);
            figures.replies++;
          },
          (error) => {
            if (error.code === 'ETIMEDOUT') broken ??= new Error(`no answer to ${text}`);
            else if (error.name === 'StatusError') figures.statuses++;
            else figures.refused++;
          },
        ),
      );
      await pause(2);
    }
  })();
  while (performance.now() < end) {
    await pause(100 + random.below(600));
    const which = random.below(2);
    const old = /** @type {ChildProcess} */ (proxies[which]);
    old.kill('SIGKILL');
    await once(old, 'exit');
    children.delete(old);
    figures.cuts++;
    if (random.chance(0.3)) await pause(random.below(1500));
    proxies[which] = await startProxy(which);
  }
  await announcing;
  await Promise.all(asked);
  await until('all is heard, or counted', () => {
    const isDone = (/** @type {'near' | 'far'} */ name) => ears[name].heard + missed[name] >= sent;
    return broken !== null || (isDone('near') && isDone('far'));
  });
  if (broken !== null) throw broken;
  figures.announcements = 2 * sent;
  figures.heard = ears.near.heard + ears.far.heard;
  figures.missed = missed.near + missed.far;
  console.log(`chaos of Limpets: every promise was kept: ${JSON.stringify(figures)}`);
}

try {
  await main();
} catch (error) {
  console.error(error);
  console.error(
    `Repeat it with: node chaos/limpets.mjs --seed ${values.seed} --seconds ${values.seconds}`,
  );
  process.exitCode = 1;
} finally {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
}
process.exit();
