import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Cell } from '../../bench/conduct.mjs';
import { comparison } from '../../bench/nodes.mjs';
import { comparisonOf, replaceReport } from '../../bench/page.mjs';
import { type Result, ratios, report } from '../../bench/report.mjs';
import type { System } from '../../bench/system.ts';
import { type Target, workloadOf } from '../../bench/workloads.mjs';

const unused = () => Promise.reject(new Error('nothing is measured here'));

const system = (name: string, kind: System['kind'], missing?: string): System => ({
  name,
  title: name,
  kind,
  over: 'Unix socket',
  how: () => 'somehow',
  missing: () => missing,
  versions: () => ({ [name]: '1.0' }),
  answer: unused,
  ask: unused,
  listen: unused,
  announce: unused,
});

const cell = (rate: number, more?: Partial<Cell>): Cell => ({
  figures: { rate },
  lost: 0,
  sent: 1000,
  wrong: 0,
  count: 1000,
  daemonCpu: 0.5,
  daemonPeak: 64e6,
  foreign: 0,
  ...more,
});

const result = (round: number, name: string, rate: number, more?: Partial<Cell>): Result => ({
  round,
  workload: '1to1',
  system: name,
  cell: cell(rate, more),
});

const run = (systems: System[], results: Result[]) =>
  report({
    machine: { cpu: 'a cpu', cores: 2, memory: '1 GiB', kernel: 'Linux', node: '20.0.0' },
    date: '2000-01-01',
    rounds: 3,
    seconds: 1,
    workloads: [workloadOf('1to1')],
    systems,
    results,
  });

const rowOf = (text: string, name: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(`| ${name}`))
    ?.split('|')
    .map((field) => field.trim());

test('a ratio is relative to the floor of the same round, not to the median of the floors', () => {
  const results = [
    result(1, 'floor', 100),
    result(1, 'kbus', 50),
    result(2, 'floor', 10),
    result(2, 'kbus', 8),
    result(3, 'kbus', 8), // its floor failed
  ];
  const of = (system: string) => ({ workload: '1to1', system });
  expect(ratios(results, of('kbus'), of('floor'), 'rate')).toEqual([0.5, 0.8]);
});

test('KBUS is judged by its targets', () => {
  const text = run(
    [system('floor', 'floor'), system('kbus', 'subject')],
    [result(1, 'floor', 100), result(1, 'kbus', 60)],
  );
  expect(text).toContain('- kbus: rate 0.60 × the floor (must be ≥ 0.5 met; goal ≥ 0.75 missed).');
});

test('KBUS is judged by another system, and by another workload, in the same round', () => {
  const targets: Record<string, Target[]> = {
    rate: [
      { system: 'peer', must: 3, goal: 6 },
      { workload: 'rtt64', must: 1.5, goal: 1.15, better: 'lower' },
      { workload: 'rtt64', system: 'floor', must: 0.25, goal: 0.45 },
    ],
  };
  const other = (round: number, name: string, rate: number) => ({
    ...result(round, name, rate),
    workload: 'rtt64',
  });
  const text = run(
    [system('floor', 'floor'), { ...system('kbus', 'subject'), targets }, system('peer', 'peer')],
    [
      ...[result(1, 'kbus', 400), result(1, 'peer', 100), other(1, 'kbus', 320)],
      ...[result(2, 'kbus', 80), result(2, 'peer', 10), other(2, 'kbus', 40)],
      ...[other(1, 'floor', 1000), other(2, 'floor', 400)],
    ],
  );
  expect(text).toContain('rate 6.00 × peer (must be ≥ 3 met; goal ≥ 6 met)');
  expect(text).toContain('rate 1.63 × rtt64 (must be ≤ 1.5 missed; goal ≤ 1.15 missed)');
  expect(text).toContain('rate 0.30 × the floor, rtt64 (must be ≥ 0.25 met; goal ≥ 0.45 missed)');
});

test('KBUS is not judged by a target without a measurement', () => {
  const targets: Record<string, Target[]> = {
    rate: [
      { system: 'peer', must: 3, goal: 6 },
      { workload: 'rtt64', must: 1, goal: 2 },
    ],
  };
  const subject = { ...system('kbus', 'subject'), targets };
  const text = run([system('floor', 'floor'), subject], [result(1, 'kbus', 400)]);
  expect(text).not.toContain('- kbus: rate');
});

