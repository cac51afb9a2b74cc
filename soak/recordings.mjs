// Damages a real recording in many ways, and reads what is left: each file must open with what is whole, or be refused
// with a clear error, in bounded time and memory.
//
//   node soak/recordings.mjs --mutations 100000            the whole
//   node soak/recordings.mjs --seed 7 --mutations 1        one of them again
//   node soak/recordings.mjs --file run.mcap               another recording than its own
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Announcement, BusView, Ksock } from '../dist/index.js';
import { FileError } from '../dist/recording/file-error.js';
import { openRecording } from '../dist/recording/open-recording.js';
import { mutatedRecording } from '../harness/mutated-recording.mjs';
import { Random } from '../harness/random.mjs';

const { values } = parseArgs({
  options: {
    mutations: { type: 'string', default: '100000' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    file: { type: 'string' },
  },
});
const first = Number(values.seed);
const mutations = Number(values.mutations);

/** A file may take as long as this, in milliseconds, and its reader as much memory, in bytes. */
const MOST_MS = 5000;
const MOST_BYTES = 1024 * 1024 * 1024;

const main = fileURLToPath(new URL('../dist/cli/main.cjs', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'kbus-recordings-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

/** What some programs do on the bus of a daemon, as `kbus record` has it. */
async function recordTraffic() {
  const path = join(folder, 'traffic.mcap');
  const env = { ...process.env, KBUS_DIR: join(folder, 'run') };
  /** @param {string[]} args @param {RegExp} says */
  const start = async (args, says) => {
    const child = spawn(process.execPath, [main, ...args], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    for (let said = ''; !says.test(said); ) said += (await once(child.stderr, 'data'))[0];
    return child;
  };
  const daemon = await start(['serve'], /serving bus 0/);
  const recorder = await start(['record', '-o', path], /recording bus 0/);
  // The recorder closes a chunk each second.
  for (let chunks = 0; chunks < 3; chunks++) {
    await traffic(env.KBUS_DIR);
    await new Promise((resolve) => setTimeout(resolve, 1200));
  }
  for (const child of [recorder, daemon]) {
    child.kill('SIGINT');
    await once(child, 'close');
  }
  return path;
}

/** Some of each kind of event. @param {string} directory */
async function traffic(directory) {
  const open = (/** @type {string} */ name) =>
    Ksock.open(0, { directory, name, onMissed: () => {} });
  const [sensor, logger] = [await open('sensor'), await open('logger')];
  const [heater, panel] = [await open('heater'), await open('panel')];
  await heater.replier('$.Heater.%', async (request) => request.text().toUpperCase());
  await logger.bind('$.Temp.*');
  await logger.setMaxMessages(50);
  const random = new Random(first);
  for (let n = 0; n < 300; n++) {
    const data = new Uint8Array(random.below(200)).fill(random.below(256));
    sensor.post(new Announcement(`$.Temp.Room${n % 7}`, data));
    if (n % 10 === 0) await panel.request('$.Heater.Set', String(n));
    if (n % 50 === 0) await panel.request('$.Nobody').catch(() => {});
    if (n % 100 === 99) for await (const _ of logger.drain());
  }
  await sensor.flush();
  await Promise.all([sensor, logger, heater, panel].map((ksock) => ksock.close()));
}

const path = values.file ?? (await recordTraffic());
const original = readFileSync(path);
console.log(`${path}: ${original.length} bytes; ${mutations} mutations, seeds from ${first} on`);

/** Ends the program; the recording is kept, so that the seed gives the same file again. @param {number} seed @returns {never} */
function fail(seed) {
  const kept = join(tmpdir(), `kbus-recording-${seed}.mcap`);
  writeFileSync(kept, original);
  console.error(`again: node soak/recordings.mjs --file ${kept} --seed ${seed} --mutations 1`);
  process.exit(1);
}

const mutant = join(folder, 'mutant.mcap');
const found = { whole: 0, faulty: 0, refused: 0, events: 0, longest: 0 };
/** @type {Map<string, number>} */
const refusals = new Map();
for (let seed = first; seed < first + mutations; seed++) {
  writeFileSync(mutant, mutatedRecording(seed, original));
  const began = performance.now();
  try {
    const recording = await openRecording(mutant);
    const view = new BusView();
    try {
      for await (const batch of recording.batches())
        for (const { event } of batch) {
          view.apply(event);
          found.events++;
        }
    } finally {
      await recording.close();
    }
    if (recording.faults.length === 0) found.whole++;
    else found.faulty++;
  } catch (error) {
    if (!(error instanceof FileError)) {
      console.error(error);
      fail(seed);
    }
    found.refused++;
    const why = error.message.replace(`${mutant}: `, '').replaceAll(/\d+/g, '#');
    refusals.set(why, (refusals.get(why) ?? 0) + 1);
  }
  const took = performance.now() - began;
  found.longest = Math.max(found.longest, took);
  if (took > MOST_MS || process.memoryUsage.rss() > MOST_BYTES) {
    console.error(`it took ${Math.round(took)} ms, and ${process.memoryUsage.rss()} bytes`);
    fail(seed);
  }
}
console.log(
  `${found.whole} read without a fault, ${found.faulty} with faults that were named, ${found.refused} refused; ` +
    `${found.events} events; the slowest file took ${Math.round(found.longest)} ms`,
);
for (const [why, count] of refusals) console.log(`  refused: ${count} × ${why}`);
