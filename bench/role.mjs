// A process of a cell: node role.mjs <system> <role> <place as JSON> <connections> <number>, the last
// counted from 0 among the processes with the same role.
//
// It exchanges messages with its parent over Node's IPC channel: see parts.ts. It exits, and ends the program that it
// started, when the channel is closed.
import { spawn } from 'node:child_process';
import { announcing, asking, forked, hearing, Latency, stackOf } from '../dist/measure/index.js';
import { systemOf } from './systems.mjs';
import { lengthsOf } from './traffic.mjs';
import { asks } from './workloads.mjs';

/**
 * @import { ChildProcess } from 'node:child_process'
 * @import { Order, Said } from './parts.ts'
 * @import { Place, System } from './system.ts'
 */

const [name = '', role = '', placeJson = '', connections, number] = process.argv.slice(2);
/** @type {Place} */
const place = JSON.parse(placeJson);
const traffic = { ...place, names: Math.max(1, place.names), lengths: lengthsOf(place) };

/** @type {ChildProcess | undefined} */
let program;

const say = forked(
  (error) => /** @type {Said} */ ({ failed: stackOf(error) }),
  () => {
    if (program?.pid === undefined) process.exit(0);
    program
      .removeAllListeners('exit')
      .once('exit', () => process.exit(0))
      .kill('SIGTERM');
    setTimeout(() => program?.kill('SIGKILL'), 2000);
  },
);

/** Each resolves when it is ready for messages; a program with its process id.
 * @type {Record<string, (system: System) => Promise<number | void>>} */
const roles = {
  program: (system) =>
    new Promise((resolve, reject) => {
      if (system.program === undefined) throw new Error(`${name} has no program`);
      const { file, args, ready } = system.program(place);
      const child = spawn(file, args, { cwd: place.folder, stdio: ['ignore', 'pipe', 'pipe'] });
      program = child;
      let output = '';
      const read = (/** @type {string} */ text) => {
        output = (output + text).slice(-2000);
        if (ready.test(output)) resolve(child.pid);
      };
      child.stdout.setEncoding('utf8').on('data', read);
      child.stderr.setEncoding('utf8').on('data', read);
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        const how = signal ?? `exit status ${code}`;
        throw new Error(`${file} exited by itself (${how}). Its output: ${output}`);
      });
    }),
  daemon: async (system) => system.daemon?.(place),
  answer: (system) => system.answer(place, Number(number)),

  /** A whole system that needs no other process. */
  async alone(system) {
    const isAsked = asks(place.workload);
    await roles[isAsked ? 'answer' : 'listen']?.(system);
    await roles[isAsked ? 'ask' : 'announce']?.(system);
  },

  async ask(system) {
    const ask = await system.ask(place);
    /** @type {ReturnType<typeof asking> | undefined} */
    let run;
    process.on('message', async (/** @type {Order} */ order) => {
      if (!('ask' in order)) return;
      const { inFlight } = order;
      run ??= asking(ask, { ...traffic, inFlight });
      const latency = inFlight === 1 ? new Latency() : null;
      const asked = await run(order.ask, latency);
      const p50 = latency?.percentile(50) ?? null;
      say({ asked, p50, p99: latency?.percentile(99) ?? null });
    });
  },

  async announce(system) {
    const run = announcing(await system.announce(place), { ...traffic, sender: Number(number) });
    process.on('message', async (/** @type {Order} */ order) => {
      if ('announce' in order) say({ announced: await run(order.announce) });
    });
  },

  async listen(system) {
    const count = Number(connections);
    let running = count;
    const tell = (/** @type {boolean} */ ended) => {
      running = count;
      say({ heard: ears.map((ear) => ear.take()), ended });
    };
    const ears = Array.from({ length: count }, () =>
      hearing(traffic, () => {
        if (--running === 0) tell(true);
      }),
    );
    await Promise.all(ears.map((ear) => system.listen(place, ear.hear)));
    process.on('message', (/** @type {Order} */ order) => {
      if ('tell' in order) tell(false);
    });
  },
};

const pid = await roles[role]?.(await systemOf(name));
say({ ready: pid ?? process.pid });
