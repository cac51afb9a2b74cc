// node bench/slow-mode.mjs: looks for rounds in which a bus is far slower than in the others. The daemon and
// all programs run through all rounds; every second round has busy neighbours.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { cpuOf, watchOthers } from '../harness/machine.mjs';
import { median } from '../harness/statistics.mjs';
import { number, onSignals, run } from './command.mjs';
import { abandon, withStage } from './conduct.mjs';
import { DISTURBED, format, measuredHere, ratio, table } from './report.mjs';
import { systemOf } from './systems.mjs';
import { workloads } from './workloads.mjs';

/** @import { ChildProcess } from 'node:child_process' */

/** A round is slow below this share of the median of its half. */
const SLOW = 0.5;
/** Rounds that don't count, in which V8 compiles the programs' code. */
const WARMING = 3;

/**
 * @typedef {object} Round
 * @property {number} round     from 1
 * @property {boolean} hogged   whether the neighbours were busy
 * @property {number} rate      the workload's first figure
 * @property {number} lost      messages
 * @property {number} wrong     messages
 * @property {number} foreign   cores that others used, without the neighbours
 */

/**
 * The report of the rounds, as Markdown, and whether a round was slow, lost messages or delivered wrong ones.
 *
 * @param {Round[]} rounds
 * @param {string} unit
 */
export function judge(rounds, unit) {
  const rows = [['', 'rounds', `minimum, ${unit}`, 'median', 'maximum', 'minimum ÷ median']];
  /** @type {string[]} */
  const faults = [];
  for (const hogged of [false, true]) {
    const half = rounds.filter((round) => round.hogged === hogged);
    if (half.length === 0) continue;
    const rates = half.map(({ rate }) => rate);
    const middle = median(rates);
    const least = Math.min(...rates);
    rows.push([
      hogged ? 'with busy neighbours' : 'without',
      String(half.length),
      format(least),
      format(middle),
      format(Math.max(...rates)),
      ratio(least / middle),
    ]);
    for (const { round, rate, foreign, lost, wrong } of half) {
      if (rate < SLOW * middle) {
        const others = foreign > DISTURBED ? `; others used ${foreign.toFixed(2)} cores` : '';
        faults.push(
          `round ${round} was slow: ${format(rate)} ${unit}, ${ratio(rate / middle)} of the median${others}`,
        );
      }
      if (lost > 0) faults.push(`round ${round} lost ${lost} messages`);
      if (wrong > 0) faults.push(`round ${round} delivered ${wrong} wrong messages`);
    }
  }
  const verdict =
    faults.length === 0
      ? `No round was below ${SLOW} of its median; no message was lost.`
      : faults.map((fault) => `- ${fault}`).join('\n');
  return { text: `${table(rows)}\n\n${verdict}`, failed: faults.length > 0 };
}

function parse() {
  const streams = workloads.filter(({ shape }) => shape === 'announce').map(({ name }) => name);
  return /** @type {{ rounds: number, seconds: number, neighbours: number, only: string, system: string, json?: string }} */ (
    new Command('node bench/slow-mode.mjs')
      .description(
        'Repeats one workload with the same daemon and programs, every second round beside busy neighbours, and lists rounds below half the median. Fails if there is one, or if messages are lost.',
      )
      .option('--rounds <n>', 'in all', number(2, true), 200)
      .option('--seconds <s>', 'of each round', number(0.05, false), 1)
      .option('--neighbours <n>', 'processes that each keep a core busy', number(0, true), 2)
      .addOption(new Option('--only <name>', 'the workload').choices(streams).default('mixed4'))
      .option('--system <name>', 'a name of npm run bench -- --help', 'kbus')
      .option('--json <file>', 'write every round, unrounded, to this file')
      .helpOption('--help', 'show this')
      .parse()
      .opts()
  );
}

/** Starts or stops the neighbours; resolves when all have confirmed.
 * @param {ChildProcess[]} neighbours @param {boolean} wanted */
async function hog(neighbours, wanted) {
  await Promise.all(
    neighbours.map((neighbour) => {
      const confirmed = once(neighbour, 'message');
      neighbour.send(wanted);
      return confirmed;
    }),
  );
}

async function main() {
  const options = parse();
  const system = await systemOf(options.system);
  const missing = system.missing();
  if (missing !== undefined) throw new Error(`${system.title} is not installed (${missing})`);
  const workload = workloads.find(({ name }) => name === options.only);
  if (workload === undefined || system.workloads?.includes(workload.name) === false) {
    throw new Error(`${system.title} does not do ${options.only}`);
  }
  const [figure] = workload.figures;

  let stopped = false;
  onSignals(() => {
    stopped = true;
    abandon();
  });

  const file = fileURLToPath(new URL('neighbour.mjs', import.meta.url));
  const neighbours = Array.from({ length: options.neighbours }, () =>
    fork(file, { execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] }),
  );
  const cpu = (/** @type {() => number} */ ours) =>
    neighbours.reduce((sum, { pid }) => sum + cpuOf(pid ?? 0), ours());

  /** @type {Round[]} */
  const rounds = [];
  try {
    // A slow round takes longer than its time of sending.
    const limit = 60 + options.rounds * (10 * options.seconds + 1);
    await withStage(system, workload, { node: process.execPath, limit }, async (stage) => {
      for (let warm = 0; warm < WARMING; warm++) await stage.run(options.seconds);
      for (let round = 1; round <= options.rounds; round++) {
        const hogged = round % 2 === 0;
        await hog(neighbours, hogged);
        const others = watchOthers(() => cpu(stage.ours));
        const { figures, lost, wrong } = await stage.run(options.seconds);
        const foreign = others();
        const rate = figures[figure.key] ?? Number.NaN;
        rounds.push({ round, hogged, rate, lost, wrong, foreign });
        console.error(
          `round ${round} of ${options.rounds}  ${hogged ? 'busy neighbours' : 'no neighbours  '}  ${format(rate)} ${figure.unit}${lost > 0 ? `, lost ${lost}` : ''}${wrong > 0 ? `, ${wrong} wrong` : ''}${foreign > DISTURBED ? `, others used ${foreign.toFixed(2)} cores` : ''}`,
        );
      }
    });
  } catch (error) {
    if (!stopped) throw error;
  } finally {
    for (const neighbour of neighbours) if (neighbour.connected) neighbour.disconnect();
  }

  const { text, failed } = judge(rounds, figure.unit);
  console.log(
    `\n${measuredHere()} ${system.title}, ${workload.name}: rounds of ${options.seconds} s, every second one beside ${options.neighbours} busy neighbours.\n\n${text}`,
  );
  if (options.json !== undefined) {
    writeFileSync(options.json, `${JSON.stringify(rounds, undefined, 1)}\n`);
  }
  if (failed) process.exitCode = 1;
  if (stopped) process.exitCode = 130;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await run('slow-mode', main);
