// Buses joined through NATS, beside NATS alone: node bench/machines.mjs [--rounds 3] [--only core|stream] [--write]. Senders, receivers, Limpets and
// the server are processes of their own, all on this machine. Limpets that are programs of their own join buses of one daemon; those
// that daemons run, as their configuration files say, join two daemons.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Ksock } from '../dist/index.js';
import { cpuOf, cpuOfExited, watchOthers } from '../harness/machine.mjs';
import { freePort, startNats } from '../harness/nats-server.mjs';
import { Daemon, KBUS, withLimpet } from '../harness/serve.mjs';
import { children, MESSAGES, median, part, rateOf, STORED, said, tripOf } from './joined.mjs';
import { writeReport } from './page.mjs';
import { DISTURBED } from './report.mjs';

/** @import { ChildProcess } from 'node:child_process' */
/** @import { Place } from './joined.mjs' */

/** What must hold. */
const MUST = { rate: 0.7, together: 1.5, trip: 1.5 };
const SIZES = [2, 4, 8, 16];
/** So many runs before those that count: the rate grows for the first two million messages. */
const WARMING = 6;
/** A disturbed round is measured again; no more rounds than this times what was asked for. */
const MAX_ROUNDS = 4;
/** For so long, in milliseconds, a program that was ended may take to exit. */
const EXIT_MS = 200;

/** CPU seconds of this benchmark's processes, those that have exited included. */
const ourCpu = () =>
  [...children].reduce(
    (sum, { pid = 0 }) => sum + (cpuOf(pid) || 0),
    cpuOf(process.pid) + cpuOfExited(),
  );

/** @param {string} folder @param {number} bus */
async function untilAsked(folder, bus) {
  const ksock = await Ksock.open(bus, { directory: folder });
  while ((await ksock.findReplier('$.Bench.Ask')) === null) await pause(20);
  await ksock.close();
}

/** What each benchmark of one kind gave, round by round. */
class Figures {
  /** @type {Map<string, number[]>} */
  rounds = new Map();

  /** @param {string} name @param {number} value */
  note(name, value) {
    this.rounds.set(name, [...this.all(name), value]);
  }

  /** @param {string} name */
  all(name) {
    return this.rounds.get(name) ?? [];
  }

  /** @param {string} name */
  of(name) {
    return median(this.all(name));
  }

  /** Adds those of a round. @param {Figures} round */
  add(round) {
    for (const [name, values] of round.rounds) for (const value of values) this.note(name, value);
  }

  /** The median ratio of figures of one round. @param {string} name @param {...string} others  their sum */
  ratio(name, ...others) {
    const sums = this.all(name).map((_, at) =>
      others.reduce((sum, other) => sum + (this.all(other)[at] ?? 0), 0),
    );
    return median(this.all(name).map((value, at) => value / (sums[at] ?? 1)));
  }
}

const rate = (/** @type {number} */ value) => `${Math.round(value).toLocaleString('en')}/s`;
const trip = (/** @type {number} */ value) => `${value.toFixed(0)} µs`;

/** A daemon and a NATS server, both with whatever they keep in a folder of their own. */
class Machines {
  folder = mkdtempSync(join(tmpdir(), 'kbus-machines-'));
  nats = '';
  /** @type {ChildProcess[]} */
  limpets = [];
  /** @type {ChildProcess[]} */
  own = [];
  /** @type {ChildProcess[]} */
  answering = [];
  missed = 0;
  /** The folders of two daemons that run a Limpet each. @type {string[]} */
  inside = [];

  async start() {
    const daemon = new Daemon(this.folder, ['--buses', '17']);
    await daemon.serving;
    const port = await freePort();
    const server = await startNats(port, '-js', '-sd', join(this.folder, 'jetstream'));
    this.own.push(daemon.child, server);
    for (const child of this.own) children.add(child);
    this.nats = `nats://127.0.0.1:${port}`;
  }

  /** Starts two daemons that run the Limpets which join them, and a Replier at the second. */
  async joinInside() {
    for (const id of [101, 102]) {
      const folder = join(this.folder, `inside-${id}`);
      const link = `{ nats = "${this.nats}", federation = "inside" }`;
      const daemon = new Daemon(folder, withLimpet(folder, id, link));
      await daemon.serving;
      this.own.push(daemon.child);
      children.add(daemon.child);
      this.inside.push(folder);
    }
    const [near = '', far = ''] = this.inside;
    await this.answer('reply', far);
    await untilAsked(near, 0);
  }

