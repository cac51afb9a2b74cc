// Makes tables of rounds.
import { inFigures } from '../dist/measure/index.js';
import { machine as thisMachine } from '../harness/machine.mjs';
import { median } from '../harness/statistics.mjs';

/**
 * @import { Cell } from './conduct.mjs'
 * @import { Machine } from '../harness/machine.mjs'
 * @import { System } from './system.ts'
 * @import { Figure, Target, Workload } from './workloads.mjs'
 */

/**
 * @typedef {object} Result  the result of a cell
 * @property {number} round  from 1
 * @property {string} workload
 * @property {string} system
 * @property {Cell} [cell]
 * @property {string} [error]  why there is no cell
 */

/** @param {Machine} machine @param {string} date */
export const measuredOn = ({ cpu, cores, memory, kernel, node }, date) =>
  `Measured on ${date}: ${cpu}, ${cores} cores, ${memory}, ${kernel}, Node ${node}.`;

export const today = () => new Date().toISOString().slice(0, 10);

/** The same for this machine, today, with the running Node. */
export const measuredHere = () => measuredOn(thisMachine(process.versions.node), today());

/** A round counts as disturbed if other programs use more cores than this. */
export const DISTURBED = 0.1;

export const format = (/** @type {number} */ value) =>
  Number.isNaN(value) ? '—' : inFigures(value);
export const ratio = (/** @type {number} */ value) =>
  Number.isNaN(value) ? '—' : value < 0.1 ? String(Number(value.toPrecision(2))) : value.toFixed(2);

/** @param {number[]} values */
export const spread = (values) => `${format(Math.min(...values))}…${format(Math.max(...values))}`;

