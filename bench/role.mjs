// One process of a cell: node role.mjs <system> <role> <place as JSON> <connections> <number>, the last
// counted from 0 among the processes that have the same role.
//
// Its parent talks to it over Node's IPC channel:
//   role → parent   { ready: process id }         once it can be sent to
//   parent → role   { run: seconds, inFlight }    to ask, announce;  role → parent  { ran }
//   parent → role   { tell }                      to listen;         role → parent  { heard }
//   role → parent   { heard }                     by itself, when every connection has the last message
//   role → parent   { failed }                    and exits
// It ends itself, and the program it started, when the channel is closed.
import { spawn } from 'node:child_process';
import { announcing, asking, hearing } from './measure.mjs';
import { asks } from './workloads.mjs';

const [name, role, placeJson, connections, number] = process.argv.slice(2);
/** @type {import('./system.d.ts').Place} */
const place = JSON.parse(placeJson);
const say = (/** @type {object} */ message) => process.send?.(message);

/** @param {unknown} error */
function fail(error) {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.send?.({ failed: text }, () => process.exit(1));
}
process.on('uncaughtException', fail);
process.on('unhandledRejection', fail);

/** @type {import('node:child_process').ChildProcess | undefined} */
let program;
process.on('disconnect', () => {
  if (program?.pid === undefined) process.exit(0);
  program
    .removeAllListeners('exit')
    .once('exit', () => process.exit(0))
    .kill('SIGTERM');
  setTimeout(() => program?.kill('SIGKILL'), 2000);
});

/** Each resolves when it can be sent to; a program to its process id.
 * @type {Record<string, (system: import('./system.d.ts').System) => Promise<number | void>>} */
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
        fail(`${file} ended by itself (${signal ?? `exit status ${code}`}). It said: ${output}`);
      });
    }),
  daemon: async (system) => system.daemon?.(place),
  answer: (system) => system.answer(place, Number(number)),

  /** The whole of a system that needs no other process. */
  async alone(system) {
    const isAsked = asks(place.workload);
    await roles[isAsked ? 'answer' : 'listen']?.(system);
    await roles[isAsked ? 'ask' : 'announce']?.(system);
  },

  async ask(system) {
    const ask = await system.ask(place);
    /** @type {ReturnType<typeof asking> | undefined} */
    let run;
    process.on('message', async (/** @type {any} */ message) => {
      run ??= asking(ask, place, message.inFlight);
      say({ ran: await run(message.run) });
    });
  },

  async announce(system) {
    const run = announcing(await system.announce(place), place, Number(number));
    process.on('message', async (/** @type {any} */ message) => {
      if ('run' in message) say({ ran: await run(message.run) });
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
      hearing(place, () => {
        if (--running === 0) tell(true);
      }),
    );
    await Promise.all(ears.map((ear) => system.listen(place, ear.hear)));
    process.on('message', (/** @type {any} */ message) => {
      if ('tell' in message) tell(false);
    });
  },
};

try {
  const { default: system } = await import(`./systems/${name}.mjs`);
  const pid = await roles[role]?.(system);
  say({ ready: pid ?? process.pid });
} catch (error) {
  fail(error);
}
