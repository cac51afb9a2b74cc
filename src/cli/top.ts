import process from 'node:process';
import type { Command } from 'commander';
import { escapedJson } from '../base/escape.ts';
import type { Tap } from '../client/tap.ts';
import { bottleneckOf } from '../seeing/bottleneck.ts';
import { TapClock } from '../seeing/tap-clock.ts';
import { Traffic, type TrafficSnapshot } from '../seeing/traffic.ts';
import type { BindingView } from '../tap/bus-view.ts';
import { timeSpan } from './arguments.ts';
import { addBusOptions, answered, type BusOptions } from './bus-options.ts';
import { Ending, end, untilEnded } from './ending.ts';
import { openTap } from './open-tap.ts';
import { print, write } from './output.ts';
import { press } from './top/keys.ts';
import { firstChoices, type Rows, rowsOf, screenOf, wholeText } from './top/screen.ts';
import { Terminal } from './top/terminal.ts';

const INTERVAL_S = 1;
/** Rows of each table that are printed into a pipe. */
const MAX_PRINTED_ROWS = 1000;
/** Lines that are no rows of the table: the head, two of the bottleneck, the headings, the foot. */
const OTHER_LINES = 5;

interface TopOptions extends BusOptions {
  /** Milliseconds. */
  interval: number;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .addOption(
      command
        .createOption('--interval <time>', 'time between two looks, over which rates are taken')
        .argParser(timeSpan)
        .default(INTERVAL_S * 1000, `${INTERVAL_S}s`),
    )
    .addHelpText(
      'after',
      `
Shows who sends and reads how much, how long messages wait, and who holds the others up. Looking changes nothing on the
bus. Into a pipe or a file, it prints one snapshot.

Keys: Tab shows names instead of Ksocks, s sorts by the next column, / filters, Space pauses, the arrows and Enter look
into one, h explains the columns, q quits. With --json, rates are per second, and times are milliseconds.

Examples:
  kbus top
  kbus top --interval 5 | head -20
  kbus top --json`,
    )
    .action(top);
}

async function top(options: TopOptions): Promise<void> {
  const tap = await openTap(options, { data: 0 });
  const traffic = new Traffic();
  const clock = new TapClock();
  const ready = new Promise<void>((resolve) => {
    // A lost connection ends the command.
    read(tap, traffic, clock, resolve).catch(end);
  });
  await answered(ready, options);
  const snapshot = (): TrafficSnapshot => traffic.snapshot(clock.at(performance.now() * 1000));
  snapshot();
  const isLive = process.stdout.isTTY && process.env['TERM'] !== 'dumb' && !options.json;
  try {
    if (isLive) await live(snapshot, () => [...traffic.view.bindings.values()], options.interval);
    else await once(snapshot, options);
  } finally {
    tap.close();
  }
}

/** Reads events, until the tap is closed; `ready` is called when the state of the bus is known. */
async function read(tap: Tap, traffic: Traffic, clock: TapClock, ready: () => void): Promise<void> {
  for await (const events of tap.batches()) {
    const own = performance.now() * 1000;
    for (const event of events) {
      traffic.apply(event);
      if (event.type === 'ready') ready();
    }
    const last = events.at(-1);
    if (last !== undefined) clock.note(last.time, own);
  }
}

async function once(snapshot: () => TrafficSnapshot, options: TopOptions): Promise<void> {
  await untilEnded(new Promise((resolve) => setTimeout(resolve, options.interval)));
  const seen = snapshot();
  if (options.json) await write(`${escapedJson({ bottleneck: bottleneckOf(seen), ...seen })}\n`);
  else await print(wholeText(seen, MAX_PRINTED_ROWS));
}

/** Draws until the user quits. */
async function live(
  snapshot: () => TrafficSnapshot,
  bindings: () => readonly BindingView[],
  interval: number,
): Promise<void> {
  const choices = firstChoices();
  let seen = snapshot();
  let rows: Rows = rowsOf(seen, choices);
  const draw = (): void => {
    rows = rowsOf(seen, choices);
    terminal.draw(screenOf(seen, rows, choices, bindings(), terminal.size));
  };
  let quit: () => void = () => {};
  const ended = new Promise<void>((resolve) => {
    quit = resolve;
  });
  const terminal = new Terminal((key) => {
    const room = Math.max(1, terminal.size.height - OTHER_LINES);
    if (press(choices, key, rows, room)) quit();
    else draw();
  }, draw);
  terminal.open();
  const timer = setInterval(() => {
    const newer = snapshot();
    if (!choices.isPaused) seen = newer;
    draw();
  }, interval);
  try {
    await untilEnded(ended);
  } catch (error) {
    if (!(error instanceof Ending)) throw error;
  } finally {
    clearInterval(timer);
    terminal.close();
  }
}
