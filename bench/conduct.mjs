// One cell: one system does one workload once, each of its parts in a process of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { busy, cpuOf, peakMemoryOf } from './machine.mjs';

/**
 * @import { ChildProcess } from 'node:child_process'
 * @import { Place, System } from './system.d.ts'
 * @import { Workload } from './workloads.mjs'
 * @import { Heard } from './measure.mjs'
 */

/**
 * @typedef {object} Cell
 * @property {Record<string, number>} figures  by the keys that the workload names
 * @property {number} lost        messages that were sent and not heard (announcements)
 * @property {number} sent        messages that should have been heard
 * @property {number} wrong       messages heard that were not what they should have been
 * @property {number} count       messages the daemon's CPU time was spent on
 * @property {number} daemonCpu   seconds during the run; NaN without a daemon
 * @property {number} daemonPeak  bytes, since it started; NaN without a daemon
 * @property {number} foreign     cores that others kept busy during the run
 */

/** Milliseconds without a message after which what is still missing is taken for lost, unless the options say. */
const SILENCE = 2000;
/** Milliseconds that a process may take to end; more than a role gives the program it started. */
const END = 5000;
const roleFile = fileURLToPath(new URL('role.mjs', import.meta.url));

/** Every process of the cell that is running. @type {Set<ChildProcess>} */
const running = new Set();

/** A role ends itself, and a program that it started, when its channel is closed; so nothing is left
 * behind either when the bench is killed. @param {ChildProcess} child */
function letGo(child) {
  if (child.connected) child.disconnect();
}

/** Ends what is running, for when the bench is being stopped. */
export function abandon() {
  for (const child of running) letGo(child);
}

/** A process of the cell, and what it says. `fail` is told when it can't go on. */
class Part {
  /** Messages nobody asked for yet. @type {any[]} */
  #heard = [];
  /** @type {{ key: string, give: (message: any) => void }[]} */
  #wanted = [];
  #errors = '';

  /** @param {string} title @param {ChildProcess} child @param {(error: Error) => void} fail */
  constructor(title, child, fail) {
    this.child = child;
    running.add(child);
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    child.on('message', (/** @type {any} */ message) => {
      if (message.failed) fail(new Error(`${title}: ${message.failed}`));
      else this.#say(message);
    });
    child.once('error', (error) => fail(new Error(`${title}: ${error.message}`)));
    child.once('exit', (code, signal) => {
      running.delete(child);
      const how = signal ?? `exit status ${code}`;
      fail(new Error(`${title}: it ended by itself (${how}). ${this.#errors.trim()}`));
    });
  }

  /** @param {any} message */
  #say(message) {
    const index = this.#wanted.findIndex(({ key }) => key in message);
    if (index < 0) this.#heard.push(message);
    else this.#wanted.splice(index, 1)[0]?.give(message);
  }

  /** Its next message with this key. @param {string} key @returns {Promise<any>} */
  next(key) {
    const index = this.#heard.findIndex((message) => key in message);
    if (index >= 0) return Promise.resolve(this.#heard.splice(index, 1)[0]);
    return new Promise((give) => this.#wanted.push({ key, give }));
  }

  /** @param {object} message */
  tell(message) {
    if (this.child.connected) this.child.send(message);
  }

  async end() {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    letGo(child);
    const late = setTimeout(() => child.kill('SIGKILL'), END);
    await exited;
    clearTimeout(late);
  }
}

/** @returns {Promise<number>} */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

/**
 * What a receiving process heard, once the sender is done: it says so itself when the last message
 * reached all its connections. When some are lost it won't; then it is asked, until nothing more comes.
 *
 * @param {Part} receiver
 * @param {Promise<any>} next  what it will say
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
    const some = heard.some((/** @type {Heard} */ { count }) => count > 0);
    if (ended || !some) return all;
    next = receiver.next('heard');
  }
}

/**
 * @param {System} system
 * @param {Workload} workload
 * @param {{ seconds: number, node: string, silence?: number }} options
 * @returns {Promise<Cell>}
 */