/** A Markdown table with padded columns. @param {string[][]} rows */
export function table(rows) {
  const [head = []] = rows;
  const widths = head.map((_, i) => Math.max(3, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (/** @type {string[]} */ row) =>
    `| ${row.map((text, i) => (i === 0 ? text.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return [line(head), rule, ...rows.slice(1).map(line)].join('\n');
}

/** @typedef {{ workload: string, system: string }} Row  one line of the tables */

/**
 * The ratios of a row to another row, round by round.
 *
 * @param {Result[]} results
 * @param {Row} row
 * @param {Row} other
 * @param {string} key  of the figure
 */
export function ratios(results, row, other, key) {
  const cells = (/** @type {Row} */ { workload, system }) =>
    results.filter((result) => result.workload === workload && result.system === system);
  const below = cells(other);
  return cells(row).flatMap(({ round, cell }) => {
    const base = below.find((result) => result.round === round)?.cell;
    return cell === undefined || base === undefined ? [] : [value(cell, key) / value(base, key)];
  });
}

/** @param {Cell} cell @param {string} key */
const value = (cell, key) => cell.figures[key] ?? Number.NaN;

/** @param {Figure} figure @param {Target} target @param {string} other  what it is compared to
 * @param {number} reached */
function judged(figure, target, other, reached) {
  const better = target.better ?? figure.better;
  const sign = better === 'lower' ? '≤' : '≥';
  const met = (/** @type {number} */ limit) =>
    `${sign} ${limit} ${(better === 'lower' ? reached <= limit : reached >= limit) ? 'met' : 'missed'}`;
  return `${figure.title} ${ratio(reached)} × ${other} (must be ${met(target.must)}; goal ${met(target.goal)})`;
}

/**
 * The row that a target compares with, and its title.
 *
 * @param {Target} target @param {Row} row  to judge @param {System[]} systems
 * @returns {Row & { title: string }}
 */
function comparedTo(target, row, systems) {
  const system =
    target.system !== undefined
      ? systems.find(({ name }) => name === target.system)
      : target.workload === undefined
        ? systems.find(({ kind }) => kind === 'floor')
        : undefined;
  const whose = system?.kind === 'floor' ? 'the floor' : (system?.title ?? target.system);
  return {
    workload: target.workload ?? row.workload,
    system: system?.name ?? target.system ?? (target.workload === undefined ? '' : row.system),
    title: [whose, target.workload].filter((word) => word !== undefined).join(', '),
  };
}

/**
 * @param {Workload} workload
 * @param {System[]} systems
 * @param {Result[]} all
 * @returns {string}
 */
function section(workload, systems, all) {
  const results = all.filter((result) => result.workload === workload.name);
  const floor = systems.find(({ kind }) => kind === 'floor')?.name ?? '';
  const row = (/** @type {string} */ system) => ({ workload: workload.name, system });
  const announces = workload.shape === 'announce';
  const head = [
    '',
    ...workload.figures.flatMap(({ title, unit }) => [`${title}, ${unit}`, 'min…max', '÷ floor']),
    ...(announces ? ['lost'] : []),
    'daemon CPU, s',
    'µs each',
    'daemon peak, MB',
    'disturbed',
  ];
  /** @type {string[]} */
  const below = [];
  const doing = systems.filter(({ workloads }) => workloads?.includes(workload.name) !== false);
  const rows = doing.map((system) => {
    const mine = results.filter((result) => result.system === system.name);
    const cells = mine.flatMap(({ cell }) => cell ?? []);
    const errors = mine.flatMap(({ error }) => error ?? []);
    if (errors.length > 0) {
      below.push(
        `${system.title} failed in ${errors.length} of ${mine.length} rounds: ${errors[0]}`,
      );
    }
    const wrong = cells.reduce((sum, cell) => sum + cell.wrong, 0);
    if (wrong > 0) {
      below.push(
        `${system.title} delivered ${wrong} wrong messages: altered, twice or out of order.`,
      );
    }
    if (cells.length === 0) {
      const installed = system.missing() === undefined;
      const why = errors.length > 0 ? 'failed' : installed ? 'not measured' : 'not installed';
      return [system.title, why, ...head.slice(2).map(() => '')];
    }
    const of = (/** @type {(cell: Cell) => number} */ pick) => median(cells.map(pick));
    const lost = cells.reduce((sum, cell) => sum + cell.lost, 0);
    const sent = cells.reduce((sum, cell) => sum + cell.sent, 0);
    const disturbed = mine.filter(({ cell }) => cell !== undefined && cell.foreign > DISTURBED);
    const judgement = workload.figures.flatMap((figure) => {
      const targets = (system.targets ?? { [figure.key]: figure.targets })[figure.key] ?? [];
      return targets.flatMap((target) => {
        const { title, ...other } = comparedTo(target, row(system.name), systems);
        const reached = median(ratios(all, row(system.name), other, figure.key));
        return Number.isNaN(reached) ? [] : judged(figure, target, title, reached);
      });
    });
    if (system.kind === 'subject' && judgement.length > 0) {
      below.push(`${system.title}: ${judgement.join('; ')}.`);
    }
    if (system.kind === 'alone' && system.targets === undefined && workload.alone !== undefined) {
      const [{ key, title, unit }] = workload.figures;
      const reached = of((cell) => value(cell, key));
      const met = reached >= workload.alone ? 'met' : 'missed';
      below.push(
        `${system.title}: ${title} ${format(reached)} ${unit} (must be ≥ ${format(workload.alone)} ${met}).`,
      );
    }
    return [
      system.title,
      ...workload.figures.flatMap(({ key }) => [
        format(of((cell) => value(cell, key))),
        spread(cells.map((cell) => value(cell, key))),
        ratio(median(ratios(all, row(system.name), row(floor), key))),
      ]),
      ...(announces ? [lost === 0 ? '0' : `${format((100 * lost) / sent)} %`] : []),
      format(of(({ daemonCpu }) => daemonCpu)),
      format(of(({ daemonCpu, count }) => (daemonCpu / count) * 1e6)),
      format(of(({ daemonPeak }) => daemonPeak / 1e6)),
      disturbed.map(({ round }) => round).join(', '),
    ];
  });
  return [
    `### ${workload.name}: ${workload.title}`,
    `Floor: ${workload.floor}.`,
    table([head, ...rows]),
    ...below.map((line) => `- ${line}`),
  ].join('\n\n');
}

/** How a system does its workloads; equal ways are joined.
 * @param {System} system @param {Workload[]} workloads */
function ways(system, workloads) {
  /** @type {Map<string, string[]>} */
  const ways = new Map();
  for (const { name } of workloads) {
    if (system.workloads?.includes(name) === false) continue;
    const how = system.how(name);
    ways.set(how, [...(ways.get(how) ?? []), name]);
  }
  return [...ways].map(([how, names]) => `${names.join(', ')}: ${how}`).join('. ');
}

/**
 * The whole report, as Markdown.
 *
 * @param {object} run
 * @param {Machine} run.machine
 * @param {string} run.date
 * @param {number} run.rounds
 * @param {number} run.seconds
 * @param {Workload[]} run.workloads
 * @param {System[]} run.systems
 * @param {Result[]} run.results
 */
export function report({ machine, date, rounds, seconds, workloads, systems, results }) {
  const measured = systems.map((system) => {
    const missing = system.missing();
    if (missing !== undefined) {
      return `- ${system.title}: not installed (${missing}); \`npm run bench -- --install-peers\``;
    }
    const versions = Object.entries(system.versions()).map((pair) => pair.join(' '));
    return `- ${system.title} (${[...versions, system.over].join(', ')}). ${ways(system, workloads)}.`;
  });
  return [
    `${measuredOn(machine, date)} ` +
      `Rounds: ${rounds}, each of ${seconds} s for each system and workload. Medians over the rounds; a ratio is ` +
      'relative to the floor of the same round. "µs each" is the daemon\'s CPU time for one request, or one delivery. ' +
      `"Disturbed" names the rounds in which other programs used more than ${DISTURBED} of a core.`,
    measured.join('\n'),
    ...workloads.map((workload) => section(workload, systems, results)),
  ].join('\n\n');
}
