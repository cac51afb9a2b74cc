import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { counted } from '../base/units.ts';
import { printBindings } from '../bus/report.ts';
import type { BindingReport } from '../message/reports.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';
import { type Column, table } from './table.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .option('--verbose', 'print the text of the device file `bindings`')
    .addHelpText(
      'after',
      `
Prints a line for each binding, newest first: the Ksock, its program and process id, whether it listens or replies, and
the name. With --verbose, in the format of the device file \`bindings\`.

Examples:
  kbus bindings
  kbus bindings --bus 1 --json`,
    )
    .action(bindings);
}

interface BindingsOptions extends BusOptions {
  verbose?: true;
}

async function bindings(options: BindingsOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  const all = await answered(ksock.readBindings(), options);
  if (options.json) for (const binding of all) await printJson(binding);
  else if (options.verbose) await print(printBindings(options.bus, all.map(onOneLine)));
  else await print(printTable(options.bus, all));
}

const COLUMNS: readonly Column[] = [
  { heading: 'Ksock', align: 'right' },
  { heading: 'program', max: 24 },
  { heading: 'pid', align: 'right' },
  { heading: 'does' },
  { heading: 'name' },
];

function printTable(bus: number, all: readonly BindingReport[]): string {
  const rows = all.map(({ ksock, program, pid, replier, name }) => [
    String(ksock),
    program,
    pid === 0 ? '' : String(pid),
    replier ? 'replies to' : 'listens to',
    name,
  ]);
  const heading = `bus ${bus}: ${counted(all.length, 'binding')}`;
  return `${[heading, ...(rows.length === 0 ? [] : table(COLUMNS, rows))].join('\n')}\n`;
}

/** A bus refuses names that need escaping; a false daemon may not. */
function onOneLine(binding: BindingReport): BindingReport {
  return { ...binding, name: escaped(binding.name) };
}