export async function conduct(system, workload, { seconds, node, silence = SILENCE }) {
  const folder = mkdtempSync(join(tmpdir(), 'kbus-bench-'));
  /** @type {Place} */
  const place = {
    workload: workload.name,
    folder,
    socket: join(folder, 's'),
    port: await freePort(),
    size: workload.size,
    ring: workload.ring,
    receivers: workload.receivers.reduce((sum, count) => sum + count, 0),
    node,
  };
  /** @type {Part[]} */
  const parts = [];
  /** @type {(error: Error) => void} */
  let fail = () => {};
  /** @type {Promise<never>} */
  const trouble = new Promise((_, reject) => {
    fail = reject;
  });
  const limit = 60 + 4 * seconds;
  const late = setTimeout(() => {
    fail(new Error(`${system.name} ${workload.name}: not finished after ${limit} seconds`));
  }, limit * 1000);

  const add = (/** @type {string} */ title, /** @type {ChildProcess} */ child) => {
    const part = new Part(`${system.name} ${workload.name}, ${title}`, child, fail);
    parts.push(part);
    return part;
  };
  const role = (/** @type {string} */ name, connections = 1) =>
    add(
      name,
      fork(roleFile, [system.name, name, JSON.stringify(place), String(connections)], {
        execPath: node,
        execArgv: [],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      }),
    );

  try {
    return await Promise.race([work(), trouble]);
  } finally {
    clearTimeout(late);
    await Promise.all(parts.map((part) => part.end()));
    rmSync(folder, { recursive: true, force: true });
  }

  async function work() {
    if (system.kind === 'alone') {
      const alone = role('alone', place.receivers);
      await alone.next('ready');
      return measured(alone, [alone], 0);
    }
    const daemon = await startDaemon();
    const receivers = workload.receivers.map((connections) =>
      role(workload.shape === 'ask' ? 'answer' : 'listen', connections),
    );
    await Promise.all(receivers.map((part) => part.next('ready')));
    const sender = role(workload.shape);
    await sender.next('ready');
    return measured(sender, receivers, daemon);
  }

  /** @param {Part} sender @param {Part[]} receivers @param {number} daemon its process id, or 0 */
  async function measured(sender, receivers, daemon) {
    const run = workload.shape === 'ask' ? runAsk : runAnnounce;
    await run(sender, receivers, Math.min(1, seconds / 2));

    const pids = new Set([process.pid, ...parts.map((part) => part.child.pid ?? 0)]);
    if (daemon > 0) pids.add(daemon);
    const ours = () => [...pids].reduce((sum, pid) => sum + cpuOf(pid), 0);
    const before = { busy: busy(), ours: ours(), daemon: cpuOf(daemon), at: performance.now() };
    const result = await run(sender, receivers, seconds);
    const took = (performance.now() - before.at) / 1000;
    const foreign = (busy() - before.busy - (ours() - before.ours)) / took;
    return {
      ...result,
      daemonCpu: cpuOf(daemon) - before.daemon,
      daemonPeak: peakMemoryOf(daemon),
      foreign: Math.max(0, foreign),
    };
  }

  /** @returns {Promise<number>} the daemon's process id, 0 when there is no daemon */
  async function startDaemon() {
    if (!system.program && !system.daemon) return 0;
    const part = role(system.program ? 'program' : 'daemon');
    const { ready } = await part.next('ready');
    return ready;
  }

  /** @param {Part} sender @param {Part[]} _ @param {number} time */
  async function runAsk(sender, _, time) {
    sender.tell({ run: time, inFlight: workload.inFlight });
    const { ran } = await sender.next('ran');
    return {
      figures: { rate: ran.count / ran.seconds, p50: ran.p50, p99: ran.p99 },
      lost: 0,
      sent: ran.count,
      wrong: ran.wrong,
      count: ran.count,
    };
  }

  /** @param {Part} sender @param {Part[]} receivers @param {number} time */
  async function runAnnounce(sender, receivers, time) {
    const ends = receivers.map((receiver) => receiver.next('heard'));
    sender.tell({ run: time });
    const { ran } = await sender.next('ran');
    const heard = await Promise.all(
      receivers.map((receiver, i) => hearOut(receiver, ends[i], silence)),
    );
    const all = heard.flat();
    const count = all.reduce((sum, { count }) => sum + count, 0);
    const wrong = all.reduce((sum, { wrong }) => sum + wrong, 0);
    const end = Math.max(...all.map(({ last }) => last));
    const took = count > 0 ? (end - ran.first) / 1e9 : Number.POSITIVE_INFINITY;
    const sent = ran.count * place.receivers;
    return {
      figures: { rate: count / took, megabytes: (count * place.size) / took / 1e6 },
      lost: sent - count,
      sent,
      wrong,
      count,
    };
  }
}
