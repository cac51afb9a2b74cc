import type { Command } from 'commander';
import { printBindings } from '../bus/report.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Prints a line for each binding, newest first: bus, Ksock, process id, R (Replier) or L (Listener), name.

Examples:
  kbus bindings
  kbus bindings --bus 1 --json`,
    )
    .action(bindings);
}

async function bindings(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r');
  const all = await ksock.readBindings();
  if (options.json) for (const binding of all) await printJson(binding);
  else await print(printBindings(options.bus, all));
}
