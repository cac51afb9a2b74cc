// Measures the cost of a message as loads grow: node bench/growth.mjs. See --help.
import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { Child } from '../dist/measure/index.js';
import { cpuNanoseconds, cpuOf, watchOthers } from '../harness/machine.mjs';
import { median } from '../harness/statistics.mjs';
import { among, onSignals, quick, rounds, run, seconds } from './command.mjs';
import { usual } from './load.mjs';
import { writeReport } from './page.mjs';
import { DISTURBED, format, measuredHere, ratio, table } from './report.mjs';

/**
 * @import { Order, Said } from './growth-point.mjs'
 * @import { Load } from './load.mjs'
 */

const MIB = 1024 * 1024;

/**
 * @typedef {object} Curve
 * @property {string} name
 * @property {string} title
 * @property {keyof Load} varies
 * @property {number[]} points
 * @property {Partial<Load>} [also]  for all of its points
 * @property {false} [asks]   a Request costs the same at all points, so it isn't measured
 * @property {true} [bytes]   it varies bytes: also print the cost of a byte
 * @property {true} [rests]   also measure the idle daemon
 * @property {{ must: number, goal: number }} [target]  last ÷ first, of an Announcement in the engine
 */

/** @type {Curve[]} */
const curves = [
  {
    name: 'bindings',
    title: 'bindings on the bus',
    varies: 'bindings',
    points: [10, 100, 1000, 10_000, 100_000, 1_000_000],
    target: { must: 1.2, goal: 1.05 },
  },
  {
    name: 'ksocks',
    title: 'idle Ksocks on the bus',
    varies: 'idle',
    points: [1, 10, 100, 1000, 10_000],
    rests: true,
  },
  {
    name: 'levels',
    title: 'words in the name',
    varies: 'levels',
    points: [2, 5, 10, 30, 100],
  },
  {
    name: 'names',
    title: 'names sent in turn, all matched by one wildcard',
    varies: 'names',
    points: [1, 10, 1000, 100_000, 1_000_000],
    also: { wildcard: true },
    asks: false,
  },
  {
    name: 'size',
    title: 'bytes of data',
    varies: 'size',
    points: [0, 64, 1024, 16_384, 262_144, 4 * MIB, 16 * MIB],
    bytes: true,
  },
  {
    name: 'listeners',
    title: 'listeners of the name (the cost is that of one delivery)',
    varies: 'listeners',
    points: [1, 10, 100, 1000],
    asks: false,
  },
];

const names = curves.map(({ name }) => name);
/** @type {{ rounds: number, seconds: number, quick?: true, only: string[], write: boolean }} */
const given = new Command('node bench/growth.mjs')
  .description(
    'Measures the CPU time of a message as the number of bindings, Ksocks, names and bytes grows: in the engine alone, in one process; and over the Unix socket, with a daemon and one program with all Ksocks. Run nothing else meanwhile: five minutes.',
  )
  .addOption(rounds('measurements of each point', 5))
  .addOption(seconds('seconds of each measurement', 0.3))
  .addOption(quick({ rounds: 3, seconds: 0.05 }))
  .addOption(
    new Option('--only <names>', `these curves: ${names.join(',')}`)
      .argParser(among(names))
      .default(names, 'all'),
  )
  .option('--write', 'put the tables into docs/performance.md, between their marks', false)
  .addHelpText(
    'after',
    `
Examples:
  node bench/growth.mjs --quick --only bindings,ksocks
  node bench/growth.mjs --write`,
  )
  .helpOption('--help', 'show this')
  .parse()
  .opts();

/** Seconds. */
const WARM_UP = 1;

/** The running points. @type {Set<Point>} */
const running = new Set();

/** One point of a curve, over one way to the bus. */
class Point {
  /** The measurements of each round, in ns of CPU. @type {Record<'announce' | 'ask', number[]>} */
  costs = { announce: [], ask: [] };
  daemon = 0;
  /** CPU time of the idle daemon, in ms per second. */
  resting = Number.NaN;

  /** @param {string} where @param {Load} load */
  constructor(where, load) {
    const file = fileURLToPath(new URL('growth-point.mjs', import.meta.url));
    const words = [where, JSON.stringify(load)];
    /** @type {Child<Said, Order>} */
    this.child = new Child(fork(file, words, { execArgv: [] }), words.join(' '));
    running.add(this);
  }

  async ready() {
    this.daemon = (await this.child.next('ready')).ready;
  }

  /** @param {'announce' | 'ask'} measure @param {number} seconds @returns {Promise<number>} */
  async measure(measure, seconds) {
    this.child.tell({ measure, seconds });
    return (await this.child.next('cost')).cost;
  }

  async rest() {
    const before = cpuNanoseconds(this.daemon);
    await pause(1000);
    this.resting = (cpuNanoseconds(this.daemon) - before) / 1e6;
  }

  async end() {
    running.delete(this);
    await this.child.end();
  }
}

/** The limit of open files of a process: Node has raised it to the hard limit. */
function maxFiles() {
  const [, soft] =
    readFileSync('/proc/self/limits', 'latin1').match(/^Max open files +(\d+)/m) ?? [];
  return Number(soft);
}

