// Measures announcements between a program in Node and a page in Chromium, over each bus that serves WebSocket. See --help.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createNetServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { chromium } from 'playwright-core';
import { median } from '../harness/statistics.mjs';
import { rounds, run, seconds } from './command.mjs';
import { programPath } from './peers.mjs';
import { format } from './report.mjs';
import { receive, roundTrip, send } from './web/flow.mjs';
import { systems } from './web/systems.mjs';

/** @import { AddressInfo } from 'node:net' @import { Browser } from 'playwright-core' @import { Place, WebSystem } from './web/systems.mjs' */

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

/** @returns {Promise<number>} a free port */
function freePort() {
  return new Promise((resolve) => {
    const server = createNetServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/** Serves the page of a system, and the clients of the peers. */
async function openSite() {
  const site = { module: '', origin: '' };
  const server = createServer(({ url = '' }, response) => {
    const isPage = url === '/';
    response.setHeader('content-type', isPage ? 'text/html' : 'text/javascript; charset=utf-8');
    if (isPage) response.end('<!doctype html><title>bench</title>');
    else if (url === '/bus.mjs') response.end(site.module);
    else if (url === '/flow.mjs')
      response.end(readFileSync(new URL('web/flow.mjs', import.meta.url)));
    else if (url.startsWith('/peers/') && !url.includes('..'))
      response.end(readFileSync(join(folderOfPeers, url.slice('/peers/'.length))));
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => server.listen(0, 'localhost', () => resolve(undefined)));
  const { port } = /** @type {AddressInfo} */ (server.address());
  site.origin = `http://localhost:${port}`;
  return { site, close: () => server.close() };
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

/** @param {Browser} browser @param {WebSystem} system @param {Awaited<ReturnType<typeof openSite>>['site']} site */
async function measure(browser, system, site) {
  const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-web-'));
  const [port, webPort] = [await freePort(), await freePort()];
  const place = { folder, port, webPort, origin: site.origin };
  const stop = await startServer(system, place);
  const page = await browser.newPage();
  try {
    site.module = system.page(place);
    await page.goto(site.origin);
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
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath: path, args });
  const { site, close } = await openSite();
  /** @type {Map<WebSystem, number[][]>} */
  const results = new Map(systems.map((system) => [system, []]));
  for (let round = 1; round <= given.rounds; round++) {
    for (const system of systems) {
      const figures = await measure(browser, system, site);
      results.get(system)?.push(figures);
      console.error(`round ${round} of ${given.rounds}`, system.title, figures.map(Math.round));
    }
  }
  await browser.close();
  close();
  console.log(`Chromium ${browser.version()}, Node ${process.version}; 100 bytes; medians.\n`);
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
