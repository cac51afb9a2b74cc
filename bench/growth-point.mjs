// One point of a curve: node growth-point.mjs engine|socket <Load as JSON>
//
// A process that prepares the load, and measures when its parent says so, over Node's IPC channel. It exits,
// and its daemon with it, when the channel is closed.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forked, stackOf } from '../dist/measure/index.js';
import { cpuNanoseconds } from '../harness/machine.mjs';
import { Daemon } from '../harness/serve.mjs';

/**
 * @import { Load } from './load.mjs'
 *
 * @typedef {{ ready: number } | { cost: number } | { failed: string }} Said  ready, with a daemon of this process
 *   id, or 0; ns of CPU per message; it has failed, and exits
 *
 * @typedef {{ measure: 'announce' | 'ask', seconds: number }} Order
 */

const WANT_A_REPLY = 1;
/** Messages between two readings of the clock, or of the queue; the same for each point of a curve. */
const BATCH = 64;
/** The same, for data that costs as much as many small messages. */
const LARGE = 65_536;
/** The maximum message size, which is more than that of its data. */
const MAX_SIZE = 17 * 1024 * 1024;
/** The largest backlog of a listener's queue, in bytes. */
const QUEUED = 64 * 1024 * 1024;

const [where, json = ''] = process.argv.slice(2);
/** @type {Load} */
const load = JSON.parse(json);
const word = (/** @type {number} */ index) => `W${index.toString(36).padStart(7, '0')}`;
const path = (/** @type {string} */ first) =>
  ['$', ...Array.from({ length: load.levels - 1 }, (_, i) => `${first}${i}`.padEnd(8, 'x'))].join(
    '.',
  );
const prefix = path('Tell');
const names = Array.from({ length: load.names }, (_, i) => `${prefix}.${word(i)}`);
const listened = load.wildcard ? [`${prefix}.*`] : names;
const asked = `${path('Asks')}.Asks`;
const data = Buffer.alloc(load.size, 1);
const batch = load.size > LARGE ? 1 : BATCH;

/** The bindings that get no messages. */
function* others() {
  for (let i = 0; i < load.bindings; i++) yield `$.Other.${word(i)}${i % 10 === 9 ? '.*' : ''}`;
}

/**
 * Repeats for this time.
 * @param {number} seconds
 * @param {() => number | Promise<number>} some  gives the number of repetitions
 * @returns {Promise<number>} the number of repetitions
 */
async function during(seconds, some) {
  const end = performance.now() + seconds * 1000;
  let count = 0;
  do {
    const done = some();
    count += typeof done === 'number' ? done : await done;
  } while (performance.now() < end);
  return count;
}

/** The engine alone. */
async function engine() {
  const { Bus, MessageBatch } = await import('../dist/bus/index.js');
  const bus = new Bus({ maxMessageSize: MAX_SIZE, absoluteMaxMessageSize: MAX_SIZE });
  const owner = { queued() {}, answered() {}, roomMade() {} };
  const open = () => bus.open(owner);
  const must = (/** @type {number} */ result) => {
    if (result < 0) throw new Error(`the engine refused with ${-result}`);
  };
  const other = open();
  for (const name of others()) must(other.bind(name, false));
  for (let i = 0; i < load.idle; i++) open();
  const listeners = Array.from({ length: load.listeners }, () => {
    const ksock = open();
    for (const name of listened) must(ksock.bind(name, false));
    return ksock;
  });
  const [sender, replier] = [open(), open()];
  must(replier.bind(asked, true));
  let next = 0;
  return {
    daemon: 0,
    /** @param {number} seconds */
    announce: (seconds) =>
      during(seconds, () => {
        for (let i = 0; i < batch; i++) {
          const name = /** @type {string} */ (names[next]);
          if (++next === names.length) next = 0;
          must(sender.send(new MessageBatch(name, 0, 0, data, 0, data.length)));
        }
        for (const listener of listeners) for (; listener.take() !== null; );
        return batch * listeners.length;
      }),
    /** @param {number} seconds */
    ask: (seconds) =>
      during(seconds, () => {
        for (let i = 0; i < batch; i++) {
          const question = new MessageBatch(asked, WANT_A_REPLY, 0, data, 0, data.length);
          question.answersByToken = true;
          must(sender.send(question));
          const request = replier.take();
          if (request === null) throw new Error('the Request did not arrive');
          const reply = new MessageBatch(asked, 0, request.from, data, 0, 0);
          reply.replySerial = request.idSerial;
          must(replier.send(reply));
        }
        return batch;
      }),
  };
}

/** A daemon, and a program whose Ksocks are connected to it. */
async function socket() {
  const { Announcement, Ksock } = await import('../dist/index.js');
  const directory = mkdtempSync(join(tmpdir(), 'kbus-bench-'));
  process.on('exit', () => {
    daemon?.child.kill();
    rmSync(directory, { recursive: true, force: true });
  });
  const settings = ['--max-message-size', String(MAX_SIZE), '--max-connections', '100000'];
  daemon = new Daemon(directory, settings);
  await daemon.serving;
  const open = async () => Ksock.open(0, { directory });

  const other = await open();
  /** @type {Promise<void>[]} */
  let binds = [];
  for (const name of others()) {
    binds.push(other.bind(name));
    if (binds.length === 1000) {
      await Promise.all(binds);
      binds = [];
    }
  }
  await Promise.all(binds);
  for (let left = load.idle; left > 0; left -= 100) {
    await Promise.all(Array.from({ length: Math.min(100, left) }, open));
  }
  let heard = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let all = () => {};
  const maxMessages = Math.max(2, Math.min(1000, Math.floor(QUEUED / Math.max(1, load.size))));
  for (let i = 0; i < load.listeners; i++) {
    const ksock = await open();
    await ksock.setMaxMessages(maxMessages);
    for (const name of listened) {
      await ksock.listener(name, () => {
        if (++heard === wanted) all();
      });
    }
  }
  const [sender, replier] = [await open(), await open()];
  await replier.replier(asked, () => undefined);
  let next = 0;
  return {
    daemon: daemon.child.pid ?? 0,
    /** @param {number} seconds */
    async announce(seconds) {
      heard = 0;
      wanted = Number.POSITIVE_INFINITY;
      const sent = await during(seconds, async () => {
        for (let i = 0; i < batch; i++) {
          const name = /** @type {string} */ (names[next]);
          if (++next === names.length) next = 0;
          const wait = sender.post(new Announcement(name, data), { wait: true });
          if (wait !== undefined) await wait;
        }
        return batch;
      });
      await sender.flush();
      wanted = sent * load.listeners;
      if (heard < wanted) await new Promise((resolve) => (all = () => resolve(undefined)));
      return wanted;
    },
    /** @param {number} seconds */
    ask: (seconds) =>
      during(seconds, async () => {
        await sender.request(asked, data);
        return 1;
      }),
  };
}

/** @type {Daemon | undefined} */
let daemon;

const say = forked(
  (error) => /** @type {Said} */ ({ failed: stackOf(error) }),
  async () => {
    await daemon?.stop();
    process.exit();
  },
);

const point = await (where === 'engine' ? engine() : socket());
/** Nanoseconds of CPU, of this program and the daemon. */
const used = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) * 1000 + (point.daemon === 0 ? 0 : cpuNanoseconds(point.daemon));
};
process.on('message', async (/** @type {Order} */ { measure, seconds }) => {
  const before = used();
  const count = await (measure === 'ask' ? point.ask(seconds) : point.announce(seconds));
  say({ cost: (used() - before) / count });
});
say({ ready: point.daemon });
