// Two daemons, joined by four Limpets over two links, which are cut again and again by killing the proxies that they go
// through. Checked: nobody hears a message twice, a sender's messages come in order, each one is heard or counted as
// missed, and each Request gets exactly one answer.
//
//   node chaos/limpets.mjs --seconds 60 --seed 7
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Ksock } from '../dist/index.js';
import { Daemon, KBUS } from '../harness/serve.mjs';
import {
  Announcer,
  Asker,
  at,
  children,
  Ears,
  random,
  report,
  runChaos,
  seconds,
  until,
  untilHeard,
  Verdict,
} from './joined.mjs';

/** @import { ChildProcess } from 'node:child_process' */

const PROXY = fileURLToPath(new URL('proxy.mjs', import.meta.url));

let cuts = 0;

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
  const [near, far, listening] = [await open('one'), await open('two'), await open('two')];
  const [sender, back] = [await open('one'), await open('two')];
  for (const ksock of [near, far, listening]) await ksock.setMaxMessages(10_000_000);
  await far.replier('$.Ask', (request) => request.text());
  await back.replier('$.Two.*', () => '');
  await near.replier('$.One.*', () => '');
  await until('the buses are joined', async () => {
    return (
      (await near.findReplier('$.Ask')) !== null && (await far.findReplier('$.One.*')) !== null
    );
  });

  const verdict = new Verdict();
  const [one, two] = [new Announcer(sender, '$.FromOne'), new Announcer(back, '$.FromTwo')];
  const asker = new Asker(sender, '$.Ask', verdict);
  const ears = { near: new Ears(3, 4), far: new Ears(1, 2) };
  await ears.near.listen(near, ['$.FromTwo'], verdict);
  await ears.far.listen(listening, ['$.FromOne', '$.Ask'], verdict);
  const end = performance.now() + seconds * 1000;
  const announcing = (async () => {
    while (performance.now() < end) {
      for (let at = 0; at < 50; at++) await Promise.all([one.announce(), two.announce()]);
      asker.ask();
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
    cuts++;
    if (random.chance(0.3)) await pause(random.below(1500));
    proxies[which] = await startProxy(which);
  }
  await announcing;
  await Promise.all(asker.asked);
  const { least, most } = asker.heardBy({ isOfReplier: true });
  await untilHeard(
    [
      [ears.near, two.sent, two.sent],
      [ears.far, one.sent + least, one.sent + most],
    ],
    verdict,
  );
  const sent = one.sent + two.sent;
  report('Limpets', verdict, [ears.near, ears.far], [asker], { sent, cuts });
}

await runChaos(main);
