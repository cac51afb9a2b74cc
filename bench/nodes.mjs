// KBUS under several versions of Node, beside the floor under the same version.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { median } from '../harness/statistics.mjs';
import { format, ratio, spread, table } from './report.mjs';

/**
 * @import { Workload } from './workloads.mjs'
 * @import { Result } from './report.mjs'
 */

/** @typedef {{ path: string, version: string }} Node  one binary */

/** @param {string} path @returns {Node} */
export function nodeAt(path) {
  const { status, stdout, error } = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (status === 0) return { path, version: stdout.trim().replace(/^v/, '') };
  throw new Error(`can't run ${path}: ${error?.message ?? `exit status ${status}`}`);
}

/**
 * The binary of a version such as 26: the running one if it has that version; otherwise npm's package `node`,
 * installed into a temporary directory, where it stays.
 *
 * @param {string} version @returns {Node}
 */
export function nodeOf(version) {
  if (process.versions.node.split('.')[0] === version) return nodeAt(process.execPath);
  const folder = join(tmpdir(), 'kbus-bench-node', version);
  const path = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(path)) {
    console.error(`installing Node ${version} into ${folder}`);
    mkdirSync(folder, { recursive: true });
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    const { status } = spawnSync('npm', [...args, '--prefix', folder, `node@${version}`], {
      stdio: 'inherit',
    });
    if (status !== 0) throw new Error(`npm could not install node@${version}`);
  }
  return nodeAt(path);
}

/**
 * A table for each system: every figure of every workload, under each version. Ratios are relative to the first
 * version in the same round.
 *
 * @param {object} run
 * @param {Node[]} run.nodes
 * @param {Workload[]} run.workloads
 * @param {{ name: string, title: string }[]} run.systems
 * @param {(Result & { node: string })[]} run.results
 * @returns {string}
 */
export function comparison({ nodes, workloads, systems, results }) {
  const [first, ...others] = nodes.map(({ version }) => version);
  const head = [
    '',
    `Node ${first}`,
    'min…max',
    ...others.flatMap((version) => [`Node ${version}`, 'min…max', `÷ Node ${first}`]),
  ];
  return systems
    .map(({ name, title }) => {
      const rows = workloads.flatMap((workload) =>
        workload.figures.map((figure) => {
          /** By round. @param {string | undefined} version */
          const valuesOf = (version) =>
            new Map(
              results.flatMap(({ round, workload: at, system, node, cell }) =>
                at === workload.name && system === name && node === version && cell !== undefined
                  ? [[round, cell.figures[figure.key] ?? Number.NaN]]
                  : [],
              ),
            );
          const base = valuesOf(first);
          const cells = (/** @type {Map<number, number>} */ values) => [
            format(median([...values.values()])),
            values.size === 0 ? '—' : spread([...values.values()]),
          ];
          return [
            `${workload.name}: ${figure.title}, ${figure.unit}`,
            ...cells(base),
            ...others.flatMap((version) => {
              const values = valuesOf(version);
              const ratios = [...values].flatMap(([round, value]) => {
                const below = base.get(round);
                return below === undefined ? [] : [value / below];
              });
              return [...cells(values), ratio(median(ratios))];
            }),
          ];
        }),
      );
      return `### ${title}\n\n${table([head, ...rows])}`;
    })
    .join('\n\n');
}
