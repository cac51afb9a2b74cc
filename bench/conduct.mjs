// A cell: one system runs one workload once, each part in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child } from '../dist/measure/index.js';
import { cpuOf, peakMemoryOf, watchOthers } from '../harness/machine.mjs';
import { lengthsOf } from './traffic.mjs';

/**
 * @import { ChildProcess } from 'node:child_process'
 * @import { AddressInfo } from 'node:net'
 * @import { Place, System } from './system.ts'
 * @import { Workload } from './workloads.mjs'
 * @import { Heard } from '../dist/measure/index.js'
 * @import { Order, Said } from './parts.ts'
 */

/**
 * @typedef {object} Cell
 * @property {Record<string, number>} figures  by the keys that the workload names
 * @property {number} lost        messages sent and not received (announcements)
 * @property {number} sent        messages that should have been received
 * @property {number} wrong       messages received with wrong content
 * @property {number} count       messages in the daemon's CPU time
 * @property {number} daemonCpu   seconds during the run; NaN without a daemon
 * @property {number} daemonPeak  bytes, since it started; NaN without a daemon
 * @property {number} foreign     cores that other programs kept busy during the run
 */

/** After this many milliseconds without a message, the missing ones count as lost. The options may set it. */
const SILENCE = 2000;
const roleFile = fileURLToPath(new URL('role.mjs', import.meta.url));

/** @typedef {Child<Said, Order>} Part  a process of the cell */

/** The running parts. @type {Set<Part>} */
const running = new Set();

