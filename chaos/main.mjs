// A daemon and dozens of programs that are killed, suspended, disconnected, and starved of descriptors and memory, with
// full queues. Each program writes a journal; after each round, the journals are checked against the promises.
//
//   npm run chaos -- --minutes 10 --seed 7 --clients 24 --device-clients 10
//
// Some programs use the device file of the bus (device.py), if this machine can serve it; the others use its socket
// (client.mjs). The seed decides about faults and operations, but timing differs between runs.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { obstacles } from '../dist/fuse/obstacles.js';
import { Ksock } from '../dist/index.js';
import { ended } from '../dist/measure/index.js';
import { programPath } from '../dist/system/program-path.js';
import { Random } from '../harness/random.mjs';
import { Daemon } from '../harness/serve.mjs';
import { brokenPromises } from './promises.mjs';

/**
 * @import { ChildProcess, ChildProcessByStdio, ChildProcessWithoutNullStreams } from 'node:child_process'
 * @import { Interface } from 'node:readline'
 * @import { Readable, Writable } from 'node:stream'
 * @import { Part, Role } from './client.mjs'
 * @import { Entry, Journal } from './journal.ts'
 *
 * @typedef {object} Client  a program under test
 * @property {Role} role
 * @property {string} name
 * @property {string} path  of its journal
 * @property {ChildProcessByStdio<Writable, Readable, null>} child
 * @property {Interface} lines
 * @property {boolean} atDevice
 * @property {boolean} isStopped
 * @property {number | null} killed  the time, or null
 */

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    clients: { type: 'string', default: '16' },
    'device-clients': { type: 'string' },
    round: { type: 'string', default: '15' },
    'little-memory': { type: 'boolean', default: false },
  },
});
const seed = Number(values.seed);
const clientCount = Number(values.clients);
const python = programPath('python3');
const deviceCount = countDeviceClients();
const file = (/** @type {string} */ name) => fileURLToPath(new URL(name, import.meta.url));

function countDeviceClients() {
  const given = values['device-clients'];
  const missing = obstacles().map((it) => it.missing);
  if (python === undefined) missing.push('the program python3');
  if (given === '0') return 0;
  if (missing.length === 0) return Number(given ?? Math.ceil(clientCount * 0.4));
  const lack = `device files can't be tested; missing: ${missing.join(', ')}`;
  if (given !== undefined) throw new Error(lack);
  console.warn(`chaos: WITHOUT DEVICE FILES: ${lack}`);
  return 0;
}

const random = new Random(seed);
const now = () => Number(process.hrtime.bigint() / 1000n);
/** The descriptor limit of a starved daemon. */
const STARVED_DESCRIPTORS = 70;

/** @type {Role[]} */
const ROLES = ['sender', 'sender', 'requester', 'requester', 'listener', 'listener', 'replier'];
/** The memory of a daemon that has little: less than what the programs would send. */
const LITTLE_MEMORY = '1MiB';
/** A bus keeps whom its names reach; for the few names here, that takes less. */
const ROUTES_BYTES = 32 * 1024;

const FAULTS = /** @type {const} */ (['kill', 'kill', 'stop', 'stop', 'stop', 'cut', 'freeze']);
const faults = { kill: 0, stop: 0, cut: 0, freeze: 0, starve: 0, little: 0, end: 0 };
/** `refused`: sends, for lack of memory. */
const sum = { rounds: 0, programs: 0, faults, messages: 0, requests: 0, answers: 0, refused: 0 };
/** Number of Requests by requester and Replier: s at a socket, d at a device file. @type {Record<string, number>} */
const crossed = { ss: 0, sd: 0, ds: 0, dd: 0 };

class Round {
  /** @type {Client[]} */
  clients = [];
  /** @type {Daemon | undefined} */
  #daemon;

  /** @param {number} number */
  constructor(number) {
    this.number = number;
    this.directory = mkdtempSync(join(tmpdir(), 'kbus-chaos-'));
    this.sockets = join(this.directory, 's');
    this.device = join(this.directory, 'd');
    this.nextName = 1;
    // In some rounds the daemon has few descriptors, and one program takes all of them.
    this.isStarved = random.chance(0.3);
    // In some, or in all if so asked, it refuses many sends for lack of memory.
    this.hasLittleMemory = random.chance(0.3) || values['little-memory'];
  }

