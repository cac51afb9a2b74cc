import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { escaped } from '../base/escape.ts';
import { count, counted, duration } from '../base/units.ts';
import { whoIs } from '../bus/identity.ts';
import { printStats } from '../bus/report.ts';
import type { Ksock } from '../client/ksock.ts';
import type { BusReport, KsockReport } from '../message/reports.ts';
import { timeSpan } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { untilEnded } from './ending.ts';
import { print, printJson } from './output.ts';
import { type Column, table } from './table.ts';

const INTERVAL_S = 0.5;

interface StatsOptions extends BusOptions {
  /** Milliseconds between the two looks at the bus. */
  interval: number;
  verbose?: true;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .addOption(
      command
        .createOption('--interval <time>', 'measures rates for so long')
        .argParser(timeSpan)
        .default(INTERVAL_S * 1000, `${INTERVAL_S}s`),
    )
    .option('--verbose', 'print the text of the device file `stats`: three lines for each Ksock')
    .addHelpText(
      'after',
      `
Prints a line for each Ksock but its own, the slowest first:

  queue       unread messages, and how many its queue may hold
  oldest      how long the oldest unread message has waited
  read/s      messages that it reads, with the Replies to its Requests
  sent/s      messages that it sends
  missed      messages that it missed as a Listener since it was opened: its queue was full
  unanswered  Requests that it has read and not answered, and for how long it has had the oldest

It looks at the bus twice to measure the rates. Then it prints how much memory the programs hold of all buses that
share it, and which Ksocks of this bus hold the most. Names and process ids of programs at sockets are as they say.

Examples:
  kbus stats
  kbus stats --interval 5 --bus 1
  kbus stats --json`,
    )
    .action(stats);
}

async function stats(options: StatsOptions): Promise<void> {
  await using ksock = await openKsock(options, 'r', { manage: true });
  if (options.verbose) {
    const { ksocks, ...bus } = await othersOn(ksock, options);
    await (options.json
      ? printJson({ ...bus, ksocks })
      : print(printStats({ ...bus, ksocks: ksocks.map(onOneLine) })));
    return;
  }
  const before = await othersOn(ksock, options);
  const began = performance.now();
  await untilEnded(sleep(options.interval));
  const after = await othersOn(ksock, options);
  const interval = performance.now() - began;
  const rated: RatedBus = {
    ...after,
    interval,
    ksocks: bySlowness(withRates(before, after, interval)),
  };
  if (options.json) await printJson(rated);
  else await print(printTable(rated) + printMemory(rated));
}

/** The report of the bus, without the Ksock of this command. */
async function othersOn(ksock: Ksock, options: StatsOptions): Promise<BusReport> {
  const all = await answered(ksock.stats(), options);
  return { ...all, ksocks: all.ksocks.filter((one) => one.ksock !== ksock.id) };
}

interface Rated extends KsockReport {
  /** Messages per second. */
  readRate: number;
  sentRate: number;
}

interface RatedBus extends BusReport {
  /** Milliseconds between the two looks. */
  interval: number;
  ksocks: Rated[];
}

function withRates(before: BusReport, after: BusReport, interval: number): Rated[] {
  const earlier = new Map(before.ksocks.map((one) => [one.ksock, one]));
  const rate = (now: number, then = 0): number => round(((now - then) * 1000) / interval);
  return after.ksocks.map((one) => {
    const then = earlier.get(one.ksock);
    return {
      ...one,
      readRate: rate(one.messagesRead, then?.messagesRead),
      sentRate: rate(one.messagesSent, then?.messagesSent),
    };
  });
}

function round(rate: number): number {
  return Math.round(rate * 10) / 10;
}

/** The Ksock whose messages or Requests have waited longest first; then the fullest queue, and most misses. */
function bySlowness(ksocks: Rated[]): Rated[] {
  const age = (one: Rated): number => Math.max(one.unreadAge ?? 0, one.unsentReplyAge ?? 0);
  const fill = (one: Rated): number => one.queue / one.maxMessages;
  return ksocks.sort(
    (a, b) => age(b) - age(a) || fill(b) - fill(a) || b.missed - a.missed || a.ksock - b.ksock,
  );
}

/** The longest name of a program, in columns. */
const MAX_PROGRAM_COLUMNS = 24;

const COLUMNS: readonly Column[] = [
  { heading: 'Ksock', align: 'right' },
  { heading: 'program', max: MAX_PROGRAM_COLUMNS },
  { heading: 'pid', align: 'right' },
  { heading: 'queue', align: 'right' },
  { heading: 'oldest', align: 'right' },
  { heading: 'read/s', align: 'right' },
  { heading: 'sent/s', align: 'right' },
  { heading: 'missed', align: 'right' },
  { heading: 'unanswered', align: 'right' },
];

function printTable({ device, interval, ksocks }: RatedBus): string {
  const rows = ksocks.map((one) => [
    String(one.ksock),
    one.program,
    one.pid === 0 ? '' : String(one.pid),
    `${count(one.queue)} of ${count(one.maxMessages)}`,
    one.unreadAge === null ? '-' : duration(one.unreadAge),
    count(one.readRate),
    count(one.sentRate),
    count(one.missed),
    one.unsentReplies === 0 ? '0' : unanswered(one),
  ]);
  const heading = `bus ${device}: ${counted(ksocks.length, 'Ksock')}, rates of ${duration(interval)}`;
  return `${[heading, ...(rows.length === 0 ? [] : table(COLUMNS, rows))].join('\n')}\n`;
}

function unanswered({ unsentReplies, unsentReplyAge }: KsockReport): string {
  const age = unsentReplyAge === null ? '' : `, ${duration(unsentReplyAge)}`;
  return `${count(unsentReplies)}${age}`;
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

function mebibytes(held: number): string {
  return `${(held / 1024 / 1024).toFixed(1)} MiB`;
}

/** A false daemon may report any text. */
function onOneLine(ksock: KsockReport): KsockReport {
  return { ...ksock, wrotePart: escaped(ksock.wrotePart) };
}
