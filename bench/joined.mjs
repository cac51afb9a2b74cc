// The parts of the benchmarks of joined buses, each in a process of its own: senders, listeners, Repliers, Limpets.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Announcement, Bus, Ksock } from '../dist/index.js';
import { Limpet } from '../dist/limpet/index.js';
import { lengthsOf, namesOf, topicsOf } from './traffic.mjs';

/** @import { ChildProcess } from 'node:child_process' */

export const MESSAGES = 400_000;
/** Fewer, where a stream keeps each. */
export const STORED = 100_000;
const REQUESTS = 3000;
const WARM = 500;
export const IDLE_LINKS = 64;
const NAMES = 1000;

/** KBUS_BENCH_NO_WAIT: senders do not wait for listeners, whose queues hold everything. */
const { KBUS_BENCH_NO_WAIT } = process.env;
const WAIT = { wait: KBUS_BENCH_NO_WAIT === undefined };

/** The stream of the benchmarks of JetStream alone, and how many messages may wait until they are stored. */
const STREAM = 'BENCH';
const IN_FLIGHT = 512;

const [, file = '', role = '', directory = '', bus = '0', messages = '0'] = process.argv;
const COUNT = Number(messages);

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
    if (!WAIT.wait) await ksock.setMaxMessages(COUNT);
    let count = 0;
    let began = 0;
    const hear = () => {
      if (count === 0) began = performance.now();
      if (++count < COUNT - missed) return;
      tell({ rate: (count - 1) / ((performance.now() - began) / 1000), missed });
    };
    await ksock.listener('$.Plant.*', hear, { borrowed: true });
    tell({ ready: true });
  },
  async announce() {
    const ksock = await Ksock.open(Number(bus), { directory });
    const names = namesOf(NAMES);
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    for (let at = 0; at < COUNT; at++) {
      const message = new Announcement(names[at % NAMES] ?? '', data[at % data.length]);
      const room = ksock.post(message, WAIT);
      if (room !== undefined) await room;
    }
    await ksock.flush();
    tell({ done: true });
  },
  /** The same, but it hands over all of them in one call. */
  async announceAll() {
    const ksock = await Ksock.open(Number(bus), { directory });
    const names = namesOf(NAMES);
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    await ksock.sendAll(
      (function* all() {
        for (let at = 0; at < COUNT; at++)
          yield new Announcement(names[at % NAMES] ?? '', data[at % data.length]);
      })(),
    );
    tell({ done: true });
  },
  /** Answers each Announcement with another one. */
  async echo() {
    const ksock = await Ksock.open(Number(bus), { directory });
    await ksock.listener('$.Bench.Ping', ({ data }) => {
      ksock.post(new Announcement('$.Bench.Pong', data));
    });
    tell({ ready: true });
  },
  async ping() {
    const ksock = await Ksock.open(Number(bus), { directory });
    let heard = () => {};
    await ksock.listener('$.Bench.Pong', () => heard());
    const both = () =>
      /** @type {Promise<void>} */ (
        new Promise((resolve) => {
          heard = resolve;
          ksock.post(new Announcement('$.Bench.Ping', 'ping'));
        })
      );
    tell(await timed(both));
  },
  async reply() {
    const ksock = await Ksock.open(Number(bus), { directory });
    await ksock.replier('$.Bench.Ask', (request) => request.data);
    tell({ ready: true });
  },
  async ask() {
    const ksock = await Ksock.open(Number(bus), { directory });
    tell(await timed(() => ksock.request('$.Bench.Ask', 'ask')));
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
    tell(await timed(() => nats.request('bench.ask', 'ask')));
  },
  // The same with JetStream alone.
  async jsHear() {
    let count = 0;
    let began = 0;
    await consume(await connect({ servers: directory }), 'Plant.>', () => {
      if (count === 0) began = performance.now();
      if (++count < COUNT) return;
      tell({ rate: (count - 1) / ((performance.now() - began) / 1000), missed: 0 });
    });
    tell({ ready: true });
  },
  async jsAnnounce() {
    const stream = jetstream(await connect({ servers: directory }));
    const subjects = topicsOf(NAMES, '.');
    const data = lengthsOf({ least: 16, size: 256 }).map((length) => new Uint8Array(length));
    /** @type {Promise<unknown>[]} */
    const waiting = [];
    for (let at = 0; at < COUNT; at++) {
      waiting.push(stream.publish(subjects[at % NAMES] ?? '', data[at % data.length]));
      if (waiting.length >= IN_FLIGHT) await waiting.shift();
    }
    await Promise.all(waiting);
    tell({ done: true });
  },
  async jsEcho() {
    const nats = await connect({ servers: directory });
    await consume(nats, 'Bench.Ping', (data) => {
      void jetstream(nats).publish('Bench.Pong', data);
    });
    tell({ ready: true });
  },
  async jsPing() {
    const nats = await connect({ servers: directory });
    let heard = () => {};
    await consume(nats, 'Bench.Pong', () => heard());
    const both = () =>
      /** @type {Promise<void>} */ (
        new Promise((resolve) => {
          heard = resolve;
          void jetstream(nats).publish('Bench.Ping', 'ping');
        })
      );
    tell(await timed(both));
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

/** Microseconds for each, one after another. @param {() => Promise<unknown>} once */
async function timed(once) {
  for (let at = 0; at < WARM; at++) await once();
  const began = performance.now();
  for (let at = 0; at < REQUESTS; at++) await once();
  return { trip: ((performance.now() - began) / REQUESTS) * 1000 };
}

/**
 * Gives what comes from now on in order, as a Limpet reads its stream.
 * @param {import('@nats-io/transport-node').NatsConnection} nats @param {string} subject @param {(data: Uint8Array) => void} take
 */
async function consume(nats, subject, take) {
  const manager = await jetstreamManager(nats);
  await manager.streams.add({ name: STREAM, subjects: ['Plant.>', 'Bench.>'] });
  const { state } = await manager.streams.info(STREAM);
  const consumer = await jetstream(nats).consumers.get(STREAM, {
    filter_subjects: subject,
    deliver_policy: 'by_start_sequence',
    opt_start_seq: state.last_seq + 1,
  });
  const messages = await consumer.consume({ max_messages: IN_FLIGHT });
  const read = async () => {
    for await (const { data } of messages) take(data);
  };
  void read();
}

/** All that runs. @type {Set<ChildProcess>} */
export const children = new Set();

/** @param {string} name @param {string} folder @param {number} [number] @param {number} [count] of messages */
export function part(name, folder, number = 0, count = MESSAGES) {
  const words = [name, folder, String(number), String(count)];
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

/** A bus: the folder of its daemon's sockets, and its number; or the address of a NATS server. */
/** @typedef {readonly [folder: string, bus?: number]} Place */

/**
 * How many announcements come from one bus to another, each second. @param {Place} from @param {Place} to
 * @param {[hear: string, announce: string]} roles @param {number} [count] of messages
 */
export async function rateOf(from, to, roles = ['hear', 'announce'], count = MESSAGES) {
  const listener = part(roles[0], to[0], to[1], count);
  await said(listener);
  const heard = said(listener);
  const sender = part(roles[1], from[0], from[1], count);
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
