// Writes tables into docs/performance.md, each between its marks, and from them the one of docs/comparison.md.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../docs/performance.md', import.meta.url);
const comparisonPath = new URL('../docs/comparison.md', import.meta.url);

/** The rows of docs/comparison.md: what each workload is, with the unit of its figure. */
const COMPARED = {
  rtt: 'a round trip, µs',
  rtt64: 'round trips per second, 64 at a time',
  '1to1': 'announcements per second, 64 bytes',
  mixed: 'announcements per second, 1,000 names',
  big: 'announcements of 64 KiB, MB per second',
};

/** Its columns, and the names that the report has for them. */
const SYSTEMS = {
  KBUS: 'KBUS',
  'D-Bus': 'D-Bus',
  Mosquitto: 'Mosquitto',
  NATS: 'NATS',
  ZeroMQ: 'ZeroMQ, direct',
  floor: 'floor',
};

/**
 * The table of docs/comparison.md, of a report: a workload's first figure for each system, or a dash.
 *
 * @param {string} report
 */
export function comparisonOf(report) {
  const rows = Object.entries(COMPARED).map(([workload, what]) => {
    const [, tables = ''] = report.split(`\n### ${workload}: `);
    const [table = ''] = tables.split('\n### ');
    const figures = Object.values(SYSTEMS).map((system) => {
      const cells = table.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
      return cells.find(([, name]) => name === system)?.[2] ?? '–';
    });
    return `| \`${workload}\`: ${what} | ${figures.join(' | ')} |`;
  });
  const names = Object.keys(SYSTEMS);
  const head = [`| | ${names.join(' | ')} |`, `| --- |${names.map(() => ' ---: |').join('')}`];
  return [...head, ...rows].join('\n');
}

/**
 * Replaces the report between the marks of this name; the rest of the page stays.
 *
 * @param {string} page
 * @param {string} name
 * @param {string} text
 */
export function replaceReport(page, name, text) {
  const [mark, endMark] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const begin = page.indexOf(mark);
  const end = page.indexOf(endMark);
  if (begin < 0 || end < begin) {
    throw new Error(
      `the page has no place for the tables: add the lines "${mark}" and "${endMark}"`,
    );
  }
  return `${page.slice(0, begin)}${mark}\n\n${text}\n\n${page.slice(end)}`;
}

/** The same, in the file. @param {string} name @param {string} text */
export function writeReport(name, text) {
  writeFileSync(path, replaceReport(readFileSync(path, 'utf8'), name, text));
  if (name !== 'bench') return;
  const page = readFileSync(comparisonPath, 'utf8');
  writeFileSync(comparisonPath, replaceReport(page, 'speed', comparisonOf(`\n${text}`)));
}