  /** Starts a program that answers. @param {string} name @param {string} where @param {number} [bus] */
  async answer(name, where, bus) {
    const child = part(name, where, bus);
    this.answering.push(child);
    await said(child);
  }

  /** Until so many buses are joined. @param {number} size @param {'core' | 'stream'} mode */
  async grow(size, mode) {
    const env = { ...process.env, XDG_STATE_HOME: this.folder };
    const federation = ['--nats', this.nats, '--federation', 'plant', '--nats-mode', mode];
    for (let bus = this.limpets.length; bus < size; bus++) {
      const args = ['--id', String(bus + 1), '--bus', String(bus), '--directory', this.folder];
      const words = [KBUS, 'limpet', ...federation, ...args];
      const child = spawn(process.execPath, words, { stdio: 'ignore', env });
      children.add(child);
      this.limpets.push(child);
    }
    for (let bus = 0; bus < size; bus++) await untilAsked(this.folder, bus);
  }

  /** Announcements from bus 0 to bus 1, each second. @param {string} [announce] @param {number} [count] */
  rate(announce = 'announce', count = MESSAGES) {
    return this.measure([this.folder, 0], [this.folder, 1], announce, count);
  }

  /** The same between the daemons that run their Limpets. @param {string} [announce] */
  rateInside(announce = 'announce') {
    const [near = '', far = ''] = this.inside;
    return this.measure([near], [far], announce, MESSAGES);
  }

  /** @param {Place} from @param {Place} to @param {string} announce @param {number} count */
  async measure(from, to, announce, count) {
    const result = await rateOf(from, to, ['hear', announce], count);
    this.missed += result.missed;
    return result.rate;
  }