/** Ends the running parts when the bench is stopped. (If the bench is killed, they end by themselves.) */
export function abandon() {
  for (const part of running) void part.end();
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * The messages that a receiving process got, after the sender is done. The process reports by itself when the last message
 * has reached all its connections. If messages are lost it does not; then it is asked until no more arrive.
 *
 * @param {Part} receiver
 * @param {Promise<{ heard: Heard[], ended: boolean }>} next  its report
 * @param {number} silence  milliseconds
 * @returns {Promise<Heard[]>}
 */
async function hearOut(receiver, next, silence) {
  /** @type {Heard[]} */
  const all = [];
  for (;;) {
    const silent = setTimeout(() => receiver.tell({ tell: true }), silence);
    const { heard, ended } = await next.finally(() => clearTimeout(silent));
    all.push(...heard);
    const some = heard.some(({ count }) => count > 0);
    if (ended || !some) return all;
    next = receiver.next('heard');
  }
}

/**
 * @typedef {object} Stage  a cell with running processes
 * @property {(seconds: number) => Promise<Run>} run  sends for that time, and waits for all messages
 * @property {number} daemon       its process id; 0 without a daemon
 * @property {() => number} ours   seconds of CPU time of all its processes, and this one
 *
 * @typedef {Pick<Cell, 'figures' | 'lost' | 'sent' | 'wrong' | 'count'>} Run
 */

/**
 * @param {System} system
 * @param {Workload} workload
 * @param {{ seconds: number, node: string, silence?: number }} options
 * @returns {Promise<Cell>}
 */
export function conduct(system, workload, { seconds, ...options }) {
  const limit = 60 + 4 * seconds;
  return withStage(system, workload, { ...options, limit }, async ({ run, daemon, ours }) => {
    // V8 compiles for about three seconds: in the first, KBUS has three quarters of its later rate.
    await run(Math.min(4, 3 * seconds));

    const others = watchOthers(ours);
    const before = cpuOf(daemon);
    const result = await run(seconds);
    return {
      ...result,
      daemonCpu: cpuOf(daemon) - before,
      daemonPeak: peakMemoryOf(daemon),
      foreign: others(),
    };
  });
}

/**
 * Starts all processes of a cell, and ends them when `use` is done or one of them fails.
 *
 * @template T
 * @param {System} system
 * @param {Workload} workload
 * @param {{ node: string, silence?: number, limit: number }} options  `limit`: seconds in all
 * @param {(stage: Stage) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withStage(system, workload, { node, silence = SILENCE, limit }, use) {
  const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-'));
  /** @type {Place} */
  const place = {
    workload: workload.name,
    folder,
    socket: join(folder, 's'),
    port: await freePort(),
    least: workload.least,
    size: workload.size,
    names: workload.names,
    senders: workload.senders,
    ring: workload.ring,
    receivers: workload.receivers.reduce((sum, count) => sum + count, 0),
    node,
  };
  const lengths = lengthsOf(place);
  /** Bytes of data in a message, on average. */
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  /** @type {Part[]} */
  const parts = [];
  /** @type {(error: Error) => void} */
  let fail = () => {};
  /** @type {Promise<never>} */
  const trouble = new Promise((_, reject) => {
    fail = reject;
  });
  const late = setTimeout(() => {
    fail(new Error(`${system.name} ${workload.name}: not finished after ${limit} seconds`));
  }, limit * 1000);

  const add = (/** @type {string} */ title, /** @type {ChildProcess} */ child) => {
    /** @type {Part} */
    const part = new Child(child, `${system.name} ${workload.name}, ${title}`);
    parts.push(part);
    running.add(part);
    void part.ended.then(() => running.delete(part));
    part.trouble.catch(fail);
    return part;
  };
  const role = (/** @type {string} */ name, connections = 1, number = 0) =>
    add(
      name,
      fork(
        roleFile,
        [system.name, name, JSON.stringify(place), String(connections), String(number)],
        { execPath: node, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] },
      ),
    );

  try {
    return await Promise.race([start().then(use), trouble]);
  } finally {
    clearTimeout(late);
    await Promise.all(parts.map((part) => part.end()));
    rmSync(folder, { recursive: true, force: true });
  }

  /** @returns {Promise<Stage>} */
  async function start() {
    if (system.kind === 'alone') {
      const alone = role('alone', place.receivers);
      await alone.next('ready');
      return stage([alone], [alone], 0);
    }
    const daemon = await startDaemon();
    const receivers = workload.receivers.map((connections, number) =>
      role(workload.shape === 'ask' ? 'answer' : 'listen', connections, number),
    );
    await ready(receivers);
    const senders = Array.from({ length: place.senders }, (_, number) =>
      role(workload.shape, 1, number),
    );
    await ready(senders);
    return stage(senders, receivers, daemon);
  }

  /** @param {Part[]} some */
  async function ready(some) {
    await Promise.all(some.map((part) => part.next('ready')));
  }

  /** @param {Part[]} senders @param {Part[]} receivers @param {number} daemon @returns {Stage} */
  function stage(senders, receivers, daemon) {
    const pids = new Set([process.pid, ...parts.map((part) => part.process.pid ?? 0)]);
    if (daemon > 0) pids.add(daemon);
    return {
      run: (seconds) =>
        workload.shape === 'ask'
          ? runAsk(senders, seconds)
          : runAnnounce(senders, receivers, seconds),
      daemon,
      ours: () => [...pids].reduce((sum, pid) => sum + cpuOf(pid), 0),
    };
  }

  /** @returns {Promise<number>} the daemon's process id; 0 without a daemon */
  async function startDaemon() {
    if (!system.program && !system.daemon) return 0;
    const part = role(system.program ? 'program' : 'daemon');
    const { ready } = await part.next('ready');
    return ready;
  }

  /** @param {Part[]} senders @param {number} time @returns {Promise<Run>} */
  async function runAsk(senders, time) {
    const [sender] = senders;
    if (sender === undefined) throw new Error(`${workload.name} has no requester`);
    sender.tell({ ask: time * 1000, inFlight: workload.inFlight });
    const { asked: ran, p50, p99 } = await sender.next('asked');
    return {
      figures: { rate: ran.count / ran.seconds, p50: p50 ?? Number.NaN, p99: p99 ?? Number.NaN },
      lost: 0,
      sent: ran.count,
      wrong: ran.wrong,
      count: ran.count,
    };
  }

  /** @param {Part[]} senders @param {Part[]} receivers @param {number} time @returns {Promise<Run>} */
  async function runAnnounce(senders, receivers, time) {
    const ends = receivers.map((receiver) => ({ receiver, next: receiver.next('heard') }));
    for (const sender of senders) sender.tell({ announce: time * 1000 });
    const said = await Promise.all(senders.map((sender) => sender.next('announced')));
    const ran = said.map(({ announced }) => announced);
    const heard = await Promise.all(
      ends.map(({ receiver, next }) => hearOut(receiver, next, silence)),
    );
    const all = heard.flat();
    const count = all.reduce((sum, { count }) => sum + count, 0);
    const wrong = all.reduce((sum, { wrong }) => sum + wrong, 0);
    const end = Math.max(...all.map(({ last }) => last));
    const begin = Math.min(...ran.map(({ first }) => first));
    const took = count > 0 ? (end - begin) / 1e9 : Number.POSITIVE_INFINITY;
    const sent = ran.reduce((sum, { count }) => sum + count, 0) * place.receivers;
    return {
      figures: { rate: count / took, megabytes: (count * mean) / took / 1e6 },
      lost: sent - count,
      sent,
      wrong,
      count,
    };
  }
}
