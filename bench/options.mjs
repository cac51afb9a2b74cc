import { Command, InvalidArgumentError, Option } from 'commander';
import { among, quick, rounds, seconds } from './command.mjs';

/**
 * @typedef {object} Options
 * @property {number} rounds
 * @property {number} seconds
 * @property {string[]} only      names of workloads
 * @property {string[]} systems   names of systems
 * @property {string} node        path of the node binary for all processes
 * @property {string[]} nodes    versions of Node to compare; empty: no comparison
 * @property {number | undefined} core  the processor core for all processes
 * @property {boolean} write
 * @property {string | undefined} json
 * @property {boolean} installPeers
 */

/** @param {string} text */
function versions(text) {
  const list = text.split(',').map((version) => version.trim());
  if (list.every((version) => /^\d+$/.test(version))) return list;
  throw new InvalidArgumentError('It must be major versions, separated by commas, such as 20,26.');
}

/** @param {string} text */
function coreNumber(text) {
  if (/^\d+$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be the number of a core, from 0.');
}

/**
 * @param {string[]} args  without node and the script
 * @param {{ name: string, title: string }[]} workloads
 * @param {{ name: string, title: string }[]} systems
 * @returns {Options}
 */
export function parseOptions(args, workloads, systems) {
  const names = (/** @type {{ name: string }[]} */ list) => list.map(({ name }) => name);
  const column = (/** @type {{ name: string, title: string }[]} */ list) =>
    list.map(({ name, title }) => `  ${name.padEnd(18)}${title}`).join('\n');

  const command = new Command('npm run bench --')
    .description(
      'Measures KBUS beside the best that plain Node can do (the floors), and beside other buses.',
    )
    .addOption(rounds('runs of each workload by each system', 5))
    .addOption(seconds('seconds of each run, after warming up', 2))
    .addOption(quick({ rounds: 3, seconds: 0.5 }))
    .option('--only <names>', 'these workloads', among(names(workloads)), names(workloads))
    .option('--systems <names>', 'these systems', among(names(systems)), names(systems))
    .option('--node <path>', 'node binary for all processes', process.execPath)
    .addOption(
      new Option(
        '--nodes <versions>',
        'compare KBUS under versions of Node, such as 20,26; npm installs missing ones into a temporary directory',
      )
        .argParser(versions)
        .default([])
        .conflicts('node')
        // The comparison is of KBUS; the floor shows the share of Node.
        .implies({ systems: ['floor', 'kbus'] }),
    )
    .addOption(
      new Option(
        '--core <n>',
        'run all processes on this core, from 0, so that none waits for a sleeping core to wake (needs taskset)',
      )
        .argParser(coreNumber)
        .conflicts('nodes'),
    )
    .option('--write', 'write the tables into docs/performance.md, between its marks', false)
    .option('--json <file>', 'write every round, unrounded, to this file')
    .addOption(new Option('--install-peers', 'only install the other buses').default(false))
    .addHelpText(
      'after',
      `
Workloads:
${column(workloads)}

Systems (separate names by commas, as those of workloads):
${column(systems)}

Every part (sender, daemon, receivers) is a process of its own. In a round, each system runs each
workload once, one system after the other. A ratio is relative to the floor of the same round; the
tables have medians over the rounds. A round in which other programs used more than a tenth of
a core is marked as disturbed: run nothing else meanwhile.

Examples:
  npm run bench -- --quick
  npm run bench -- --only mixed,mixed1 --systems floor,kbus,nats --rounds 3
  npm run bench -- --install-peers && npm run bench -- --write
  npm run bench -- --nodes 20,26 --write
  npm run bench -- --core 1 --systems floor,kbus --write`,
    )
    .configureHelp({
      optionDescription: (option) =>
        option.long === '--nodes'
          ? option.description
          : Array.isArray(option.defaultValue) || option.long === '--node'
            ? `${option.description} (default: ${option.long === '--node' ? 'the one that runs this' : 'all'})`
            : typeof option.defaultValue === 'number'
              ? `${option.description} (default: ${option.defaultValue})`
              : option.description,
    })
    .helpOption('--help', 'show this')
    .parse(args, { from: 'user' });

  return command.opts();
}
