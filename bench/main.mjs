// npm run bench: measures KBUS, the floors and the other buses, round by round. See --help.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { abandon, conduct } from './conduct.mjs';
import { machine } from './machine.mjs';
import { parseOptions } from './options.mjs';
import { installPeers } from './peers.mjs';
import { DISTURBED, emptyPage, replaceReport, report } from './report.mjs';
import { workloads } from './workloads.mjs';

/**
 * @import { Result } from './report.mjs'
 * @import { System } from './system.d.ts'
 */

const page = new URL('../docs/performance.md', import.meta.url);

/** Every file under systems/, the floor first, KBUS next. @returns {Promise<System[]>} */
async function allSystems() {
  const folder = new URL('systems/', import.meta.url);
  const names = readdirSync(folder).filter((name) => name.endsWith('.mjs'));
  const modules = await Promise.all(names.sort().map((name) => import(new URL(name, folder).href)));
  const order = ['floor', 'subject', 'alone', 'peer'];
  return modules
    .map((module) => /** @type {System} */ (module.default))
    .sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind));
}

/** @param {string} node */
function versionOf(node) {
  const { status, stdout, error } = spawnSync(node, ['--version'], { encoding: 'utf8' });
  if (status === 0) return stdout.trim().replace(/^v/, '');
  throw new Error(`can't run ${node}: ${error?.message ?? `exit status ${status}`}; see --node`);
}

async function main() {
  const known = await allSystems();
  const options = parseOptions(process.argv.slice(2), workloads, known);
  if (options.installPeers) return installPeers();

  const node = versionOf(options.node);
  const chosen = workloads.filter(({ name }) => options.only.includes(name));
  const systems = known.filter(({ name }) => options.systems.includes(name));
  const present = systems.filter((system) => {
    const missing = system.missing();
    if (missing !== undefined) console.error(`${system.title}: not installed (${missing})`);
    return missing === undefined;
  });

  let stopped = false;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.once(signal, () => {
      stopped = true;
      abandon();
    });
  }

  /** @type {Result[]} */
  const results = [];
  for (let round = 1; round <= options.rounds && !stopped; round++) {
    for (const workload of chosen) {
      for (const system of present) {
        if (stopped) break;
        if (system.workloads?.includes(workload.name) === false) continue;
        const line = `round ${round} of ${options.rounds}  ${workload.name.padEnd(6)} ${system.title.padEnd(25)}`;
        const result = { round, workload: workload.name, system: system.name };
        try {
          const cell = await conduct(system, workload, options);
          results.push({ ...result, cell });
          const figures = workload.figures.map(
            ({ key, title, unit }) =>
              `${title} ${Number(cell.figures[key]?.toPrecision(3)).toLocaleString('en')} ${unit}`,
          );
          const notes = [
            cell.lost > 0 ? `lost ${cell.lost} of ${cell.sent}` : '',
            cell.wrong > 0 ? `${cell.wrong} wrong` : '',
            cell.foreign > DISTURBED
              ? `disturbed: others used ${cell.foreign.toFixed(2)} cores`
              : '',
          ];
          console.error(line, [...figures, ...notes].filter((text) => text !== '').join(', '));
        } catch (error) {
          if (stopped) break;
          const why = error instanceof Error ? error.message : String(error);
          results.push({ ...result, error: why });
          console.error(line, 'failed:', why);
        }
      }
    }
  }

  const run = {
    machine: machine(node),
    date: new Date().toISOString().slice(0, 10),
    rounds: options.rounds,
    seconds: options.seconds,
    workloads: chosen,
    systems,
    results,
  };
  const text = report(run);
  console.log(`\n${text}`);
  if (stopped) {
    console.error('\nStopped before the end; nothing was written.');
    process.exitCode = 130;
    return;
  }
  if (options.json !== undefined) {
    const { machine, date, results } = run;
    writeFileSync(options.json, `${JSON.stringify({ machine, date, results }, undefined, 1)}\n`);
  }
  if (options.write) {
    const before = existsSync(page) ? readFileSync(page, 'utf8') : emptyPage;
    writeFileSync(page, replaceReport(before, text));
  }
  if (results.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
