import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { whoIs } from '../bus/identity.ts';
import { printStats } from '../bus/report.ts';
import type { BusReport, KsockReport } from '../message/reports.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { print, printJson } from './output.ts';

export function configure(command: Command): void {
  addBusOptions(command)
    .addHelpText(
      'after',
      `
Prints the state of the bus and of its Ksocks, newest first, without the Ksock of this command; then how much memory
the programs hold of all buses that share it, and which Ksocks of this bus hold the most.

Examples:
  kbus stats
  kbus stats --bus 1 --json`,
    )
    .action(stats);
}

async function stats(options: BusOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  const all = await answered(ksock.stats(), options);
  const others = { ...all, ksocks: all.ksocks.filter((one) => one.ksock !== ksock.id) };
  if (options.json) await printJson(others);
  else {
    const text = printStats({ ...others, ksocks: others.ksocks.map(onOneLine) });
    await print(text + printMemory(others));
  }
}

/** How many Ksocks are named as those that hold the most, and the least that one of them holds, in bytes. */
const MAX_NAMED_KSOCKS = 5;
const MIN_NAMED_BYTES = 64 * 1024;

/** What the programs hold, and who holds the most (spec 1 §14.1). */
function printMemory({ memoryHeld, maxMemory, ksocks }: BusReport): string {
  const most = ksocks
    .filter(({ held }) => held >= MIN_NAMED_BYTES)
    .sort((a, b) => b.held - a.held)
    .slice(0, MAX_NAMED_KSOCKS);
  const lines = most.map(({ ksock, held, program, pid, uid, claimed }) => {
    const who = whoIs({ id: ksock, who: { program, pid, uid, isClaimed: claimed } });
    return `    ${who} holds ${mebibytes(held)}\n`;
  });
  const all = `programs hold ${mebibytes(memoryHeld)} of ${mebibytes(maxMemory)} (max-memory)`;
  return `memory: ${all}\n${lines.join('')}`;
}

function mebibytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** A false daemon may report any text. */
function onOneLine(ksock: KsockReport): KsockReport {
  return { ...ksock, wrotePart: escaped(ksock.wrotePart) };
}
