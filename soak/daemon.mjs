// The daemon under test: on request it collects garbage and reports its memory.
import process from 'node:process';
import { Daemon, Log } from '../dist/daemon/index.js';
import { forked, stackOf } from '../dist/measure/index.js';

/**
 * @import { Bus } from '../dist/index.js'
 * @import { DaemonSaid, DaemonStart, Standing, Told } from './talk.ts'
 */

/** @type {DaemonStart} */
const { directory, serial, ksock } = JSON.parse(process.argv[2] ?? '');
const say = forked((error) => /** @type {DaemonSaid} */ ({ failed: stackOf(error) }));

const daemon = new Daemon({
  buses: 1,
  directory,
  socket: { mode: 0o600, group: undefined },
  bus: {},
  log: new Log('human', (line) => process.stderr.write(line)),
});
await daemon.start();
const [bus] = daemon.buses;
if (bus === undefined) throw new Error('the daemon has no bus');
bus.nextSerial = serial;
bus.nextKsockId = ksock;

/** @param {Bus} bus @returns {Promise<Standing>} */
async function sample(bus) {
  // One collection may free memory that only the next one returns.
  for (let count = 0; count < 3; count++) {
    globalThis.gc?.();
    await new Promise(setImmediate);
  }
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    rss,
    heap: heapUsed,
    external,
    resources: process.getActiveResourcesInfo().length,
    ksocks: bus.ksocks.size,
    queued: bus.queueing.entries,
    serial: bus.nextSerial,
  };
}

process.on('message', async (/** @type {Told} */ { what }) => {
  if (what === 'sample') say({ sample: await sample(bus) });
  if (what === 'stop') {
    await daemon.stop('the soak is over');
    process.exit();
  }
});
say({ serving: true });
