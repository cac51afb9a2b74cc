import type { Command } from 'commander';
import { printStats } from '../bus/report.ts';
import { addBusOptions, type BusOptions, openKsock } from './bus-options.ts';
import { untilEnded } from './ending.ts';
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
  await using ksock = await openKsock(options, 'r', { manage: true });
  const all = await untilEnded(ksock.stats());
  const others = { ...all, ksocks: all.ksocks.filter((one) => one.ksock !== ksock.id) };
  await (options.json ? printJson(others) : print(printStats(others)));
}
