import { Command, InvalidArgumentError, Option } from 'commander';
import { among, quick, rounds, seconds } from './command.mjs';

/**
 * @typedef {object} Options
 * @property {number} rounds
 * @property {number} seconds
 * @property {string[]} only      names of workloads
 * @property {string[]} systems   names of systems
 * @property {string} node        path of the node binary that runs everything
 * @property {string[]} nodes    versions of Node to compare instead; none: no comparison
 * @property {number | undefined} core  the only processor core that anything runs on
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
      'Measures KBUS beside what plain Node can do at best (the floors) and beside other buses.',
    )
    .addOption(rounds('how often each system does each workload', 5))
    .addOption(seconds('how long each time, after warming up', 2))
    .addOption(quick({ rounds: 3, seconds: 0.5 }))
    .option('--only <names>', 'these workloads', among(names(workloads)), names(workloads))
    .option('--systems <names>', 'these systems', among(names(systems)), names(systems))
    .option('--node <path>', 'run everything with this node binary', process.execPath)
    .addOption(
      new Option(
        '--nodes <versions>',
        'compare KBUS under versions of Node, such as 20,26, instead; npm installs those missing into a temporary folder',
      )
        .argParser(versions)
        .default([])
        .conflicts('node')
        // What is compared is KBUS; the floor tells how much of it is Node's.
        .implies({ systems: ['floor', 'kbus'] }),
    )
    .addOption(
      new Option(
        '--core <n>',
        'run everything on this core, from 0: nothing then waits for a sleeping one to wake (needs taskset)',
      )
        .argParser(coreNumber)
        .conflicts('nodes'),
    )
    .option('--write', 'put the tables into docs/performance.md, between its marks', false)
    .option('--json <file>', 'write every round, unrounded, to this file')
    .addOption(
      new Option('--install-peers', 'install the other buses, do nothing else').default(false),
    )
    .addHelpText(
      'after',
      `
Workloads:
${column(workloads)}

Systems (names are separated by commas, as those of workloads are):
${column(systems)}

Every part (sender, daemon, receivers) is a process of its own. In a round each system does each
workload once, one system after the other; a ratio is to the floor of the same round, and the
tables show medians over the rounds. A round in which other programs used more than a tenth of
a core is marked as disturbed: leave the machine alone while this runs.

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