  async start() {
    if (this.isStarved) sum.faults.starve++;
    if (this.hasLittleMemory) sum.faults.little++;
    const device = deviceCount > 0 ? ['--device', this.device] : [];
    const memory = this.hasLittleMemory ? ['--max-memory', LITTLE_MEMORY] : [];
    const options = [...device, ...memory, '--max-messages', '20'];
    this.#daemon = new Daemon(
      this.sockets,
      options,
      this.isStarved ? STARVED_DESCRIPTORS : undefined,
    );
    await this.#daemon.serving;
    if (deviceCount > 0 && !this.daemon.log.includes('as files in')) {
      throw new Error(this.daemon.log);
    }
    for (let count = 0; count < clientCount; count++) {
      this.spawn(/** @type {Role} */ (ROLES[count % ROLES.length]), count < deviceCount);
    }
    if (this.isStarved) this.spawn('hog', false);
  }

  get daemon() {
    if (this.#daemon === undefined) throw new Error('the daemon was not started');
    return this.#daemon;
  }

  /** @param {Role} role @param {boolean} atDevice */
  spawn(role, atDevice) {
    const name = `r${this.number}p${this.nextName++}${atDevice ? 'd' : 's'}`;
    const path = join(this.directory, `${name}.journal`);
    /** @type {Part} */
    const part = {
      role,
      name,
      path,
      directory: this.sockets,
      device: this.device,
      seed: random.below(2 ** 32),
    };
    const program = (atDevice && python) || process.execPath;
    const words = atDevice ? ['-B', file('device.py')] : [file('client.mjs')];
    const child = spawn(program, [...words, JSON.stringify(part)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.on('error', () => {});
    child.stdin.on('error', () => {});
    const lines = createInterface({ input: child.stdout });
    this.clients.push({ role, name, path, child, lines, atDevice, isStopped: false, killed: null });
    sum.programs++;
  }

  get alive() {
    return this.clients.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  /** @param {number} until */
  async mistreat(until) {
    while (Date.now() < until) {
      await pause(50 + random.below(400));
      const victim = random.pick(this.alive);
      if (victim === undefined || victim.role === 'hog') continue;
      const fault = random.pick(FAULTS);
      if (victim.isStopped && (fault === 'stop' || fault === 'cut')) continue;
      sum.faults[fault]++;
      switch (fault) {
        case 'kill':
          this.kill(victim);
          break;
        case 'cut':
          victim.child.stdin.write('cut\n');
          this.spawn(victim.role, victim.atDevice);
          break;
        case 'freeze':
          // Soon all programs are in the middle of a call; those at a device, inside a system call.
          this.daemon.child.kill('SIGSTOP');
          await pause(random.below(300));
          this.kill(victim);
          await pause(random.below(50));
          this.daemon.child.kill('SIGCONT');
          break;
        case 'stop':
          victim.isStopped = true;
          victim.child.kill('SIGSTOP');
          setTimeout(() => {
            victim.isStopped = false;
            victim.child.kill('SIGCONT');
          }, 100 + random.below(1500));
      }
    }
    while (this.alive.some(({ isStopped }) => isStopped)) await pause(50);
  }

  /** @param {Client} victim */
  kill(victim) {
    victim.child.kill('SIGKILL');
    victim.killed = now();
    this.spawn(victim.role, victim.atDevice);
  }

  /** Sends a command to programs, and waits until all have answered or ended.
   * @param {Client[]} clients @param {string} what */
  async tell(clients, what) {
    await Promise.all(
      clients.map(({ name, role, child, lines }) => {
        const answered = what === 'close' ? [] : [once(lines, 'line')];
        child.stdin.write(`${what}\n`);
        const late = pause(30_000, undefined, { ref: false }).then(() => {
          if (child.exitCode === null && child.signalCode === null) {
            throw new Error(`${role} ${name} did not answer '${what}' within 30 s`);
          }
        });
        return Promise.race([...answered, ended(child), late]);
      }),
    );
  }

  async finish() {
    await this.tell(this.alive, 'finish');
    const isReplier = (/** @type {Client} */ { role }) => role === 'replier' || role === 'hog';
    await this.tell(this.alive.filter(isReplier), 'close');
    await this.untilUnbound();
    // Listeners are last: the others may send until they finish.
    await this.tell(
      this.alive.filter(({ role }) => role !== 'listener'),
      'close',
    );
    await this.tell(this.alive, 'close');
    await Promise.all(this.clients.map(({ child }) => ended(child)));
    await this.untilNothingIsHeld();
  }

  /** The kernel may close a device file later than its program ends. */
  untilUnbound() {
    return this.until(
      async (ksock) => !(await ksock.readBindings()).some(({ replier }) => replier),
    );
  }

  /** What programs held is free again when all have gone. */
  untilNothingIsHeld() {
    const end = Date.now() + 10_000;
    return this.until(async (ksock) => {
      const { ksocks, memoryHeld } = await ksock.stats();
      const [own] = ksocks;
      if (ksocks.length === 1 && memoryHeld - (own?.held ?? 0) < ROUTES_BYTES) return true;
      if (Date.now() <= end) return false;
      throw new Error(
        `all programs have gone, and ${memoryHeld} bytes are held: ${JSON.stringify(ksocks)}`,
      );
    });
  }

  /** Looks at the bus until it is as wanted; a daemon that was killed has none.
   * @param {(ksock: Ksock) => Promise<boolean>} isAsWanted */
  async until(isAsWanted) {
    if (this.daemon.child.signalCode !== null) return;
    const ksock = await Ksock.open(0, { directory: this.sockets, mode: 'r' });
    while (!(await isAsWanted(ksock))) await pause(5);
    await ksock.close();
  }

  /** @returns {Journal[]} */
  journals() {
    return this.clients
      .filter(({ path }) => existsSync(path))
      .map(({ name, path, killed }) => {
        /** @type {Entry[]} */
        const entries = [];
        for (const line of readFileSync(path, 'utf8').split('\n')) {
          try {
            entries.push(JSON.parse(line));
          } catch {
            // The last line of a killed program may be incomplete.
          }
        }
        if (killed !== null) entries.push({ t: killed, e: 'end', why: 'killed', drained: false });
        return { name, entries };
      });
  }

  /** @param {number} seconds */
  async run(seconds) {
    await this.start();
    // In some rounds the daemon is killed.
    const isDaemonKilled = random.chance(0.2);
    await this.mistreat(Date.now() + seconds * 1000);
    if (isDaemonKilled) {
      await this.daemon.stop('SIGKILL');
      sum.faults.end++;
    }
    await this.finish();
    if (!isDaemonKilled) {
      const { child, isRunning, log } = this.daemon;
      if (!isRunning) throw new Error(`the daemon ended:\n${log}`);
      await this.daemon.stop();
      if (child.exitCode !== 0) throw new Error(`it ended with ${child.exitCode}:\n${log}`);
    }
    const journals = this.journals();
    for (const entry of journals.flatMap(({ entries }) => entries)) {
      if (entry.e === 'crash') throw new Error(`a program crashed: ${entry.error}`);
    }
    const broken = brokenPromises(journals, { everyQueueMayBeFull: this.hasLittleMemory });
    for (const { entries } of journals) {
      for (const entry of entries) {
        if (entry.e === 'read') sum.messages++;
        if (entry.e === 'send?' && entry.kind === 'Q') sum.requests++;
        if (entry.e === 'answer') sum.answers++;
        if (entry.e === 'send-' && entry.code === 'ENOMEM') sum.refused++;
      }
    }
    countCrossed(journals);
    sum.rounds++;
    if (broken.length > 0)
      throw new Error(`${broken.length} broken promises:\n${broken.slice(0, 20).join('\n')}`);
    while (this.isMounted) await pause(20);
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** After the daemon is killed, its helper unmounts the folder. */
  get isMounted() {
    return deviceCount > 0 && readFileSync('/proc/mounts', 'utf8').includes(` ${this.device} `);
  }

  stop() {
    for (const { child } of this.clients) if (child.exitCode === null) child.kill('SIGKILL');
    this.#daemon?.child.kill('SIGKILL');
  }
}

/** Counts the answered Requests between each two kinds of programs.
 * @param {Journal[]} journals */
function countCrossed(journals) {
  /** Requester by tag. @type {Map<string, string>} */
  const askers = new Map();
  /** Tag by id. @type {Map<string, string>} */
  const asked = new Map();
  for (const { name, entries } of journals) {
    for (const entry of entries) {
      if (entry.e === 'send?' && entry.kind === 'Q') askers.set(entry.tag, name);
      if (entry.e === 'read' && entry.kind === 'Q') asked.set(entry.id, entry.tag);
    }
  }
  for (const { name, entries } of journals) {
    const replies = new Set(
      entries.flatMap((entry) => (entry.e === 'send?' && entry.kind === 'R' ? [entry.re] : [])),
    );
    for (const re of replies) {
      const asker = askers.get(asked.get(re) ?? '');
      if (asker === undefined) continue;
      const ends = `${asker.at(-1)}${name.at(-1)}`;
      crossed[ends] = (crossed[ends] ?? 0) + 1;
    }
  }
}

const until = Date.now() + Number(values.minutes) * 60_000;
console.log(
  `chaos: seed ${seed}, ${clientCount} programs (${deviceCount} at device files), ${values.minutes} minutes`,
);
/** @type {Round | undefined} */
let round;
process.once('SIGINT', () => {
  round?.stop();
  process.exit(130);
});
try {
  for (let number = 1; Date.now() < until; number++) {
    round = new Round(number);
    const left = (until - Date.now()) / 1000;
    await round.run(Math.min(Number(values.round), left));
    console.log(`chaos: round ${number}: ${JSON.stringify(sum)}`);
  }
  console.log(`chaos: Replies by requester and Replier: ${JSON.stringify(crossed)}`);
  console.log('chaos: every promise was kept');
} catch (error) {
  round?.stop();
  console.error(
    `chaos: ${error instanceof Error ? error.message : error}\nRun it again with --seed ${seed}; the journals are in ${round?.directory}`,
  );
  process.exitCode = 1;
}