  async end() {
    for (const child of [...this.answering, ...this.limpets, ...this.own]) {
      const exited = once(child, 'exit');
      child.kill();
      await exited;
      children.delete(child);
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** @param {number} rounds */
async function core(rounds) {
  const machines = new Machines();
  await machines.start();
  const { nats, folder } = machines;
  const figures = new Figures();
  /** How many rounds were disturbed: of those that count, and of others. */
  const disturbed = { counted: 0, repeated: 0 };
  // Bus 16 is alone; each of the others knows the Replier of bus 1 when it is joined with that.
  await machines.answer('natsReply', nats);
  for (const bus of [1, 16]) await machines.answer('reply', folder, bus);
  /** @type {string[]} */
  const scale = [];
  for (const size of SIZES) {
    await machines.grow(size, 'core');
    if (size === 2) {
      // The daemon, the server and the Limpets run for months: they have warmed up.
      await machines.joinInside();
      for (let run = 0; run < WARMING; run++) {
        await machines.rate();
        await machines.rateInside();
      }
      const [near = ''] = machines.inside;
      for (const place of [folder, near]) await tripOf(place, 0);
      for (let left = rounds, attempts = 1; left > 0; attempts++) {
        const round = new Figures();
        const others = watchOthers(ourCpu);
        round.note('bare', (await rateOf([nats], [nats], ['natsHear', 'natsAnnounce'])).rate);
        round.note('joined', await machines.rate());
        round.note('together', await machines.rate('announceAll'));
        round.note('bareTrip', await tripOf(nats, 0, 'natsAsk'));
        round.note('localTrip', await tripOf(folder, 16));
        round.note('joinedTrip', await tripOf(folder, 0));
        round.note('inside', await machines.rateInside());
        round.note('insideTogether', await machines.rateInside('announceAll'));
        round.note('insideTrip', await tripOf(near, 0));
        await pause(EXIT_MS);
        const foreign = others();
        const isDisturbed = foreign > DISTURBED;
        if (isDisturbed) console.error(`disturbed: others used ${foreign.toFixed(2)} cores`);
        if (isDisturbed && attempts < rounds * MAX_ROUNDS) {
          disturbed.repeated++;
          continue;
        }
        figures.add(round);
        left--;
        if (isDisturbed) disturbed.counted++;
      }
    }
    const sender = /** @type {number} */ (machines.limpets[0]?.pid);
    const before = cpuOf(sender);
    const each = await machines.rate();
    const cpu = ((cpuOf(sender) - before) / MESSAGES) * 1e6;
    const far = await tripOf(folder, 0);
    scale.push(
      `| ${size} | ${Math.round(each).toLocaleString('en')} | ${Math.round(each * (size - 1)).toLocaleString('en')} | ${far.toFixed(0)} | ${cpu.toFixed(1)} |`,
    );
    console.error(scale.at(-1));
  }
  await machines.end();
  return { figures, scale, disturbed, missed: machines.missed };
}

/** The same through a stream, beside JetStream alone. @param {number} rounds */
async function stream(rounds) {
  const machines = new Machines();
  await machines.start();
  const { nats, folder } = machines;
  const figures = new Figures();
  await machines.answer('reply', folder, 1);
  await machines.grow(2, 'stream');
  await machines.answer('jsEcho', nats);
  await machines.answer('echo', folder, 1);
  await machines.rate('announce', STORED);
  for (let round = 1; round <= rounds; round++) {
    figures.note('bare', (await rateOf([nats], [nats], ['jsHear', 'jsAnnounce'], STORED)).rate);
    figures.note('joined', await machines.rate('announce', STORED));
    figures.note('bareTrip', await tripOf(nats, 0, 'jsPing'));
    figures.note('joinedTrip', await tripOf(folder, 0, 'ping'));
  }
  await machines.end();
  return { figures, missed: machines.missed };
}

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      write: { type: 'boolean', default: false },
      // One part of the benchmark.
      only: { type: 'string' },
    },
  });
  const rounds = Number(values.rounds);
  /** @type {string[]} */
  const text = [`Rounds: ${rounds}; medians, and ratios of one round.`];
  if (values.only !== 'stream') {
    const { figures, scale, disturbed, missed } = await core(rounds);
    const ratios = {
      joined: figures.ratio('joined', 'bare'),
      together: figures.ratio('together', 'bare'),
      trip: figures.ratio('joinedTrip', 'bareTrip', 'localTrip'),
      inside: figures.ratio('inside', 'bare'),
      insideTogether: figures.ratio('insideTogether', 'bare'),
      insideTrip: figures.ratio('insideTrip', 'bareTrip', 'localTrip'),
    };
    const bare = rate(figures.of('bare'));
    text.push(
      `Other programs used more than ${DISTURBED} of a core in ${disturbed.counted} of the rounds of mode \`core\`, and in ${disturbed.repeated} that were measured again.`,
      '',
      '| mode `core` | NATS alone | Limpets as programs (`kbus limpet`) | ratio | Limpets in the daemons (`[[limpet]]`) | ratio | must |',
      '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
      `| announcements 1 → 1, mixed; ${missed} missed | ${bare} | ${rate(figures.of('joined'))} | ${ratios.joined.toFixed(2)} | ${rate(figures.of('inside'))} | ${ratios.inside.toFixed(2)} | ≥ ${MUST.rate} |`,
      `| the same, all handed over in one call (\`sendAll\`), beside \`publish\` for each | ${bare} | ${rate(figures.of('together'))} | ${ratios.together.toFixed(2)} | ${rate(figures.of('insideTogether'))} | ${ratios.insideTogether.toFixed(2)} | ≥ ${MUST.together} |`,
      `| round trip of a Request; the ratio is to the sum of NATS alone and of a bus alone (${trip(figures.of('localTrip'))}) | ${trip(figures.of('bareTrip'))} | ${trip(figures.of('joinedTrip'))} | ${ratios.trip.toFixed(2)} | ${trip(figures.of('insideTrip'))} | ${ratios.insideTrip.toFixed(2)} | ≤ ${MUST.trip} |`,
      '',
      '| buses | announcements of one bus, /s | deliveries to other buses, /s | round trip, µs | CPU of the sending Limpet, µs each |',
      '| ---: | ---: | ---: | ---: | ---: |',
      ...scale,
    );
    const isMissed =
      Math.max(ratios.joined, ratios.inside) < MUST.rate ||
      Math.max(ratios.together, ratios.insideTogether) < MUST.together ||
      Math.min(ratios.trip, ratios.insideTrip) > MUST.trip;
    if (isMissed || missed > 0) process.exitCode = 1;
  }
  if (values.only !== 'core') {
    const { figures, missed } = await stream(rounds);
    text.push(
      '',
      '| mode `stream` | JetStream alone | two buses through JetStream | ratio |',
      '| --- | ---: | ---: | ---: |',
      `| announcements 1 → 1, mixed; ${missed} missed | ${rate(figures.of('bare'))} | ${rate(figures.of('joined'))} | ${figures.ratio('joined', 'bare').toFixed(1)} |`,
      `| an announcement, and one that answers it | ${trip(figures.of('bareTrip'))} | ${trip(figures.of('joinedTrip'))} | ${figures.ratio('joinedTrip', 'bareTrip').toFixed(2)} |`,
    );
    if (missed > 0) process.exitCode = 1;
  }
  console.log(text.join('\n'));
  if (values.write) writeReport('machines', text.join('\n'));
}

try {
  await main();
} finally {
  for (const child of children) child.kill();
}
process.exit();