test('KBUS is judged by its own targets if it has any', () => {
  const text = run(
    [
      system('floor', 'floor'),
      { ...system('fast', 'subject'), targets: { rate: [{ must: 0.7, goal: 0.9 }] } },
      { ...system('free', 'subject'), targets: {} },
    ],
    [result(1, 'floor', 100), result(1, 'fast', 80), result(1, 'free', 80)],
  );
  expect(text).toContain('- fast: rate 0.80 × the floor (must be ≥ 0.7 met; goal ≥ 0.9 missed).');
  expect(text).not.toContain('- free: rate');
});

test('KBUS in one process is judged by its own rate, and only if it has one', () => {
  const alone: System = { ...system('alone', 'alone'), workloads: ['1to1'] };
  const text = run([system('floor', 'floor'), alone], [result(1, 'alone', 4_000_000)]);
  expect(text).toContain('- alone: rate 4,000,000 /s (must be ≥ 5,000,000 missed).');
  const elsewhere: System = { ...alone, workloads: ['rtt'] };
  expect(rowOf(run([system('floor', 'floor'), elsewhere], []), 'alone')).toBe(undefined);
});

test('losses, wrong messages, disturbed rounds and failures are listed', () => {
  const text = run(
    [system('floor', 'floor'), system('peer', 'peer')],
    [
      result(1, 'peer', 10, { lost: 100 }),
      result(2, 'peer', 20, { foreign: 0.5, wrong: 3 }),
      { round: 3, workload: '1to1', system: 'peer', error: 'it broke' },
    ],
  );
  const row = rowOf(text, 'peer');
  expect(row).toContain('5 %');
  expect(row?.at(-2)).toBe('2');
  expect(text).toContain('peer delivered 3 wrong messages');
  expect(text).toContain('peer failed in 1 of 3 rounds: it broke');
});

test('a missing system is listed as missing', () => {
  const text = run([system('peer', 'peer', 'program peerd')], []);
  expect(text).toContain('- peer: not installed (program peerd)');
  expect(rowOf(text, 'peer')).toContain('not installed');
});

test('versions of Node are compared within a round, system by system', () => {
  const of = (round: number, node: string, rate: number) => ({
    ...result(round, 'kbus', rate),
    node,
  });
  const text = comparison({
    nodes: [
      { path: '', version: '20.1.0' },
      { path: '', version: '26.2.0' },
    ],
    workloads: [workloadOf('1to1')],
    systems: [system('kbus', 'subject')],
    results: [of(1, '20.1.0', 100), of(1, '26.2.0', 150), of(2, '20.1.0', 10), of(2, '26.2.0', 17)],
  });
  expect(text).toContain('### kbus');
  expect(rowOf(text, '1to1')?.slice(1, -1)).toEqual([
    '1to1: rate, /s',
    '55',
    '10…100',
    '83.5',
    '17…150',
    '1.60',
  ]);
});

const page = `# A page

<!-- bench: begin -->
<!-- bench: end -->

<!-- growth: begin -->
<!-- growth: end -->

Written by hand.
`;

test('a new report replaces the one of the same name, and nothing else of the page', () => {
  const other = replaceReport(page, 'growth', 'other tables');
  const old = replaceReport(other, 'bench', 'old tables');
  const next = replaceReport(old, 'bench', 'new tables');
  expect(next).toContain('new tables');
  expect(next).not.toContain('old tables');
  expect(next).toContain('other tables');
  expect(next).toContain('Written by hand.');
  expect(replaceReport(next, 'bench', 'new tables')).toBe(next);
});

test('docs/comparison.md has the figures of docs/performance.md', () => {
  const [performance, comparison] = ['performance', 'comparison'].map((name) =>
    readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8'),
  ) as [string, string];
  const [, report = ''] = performance.split('<!-- bench: begin -->');
  const [, inPlace = ''] = comparison.split('<!-- speed: begin -->');
  // Both are written by `npm run bench -- --write`.
  expect(inPlace.split('<!-- speed: end -->')[0]?.trim()).toBe(comparisonOf(report));
  expect(comparisonOf(report)).toMatch(/^\| `mixed`.* \| [\d,]+ \| – \| [\d,]+ \| [\d,]+ \| – \|/m);
});

test('a page without a place for the report is refused', () => {
  expect(() => replaceReport(page, 'footprint', 'tables')).toThrow(
    'the page has no place for the tables: add the lines "<!-- footprint: begin -->"',
  );
});