/** @param {Curve} curve @returns {Promise<string>} */
async function draw(curve) {
  const { title, varies, also, target } = curve;
  /** @type {('announce' | 'ask')[]} */
  const measures = curve.asks === false ? ['announce'] : ['announce', 'ask'];
  /** The points with more connections than this machine allows. @type {number[]} */
  const omitted = [];
  const rows = curve.points.map((n) => {
    /** @type {Load} */
    const load = { ...usual, ...also, [varies]: n };
    const isTooMany = load.idle + load.listeners + 100 > maxFiles();
    if (isTooMany) omitted.push(n);
    return {
      n,
      engine: new Point('engine', load),
      socket: isTooMany ? null : new Point('socket', load),
    };
  });
  const points = rows.flatMap(({ engine, socket }) =>
    socket === null ? [engine] : [engine, socket],
  );
  try {
    for (const point of points) await point.ready();
    // Warm up: code that V8 has not compiled yet takes ten times as long.
    const warmUp = given.quick ? given.seconds : WARM_UP;
    for (const point of points) {
      for (const measure of measures) await point.measure(measure, warmUp);
    }
    const pids = points.flatMap(({ child, daemon }) => [child.process.pid ?? 0, daemon]);
    const ours = [process.pid, ...pids.filter((pid) => pid !== 0)];
    const others = watchOthers(() => ours.reduce((sum, pid) => sum + cpuOf(pid), 0));
    for (let round = 0; round < given.rounds; round++) {
      console.error(`${curve.name}: round ${round + 1} of ${given.rounds}`);
      for (const point of points) {
        for (const measure of measures) {
          point.costs[measure].push(await point.measure(measure, given.seconds));
        }
      }
    }
    const foreign = others();
    if (curve.rests) for (const { socket } of rows) await socket?.rest();

    /** Cost in this unit, and ratio to the first row, medians over the rounds. */
    const cells = (
      /** @type {Point | null} */ point,
      /** @type {Point | null | undefined} */ first,
      /** @type {'announce' | 'ask'} */ measure,
      /** @type {number} */ unit,
    ) => {
      if (!point || !first) return ['—', '—'];
      const costs = point.costs[measure];
      const ratios = costs.map((cost, i) => cost / /** @type {number} */ (first.costs[measure][i]));
      return [format(median(costs) / unit), ratio(median(ratios))];
    };
    const heads = measures.map((measure) => (measure === 'ask' ? 'Request' : 'Announcement'));
    const head = [
      title,
      ...heads.flatMap((what) => [`engine: ${what}, ns`, '÷ first']),
      ...heads.flatMap((what) => [`socket: ${what}, µs`, '÷ first']),
      ...(curve.bytes ? ['socket: Announcement, ns a byte'] : []),
      ...(curve.rests ? ['daemon at rest, ms CPU/s'] : []),
    ];
    const [first] = rows;
    const body = rows.map(({ n, engine, socket }) => [
      n.toLocaleString('en'),
      ...measures.flatMap((measure) => cells(engine, first?.engine, measure, 1)),
      ...measures.flatMap((measure) => cells(socket, first?.socket, measure, 1000)),
      ...(curve.bytes ? [n === 0 ? '—' : format(median(socket?.costs.announce ?? []) / n)] : []),
      ...(curve.rests ? [format(socket?.resting ?? Number.NaN)] : []),
    ]);
    const notes = [];
    if (target) {
      const reached = Number(body.at(-1)?.[2]);
      const met = (/** @type {number} */ limit) => (reached <= limit ? 'met' : 'missed');
      notes.push(
        `- An Announcement in the engine, last ÷ first: ${reached} (must be ≤ ${target.must} ${met(target.must)}; goal ≤ ${target.goal} ${met(target.goal)}).`,
      );
    }
    if (omitted.length > 0) {
      notes.push(
        `- Not over the socket: ${omitted.join(', ')}; a process may have ${maxFiles()} files open here.`,
      );
    }
    if (foreign > DISTURBED) notes.push(`- Disturbed: others used ${foreign.toFixed(1)} cores.`);
    return [`### ${curve.name}`, table([head, ...body]), notes.join('\n')]
      .filter((part) => part !== '')
      .join('\n\n');
  } finally {
    await Promise.all(points.map((point) => point.end()));
  }
}

async function main() {
  onSignals(() => {
    for (const point of running) void point.end();
  });
  const sections = [];
  for (const curve of curves) if (given.only.includes(curve.name)) sections.push(await draw(curve));
  const intro =
    `${measuredHere()} Rounds: ${given.rounds}, each of ` +
    `${given.seconds} s for each point, one point after the other; medians; a ratio is relative to the first row in the same ` +
    'round. A cost is CPU time, of the daemon and the program together. The fixed load of a curve: 10 other bindings, a name of 2 words, 64 bytes of data, one listener. ' +
    'The engine is one process: an Announcement is sent and taken, a Request and its Reply are sent, taken and ' +
    'answered. Over the socket, a daemon and one program with all Ksocks: Announcements are posted as fast as ' +
    'they are received; Requests are sent one at a time.';
  const text = [intro, ...sections].join('\n\n');
  console.log(`\n${text}`);
  if (given.write) writeReport('growth', text);
}

await run('growth', main);
