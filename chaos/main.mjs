// A daemon and dozens of programs, mistreated: killed, stopped, cut off, starved of descriptors, with full
// queues. Each program keeps a journal, and the journals of each round are checked against the promises.
//
//   npm run chaos -- --minutes 10 --seed 7 --clients 24
//
// The seed decides what is done to whom and what each program does; what the machine makes of it differs.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { brokenPromises } from './promises.mjs';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 2 ** 31)) },
    clients: { type: 'string', default: '16' },
    round: { type: 'string', default: '15' },
  },
});
const seed = Number(values.seed);
const clientCount = Number(values.clients);
const file = (name) => fileURLToPath(new URL(name, import.meta.url));

let state = seed >>> 0;
function random() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
}
const pick = (from) => from[Math.floor(random() * from.length)];
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const now = () => Number(process.hrtime.bigint() / 1000n);
const ended = (child) =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', resolve));

const ROLES = ['sender', 'sender', 'requester', 'requester', 'listener', 'listener', 'replier'];
const sum = { rounds: 0, programs: 0, faults: 0, messages: 0, requests: 0, answers: 0, crashes: 0 };

class Round {
  constructor(number) {
    this.number = number;
    this.directory = mkdtempSync(join(tmpdir(), 'kbus-chaos-'));
    this.sockets = join(this.directory, 's');
    this.clients = [];
    this.nextName = 1;
    this.log = '';
    // In some rounds the daemon has few descriptors, and somebody takes all of them.
    this.isStarved = random() < 0.3;
  }

  async start() {
    const serve = `exec '${process.execPath}' '${file('../dist/cli/main.js')}' serve --directory '${this.sockets}' --max-messages 20`;
    this.daemon = spawn('sh', ['-c', this.isStarved ? `ulimit -n 70; ${serve}` : serve], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.daemon.stdout, this.daemon.stderr]) {
      stream.on('data', (text) => {
        this.log += text;
      });
    }
    while (!existsSync(join(this.sockets, 'kbus0.sock'))) {
      if (this.daemon.exitCode !== null) throw new Error(`the daemon ended:\n${this.log}`);
      await pause(20);
    }
    for (let count = 0; count < clientCount; count++) this.spawn(ROLES[count % ROLES.length]);
    if (this.isStarved) this.spawn('hog');
  }

  spawn(role) {
    const name = `r${this.number}p${this.nextName++}`;
    const path = join(this.directory, `${name}.journal`);
    const what = {
      role,
      name,
      path,
      directory: this.sockets,
      seed: Math.floor(random() * 2 ** 32),
    };
    const child = spawn(process.execPath, [file('client.mjs'), JSON.stringify(what)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.on('error', () => {});
    this.clients.push({ role, name, path, child, isStopped: false, killed: null });
    sum.programs++;
  }

  get alive() {
    return this.clients.filter(({ child }) => child.exitCode === null && child.signalCode === null);
  }

  async mistreat(until) {
    while (Date.now() < until) {
      await pause(50 + random() * 400);
      const victim = pick(this.alive);
      if (victim === undefined || victim.role === 'hog') continue;
      sum.faults++;
      switch (pick(['kill', 'kill', 'stop', 'stop', 'stop', 'cut'])) {
        case 'kill':
          victim.child.kill('SIGKILL');
          victim.killed = now();
          this.spawn(victim.role);
          break;
        case 'cut':
          if (victim.isStopped) break;
          victim.child.send('cut', () => {});
          this.spawn(victim.role);
          break;
        case 'stop':
          if (victim.isStopped) break;
          victim.isStopped = true;
          victim.child.kill('SIGSTOP');
          setTimeout(
            () => {
              victim.isStopped = false;
              victim.child.kill('SIGCONT');
            },
            100 + random() * 1500,
          );
      }
    }
    while (this.alive.some(({ isStopped }) => isStopped)) await pause(50);
  }

  /** Tells programs something, and waits until all have answered or ended. */
  async tell(clients, what, answer) {
    await Promise.all(
      clients.map(({ name, role, child }) => {
        const answered = new Promise((resolve) => {
          child.on('message', (said) => said === answer && resolve());
        });
        child.send(what, () => {});
        const late = pause(30_000).then(() => {
          if (child.exitCode === null && child.signalCode === null) {
            throw new Error(`${role} ${name} has not answered '${what}' within 30 s`);
          }
        });
        return Promise.race([answered, ended(child), late]);
      }),
    );
  }

  async finish() {
    await this.tell(this.alive, 'finish', 'finishing');
    const isReplier = ({ role }) => role === 'replier' || role === 'hog';
    await this.tell(this.alive.filter(isReplier), 'close', 'closed');
    await Promise.all(this.clients.filter(isReplier).map(({ child }) => ended(child)));
    // Listeners are last: until then something may still be sent.
    await this.tell(
      this.alive.filter(({ role }) => role !== 'listener'),
      'close',
      'closed',
    );
    await this.tell(this.alive, 'close', 'closed');
    await Promise.all(this.clients.map(({ child }) => ended(child)));
  }

  journals() {
    return this.clients
      .filter(({ path }) => existsSync(path))
      .map(({ name, path, killed, child }) => {
        const lines = readFileSync(path, 'utf8').split('\n');
        // The last line of a program that was killed may be half there.
        const entries = lines.flatMap((line) => {
          try {
            return [JSON.parse(line)];
          } catch {
            return [];
          }
        });
        if (killed !== null) entries.push({ t: killed, e: 'end', why: 'killed', drained: false });
        if (child.exitCode === 70) sum.crashes++;
        return { name, entries };
      });
  }

  async run(seconds) {
    await this.start();
    // In some rounds it is the daemon that is killed.
    const isDaemonKilled = random() < 0.2;
    await this.mistreat(Date.now() + seconds * 1000);
    if (isDaemonKilled) {
      this.daemon.kill('SIGKILL');
      await ended(this.daemon);
      sum.faults++;
    }
    await this.finish();
    if (!isDaemonKilled) {
      if (this.daemon.exitCode !== null) throw new Error(`the daemon ended:\n${this.log}`);
      this.daemon.kill('SIGTERM');
      await ended(this.daemon);
      if (this.daemon.exitCode !== 0) {
        throw new Error(`the daemon ended with ${this.daemon.exitCode}:\n${this.log}`);
      }
    }
    const journals = this.journals();
    const crash = journals.flatMap(({ entries }) => entries).find(({ e }) => e === 'crash');
    if (crash !== undefined) throw new Error(`a program crashed: ${crash.error}`);
    const broken = brokenPromises(journals);
    for (const { entries } of journals) {
      for (const { e, kind } of entries) {
        if (e === 'read') sum.messages++;
        if (e === 'send?' && kind === 'Q') sum.requests++;
        if (e === 'answer') sum.answers++;
      }
    }
    sum.rounds++;
    if (broken.length > 0)
      throw new Error(`${broken.length} broken:\n${broken.slice(0, 20).join('\n')}`);
    rmSync(this.directory, { recursive: true, force: true });
  }

  stop() {
    for (const { child } of this.clients) if (child.exitCode === null) child.kill('SIGKILL');
    if (this.daemon?.exitCode === null) this.daemon.kill('SIGKILL');
  }
}

const until = Date.now() + Number(values.minutes) * 60_000;
console.log(`chaos: seed ${seed}, ${clientCount} programs, ${values.minutes} minutes`);
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
  console.log('chaos: every promise was kept');
} catch (error) {
  round?.stop();
  console.error(
    `chaos: ${error.message}\nSee it again with --seed ${seed}; the journals are in ${round?.directory}`,
  );
  process.exitCode = 1;
}
