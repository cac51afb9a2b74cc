import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { printStats } from '../bus/report.ts';
import type { KsockReport } from '../message/reports.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Prints the state of the bus and of its Ksocks, newest first, without the Ksock of this command.

Examples:
  kbus stats
  kbus stats --bus 1 --json`,
    )
    .action(stats);
}

async function stats(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r');
  const all = await answered(ksock.stats(), options);
  const others = { ...all, ksocks: all.ksocks.filter((one) => one.ksock !== ksock.id) };
  if (options.json) await printJson(others);
  else await print(printStats({ ...others, ksocks: others.ksocks.map(onOneLine) }));
}

/** A false daemon may report any text. */
function onOneLine(ksock: KsockReport): KsockReport {
  return { ...ksock, wrotePart: escaped(ksock.wrotePart) };
}
