// The inspector in a real browser, while 10,000 messages a second go by. Its memory must not grow, and it must draw.
//
//   node soak/inspector.mjs --seconds 60 --view sequence --rate 10000
//
// The daemon and the sender are programs of their own; the page is measured each second: frames, memory of the heap after a
// collection, events that the daemon dropped for it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import { median } from '../harness/statistics.mjs';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    view: { type: 'string', default: 'sequence' },
    rate: { type: 'string', default: '10000' },
  },
});
const seconds = Number(values.seconds);
if (!(seconds >= 20)) throw new Error('--seconds: 20 at least, since the history must fill first');

/** The heap may grow by so much from the first half to the second. */
const MAX_GROWTH = 1.25;

/** The history of the page is full after so many seconds. */
const FILLING_S = 10;

const main = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'kbus-inspector-'));
const env = { ...process.env, KBUS_DIR: directory };
const daemon = spawn(process.execPath, [main, 'serve', '--web', '127.0.0.1:0'], {
  env,
  stdio: ['ignore', 'ignore', 'pipe'],
});
await once(daemon.stderr, 'data');
const address = execFileSync(process.execPath, [main, 'web'], { env, encoding: 'utf8' }).trim();
const sender = spawn(
  process.execPath,
  [fileURLToPath(new URL('inspected-traffic.mjs', import.meta.url)), values.rate],
  { env, stdio: ['ignore', 'inherit', 'inherit'] },
);
const executablePath = execFileSync('sh', ['-c', 'command -v chromium'], { encoding: 'utf8' });
const browser = await chromium.launch({
  executablePath: executablePath.trim(),
  args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
});
/** @type {{ frames: number, heap: number, busy: number }[]} */
const samples = [];
let lost = '';
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
  await page.goto(`${address}&view=${values.view}`);
  await page.waitForSelector('[data-state="connected"]');
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  await session.send('HeapProfiler.enable');
  await page.evaluate(`(() => {
    window.frames_ = 0;
    const count = () => { window.frames_++; requestAnimationFrame(count); };
    count();
  })()`);
  let before = { at: performance.now(), frames: 0, busy: 0 };
  for (let second = 1; second <= seconds; second++) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const frames = Number(await page.evaluate('frames_'));
    const at = performance.now();
    const { metrics } = await session.send('Performance.getMetrics');
    const busy = metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0;
    const passed = (at - before.at) / 1000;
    await session.send('HeapProfiler.collectGarbage');
    const usage = await session.send('Runtime.getHeapUsage');
    samples.push({
      frames: (frames - before.frames) / passed,
      heap: (usage.usedSize + usage.backingStorageSize) / 2 ** 20,
      busy: (busy - before.busy) / passed,
    });
    before = { at: performance.now(), frames: Number(await page.evaluate('frames_')), busy };
  }
  lost = (await page.locator('.summary').innerText()).replace(/\s+/g, ' ');
} finally {
  await browser.close();
  sender.kill();
  daemon.kill();
  rmSync(directory, { recursive: true, force: true });
}
const full = samples.slice(FILLING_S);
const half = Math.floor(full.length / 2);
const [first, second] = [full.slice(0, half), full.slice(half)];
const of = (/** @type {typeof samples} */ some, /** @type {'frames' | 'heap' | 'busy'} */ what) =>
  median(some.map((one) => one[what]));
const growth = of(second, 'heap') / of(first, 'heap');
console.log(`view ${values.view}, ${seconds} s, ${values.rate} messages/s: ${lost}`);
console.log(`frames: median ${of(samples, 'frames').toFixed(1)}/s`);
console.log(`main thread busy: ${(100 * of(samples, 'busy')).toFixed(0)} %`);
console.log(
  `heap: ${of(first, 'heap').toFixed(1)} MiB, then ${of(second, 'heap').toFixed(1)} MiB (× ${growth.toFixed(2)})`,
);
if (growth > MAX_GROWTH) {
  console.error('the memory of the page grows');
  process.exitCode = 1;
}
