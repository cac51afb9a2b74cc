import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { printBindings } from '../bus/report.ts';
import type { BindingReport } from '../message/reports.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Prints one line per binding, newest first: bus, Ksock, process id, R (Replier) or L (Listener), name.

Examples:
  kbus bindings
  kbus bindings --bus 1 --json`,
    )
    .action(bindings);
}

async function bindings(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  const all = await answered(ksock.readBindings(), options);
  if (options.json) for (const binding of all) await printJson(binding);
  else await print(printBindings(options.bus, all.map(onOneLine)));
}

/** A bus refuses names that need escaping; a false daemon may not. */
function onOneLine(binding: BindingReport): BindingReport {
  return { ...binding, name: escaped(binding.name) };
}
