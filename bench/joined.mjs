// The parts of the benchmarks of joined buses, each in a process of its own: senders, listeners, Repliers, Limpets.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import { Announcement, Bus, Ksock } from '../dist/index.js';
import { Limpet } from '../dist/limpet/index.js';
import { lengthsOf, namesOf, topicsOf } from './traffic.mjs';

/** @import { ChildProcess } from 'node:child_process' */

export const MESSAGES = 400_000;
const REQUESTS = 3000;
const WARM = 500;
export const IDLE_LINKS = 64;
const NAMES = 1000;

/** KBUS_BENCH_NO_WAIT: senders do not wait for listeners, whose queues hold everything. */
const { KBUS_BENCH_NO_WAIT } = process.env;
const WAIT = { wait: KBUS_BENCH_NO_WAIT === undefined };

const [, file = '', role = '', directory = '', bus = '0'] = process.argv;

/** @param {object} message */
const tell = (message) => process.send?.(message);

const THIS_FILE = fileURLToPath(import.meta.url);

/** @type {Record<string, () => Promise<void>>} */
const ROLES = {
  async hear() {
    let missed = 0;
    const onMissed = (/** @type {{ count: number }} */ { count }) => {
      missed += count;
    };
    const ksock = await Ksock.open(Number(bus), { directory, onMissed });
    if (!WAIT.wait) await ksock.setMaxMessages(MESSAGES);
    let count = 0;
    let began = 0;
    const hear = () => {
      if (count === 0) began = performance.now();
      if (++count < MESSAGES - missed) return;
      tell({ rate: (count - 1) / ((performance.now() - began) / 1000), missed });
    };
    await ksock.listener('$.Plant.*', hear, { borrowed: true });
    tell({ ready: true });
  },
  async announce() {
    const ksock = await Ksock.open(Number(bus), { directory });
    const names = namesOf(NAMES);
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    for (let at = 0; at < MESSAGES; at++) {
      const message = new Announcement(names[at % NAMES] ?? '', data[at % data.length]);
      const room = ksock.post(message, WAIT);
      if (room !== undefined) await room;
    }
    await ksock.flush();
    tell({ done: true });
  },
  async reply() {
    const ksock = await Ksock.open(Number(bus), { directory });
    await ksock.replier('$.Bench.Ask', (request) => request.data);
    tell({ ready: true });
  },
  async ask() {
    const ksock = await Ksock.open(Number(bus), { directory });
    for (let at = 0; at < WARM; at++) await ksock.request('$.Bench.Ask', 'ask');
    const began = performance.now();
    for (let at = 0; at < REQUESTS; at++) await ksock.request('$.Bench.Ask', 'ask');
    tell({ trip: ((performance.now() - began) / REQUESTS) * 1000 });
  },
  // The same with the client of NATS alone; `directory` is the address of the server.
  async natsHear() {
    const nats = await connect({ servers: directory });
    let count = 0;
    let began = 0;
    nats.subscribe('Plant.>', {
      callback: () => {
        if (count === 0) began = performance.now();
        if (++count < MESSAGES) return;
        tell({ rate: (count - 1) / ((performance.now() - began) / 1000), missed: 0 });
      },
    });
    await nats.flush();
    tell({ ready: true });
  },
  async natsAnnounce() {
    const nats = await connect({ servers: directory });
    const subjects = topicsOf(NAMES, '.');
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    for (let at = 0; at < MESSAGES; at++) {
      nats.publish(subjects[at % NAMES] ?? '', data[at % data.length]);
      // As often as a client of the benchmark of one bus does (bench/systems/nats.mjs).
      if (at % 512 === 511) await nats.flush();
    }
    await nats.flush();
    tell({ done: true });
  },
  async natsReply() {
    const nats = await connect({ servers: directory });
    nats.subscribe('bench.ask', {
      callback: (_, message) => {
        message.respond(message.data);
      },
    });
    await nats.flush();
    tell({ ready: true });
  },
  async natsAsk() {
    const nats = await connect({ servers: directory });
    for (let at = 0; at < WARM; at++) await nats.request('bench.ask', 'ask');
    const began = performance.now();
    for (let at = 0; at < REQUESTS; at++) await nats.request('bench.ask', 'ask');
    tell({ trip: ((performance.now() - began) / REQUESTS) * 1000 });
  },
  /** A hub; tells how much memory it has in use. */
  async hub() {
    const limpet = new Limpet({
      id: 1,
      bus: new Bus(),
      links: [{ server: join(directory, 'idle') }],
    });
    await limpet.start();
    const inUse = () => {
      /** @type {{ gc?: () => void }} */ (globalThis).gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return heapUsed + external;
    };
    const before = inUse();
    tell({ ready: true });
    await once(process, 'message');
    tell({ idle: (inUse() - before) / IDLE_LINKS });
  },
  /** The Limpets at the other ends of its links. */
  async ends() {
    const client = join(directory, 'idle');
    const limpets = Array.from({ length: IDLE_LINKS }, (_, at) => {
      return new Limpet({ id: at + 2, bus: new Bus(), links: [{ client }] });
    });
    for (const limpet of limpets) await limpet.start();
    const isReady = () => limpets.every((each) => each.report().paths.length === IDLE_LINKS);
    while (!isReady()) await pause(20);
    tell({ ready: true });
  },
};

/** All that runs. @type {Set<ChildProcess>} */
export const children = new Set();

/** @param {string} name @param {string} folder @param {number} [number] */
export function part(name, folder, number = 0) {
  const words = [name, folder, String(number)];
  const child = fork(THIS_FILE, words, { execArgv: ['--expose-gc'] });
  children.add(child);
  return child;
}

/** The next message of a part. @param {ChildProcess} child @returns {Promise<any>} */
export const said = async (child) => (await once(child, 'message'))[0];

/** @param {ChildProcess} child */
function end(child) {
  child.kill();
  children.delete(child);
}

/**
 * How many announcements come from one bus to another, each second. @param {string} folder @param {number} from
 * @param {number} to @param {[hear: string, announce: string]} roles
 */
export async function rateOf(folder, from, to, roles = ['hear', 'announce']) {
  const listener = part(roles[0], folder, to);
  await said(listener);
  const heard = said(listener);
  const sender = part(roles[1], folder, from);
  const result = await heard;
  end(listener);
  end(sender);
  return result;
}

/** Microseconds for a Request and its Reply. @param {string} folder @param {number} from */
export async function tripOf(folder, from, role = 'ask') {
  const asker = part(role, folder, from);
  const { trip } = await said(asker);
  end(asker);
  return trip;
}

/** @param {string} folder */
export async function idleOf(folder) {
  const hub = part('hub', folder);
  await said(hub);
  const ends = part('ends', folder);
  await said(ends);
  const told = said(hub);
  hub.send({});
  const { idle } = await told;
  end(ends);
  end(hub);
  return idle;
}

/** @param {number[]} values */
export const median = (values) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

if (file === THIS_FILE) {
  process.on('disconnect', () => process.exit());
  await ROLES[role]?.();
}
