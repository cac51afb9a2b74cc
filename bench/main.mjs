// npm run bench: measures KBUS, the floors and the other buses, round by round. See --help.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { machine } from '../harness/machine.mjs';
import { onSignals, run } from './command.mjs';
import { abandon, conduct } from './conduct.mjs';
import { comparison, nodeAt, nodeOf } from './nodes.mjs';
import { parseOptions } from './options.mjs';
import { writeReport } from './page.mjs';
import { installPeers } from './peers.mjs';
import { DISTURBED, format, measuredOn, report, today } from './report.mjs';
import { allSystems } from './systems.mjs';
import { workloads } from './workloads.mjs';

/** @import { Result } from './report.mjs' */

/** @param {Parameters<typeof comparison>[0] & Parameters<typeof report>[0]} all */
const compared = (all) =>
  `${measuredOn(all.machine, all.date)} Rounds: ${all.rounds}, each of ${all.seconds} s; medians.\n\n${comparison(all)}`;

/** Binds this process, and all that it starts, to this core. @param {number} core */
function stayOn(core) {
  const { status, stderr, error } = spawnSync('taskset', ['-cp', `${core}`, `${process.pid}`]);
  if (status === 0) return;
  throw new Error(
    `cannot bind processes to core ${core}: ${error?.message ?? String(stderr).trim()}`,
  );
}

async function main() {
  const known = await allSystems();
  const options = parseOptions(process.argv.slice(2), workloads, known);
  if (options.installPeers) return installPeers();
  if (options.core !== undefined) stayOn(options.core);

  const nodes = options.nodes.length > 0 ? options.nodes.map(nodeOf) : [nodeAt(options.node)];
  const chosen = workloads.filter(({ name }) => options.only.includes(name));
  const systems = known.filter(({ name }) => options.systems.includes(name));
  const present = systems.filter((system) => {
    const missing = system.missing();
    if (missing !== undefined) console.error(`${system.title}: not installed (${missing})`);
    return missing === undefined;
  });

  let stopped = false;
  onSignals(() => {
    stopped = true;
    abandon();
  });

  /** @type {(Result & { node: string })[]} */
  const results = [];
  for (let round = 1; round <= options.rounds && !stopped; round++) {
    for (const workload of chosen) {
      const able = present.filter((system) => system.workloads?.includes(workload.name) !== false);
      for (const { system, node } of able.flatMap((system) =>
        nodes.map((node) => ({ system, node })),
      )) {
        if (stopped) break;
        const line = `round ${round} of ${options.rounds}  ${workload.name.padEnd(10)} ${system.title.padEnd(25)}${nodes.length > 1 ? ` Node ${node.version.padEnd(8)}` : ''}`;
        const result = { round, workload: workload.name, system: system.name, node: node.version };
        try {
          const cell = await conduct(system, workload, {
            seconds: options.seconds,
            node: node.path,
          });
          results.push({ ...result, cell });
          const figures = workload.figures.map(
            ({ key, title, unit }) => `${title} ${format(cell.figures[key] ?? Number.NaN)} ${unit}`,
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

  const all = {
    machine: machine(nodes.map(({ version }) => version).join(', ')),
    date: today(),
    rounds: options.rounds,
    seconds: options.seconds,
    workloads: chosen,
    systems,
    results,
  };
  const text = options.nodes.length > 0 ? compared({ ...all, nodes }) : report(all);
  const place = options.nodes.length > 0 ? 'nodes' : options.core !== undefined ? 'core' : 'bench';
  console.log(`\n${text}`);
  if (stopped) {
    console.error('\nStopped before the end: no file was written.');
    process.exitCode = 130;
    return;
  }
  if (options.json !== undefined) {
    const { machine, date, results } = all;
    writeFileSync(options.json, `${JSON.stringify({ machine, date, results }, undefined, 1)}\n`);
  }
  if (options.write) writeReport(place, text);
  if (results.some(({ error }) => error !== undefined)) process.exitCode = 1;
}

await run('bench', main);
