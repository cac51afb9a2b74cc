// Measures announcements between a program in Node and a page in Chromium, over each bus that serves WebSocket. See --help.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { median } from '../harness/statistics.mjs';
import { rounds, run, seconds } from './command.mjs';
import { programPath, programVersion } from './peers.mjs';
import { format } from './report.mjs';
import { BrowserPage } from './web/browser.mjs';
import { receive, roundTrip, send } from './web/flow.mjs';
import { systems } from './web/systems.mjs';

/** @import { AddressInfo } from 'node:net' @import { Place, WebSystem } from './web/systems.mjs' */

/** @type {{ rounds: number, seconds: number }} */
const given = new Command('node bench/web.mjs')
  .description(
    'Measures 1 → 1 announcements of 100 bytes from a Node program to a page in Chromium, and back: KBUS, nats.ws over nats-server, mqtt.js over Mosquitto. It needs chromium, and what `npm run bench -- --install-peers` installs.',
  )
  .addOption(rounds('rounds; medians are printed', 3))
  .addOption(seconds('length of each measurement', 3))
  .parse()
  .opts();

const folderOfPeers = fileURLToPath(new URL('peers/node_modules/', import.meta.url));
const FIGURES = /** @type {const} */ (['to the page', 'from the page', 'there and back']);

/** Free ports: all are taken before one is given back, so that each is another one. @param {number} count */
async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createNetServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => /** @type {AddressInfo} */ (server.address()).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** A site with the page of a system, and the clients of the peers. */
async function openSite() {
  const page = await BrowserPage.site();
  page.modules.set('/flow.mjs', () => readFileSync(new URL('web/flow.mjs', import.meta.url)));
  for (const path of ['nats.ws/esm/nats.js', 'mqtt/dist/mqtt.esm.js']) {
    page.modules.set(`/peers/${path}`, () => readFileSync(join(folderOfPeers, path)));
  }
  return page;
}

/** Starts the server of a system; gives the function that ends it. @param {WebSystem} system @param {Place} place */
async function startServer(system, place) {
  const { file, args, ready } = system.program(place);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  await new Promise((resolve, reject) => {
    let said = '';
    const hear = (/** @type {Buffer} */ text) => {
      said += text;
      if (ready.test(said)) resolve(undefined);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`${system.title} did not start: ${said}`)));
  });
  return () => child.kill();
}

/** @param {string} path @param {WebSystem} system */
async function measure(path, system) {
  const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-web-'));
  const [port = 0, webPort = 0] = await freePorts(2);
  const page = await openSite();
  const place = { folder, port, webPort, origin: page.origin };
  const stop = await startServer(system, place);
  try {
    const module = system.page(place);
    page.modules.set('/bus.mjs', () => module);
    page.open(path);
    await page.evaluate(
      `Promise.all([import('/bus.mjs'), import('/flow.mjs')]).then(async ([{ bus }, flow]) => {
        Object.assign(globalThis, { bus, flow, received: await flow.receive(bus, 'Out') });
        await flow.echo(bus);
      })`,
    );
    const bus = await system.connect(place);
    const microseconds = await roundTrip(bus);
    await send(bus, 'Out', given.seconds);
    const out = await page.evaluate('received()');
    const back = await receive(bus, 'Back');
    await page.evaluate(`flow.send(bus, 'Back', ${given.seconds})`);
    return [Number(out), await back(), microseconds];
  } finally {
    await page.close();
    stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function main() {
  const path = programPath('chromium');
  if (path === undefined) throw new Error('there is no chromium; `npm test` installs it');
  /** @type {Map<WebSystem, number[][]>} */
  const results = new Map(systems.map((system) => [system, []]));
  for (let round = 1; round <= given.rounds; round++) {
    for (const system of systems) {
      const figures = await measure(path, system);
      results.get(system)?.push(figures);
      console.error(`round ${round} of ${given.rounds}`, system.title, figures.map(Math.round));
    }
  }
  const browser = programVersion('chromium', '--version');
  console.log(`Chromium ${browser}, Node ${process.version}; 100 bytes; medians.\n`);
  console.log(`| bus | ${FIGURES.join(' | ')} | versions |\n| --- | ---: | ---: | ---: | --- |`);
  for (const [system, all] of results) {
    const [out = 0, back = 0, trip = 0] = FIGURES.map((_, at) =>
      median(all.map((figures) => figures[at] ?? 0)),
    );
    const cells = [`${format(out)} /s`, `${format(back)} /s`, `${format(trip)} µs`];
    console.log(`| ${system.title} | ${cells.join(' | ')} | ${system.version()} |`);
  }
  process.exit();
}

run('bench/web', main);
