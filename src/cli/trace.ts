import type { Command } from 'commander';
import { counted } from '../base/units.ts';
import { timerMs } from '../client/time-limit.ts';
import { timeSpan, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions } from './bus-options.ts';
import { Ending, end, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { ALL_PAST, openTap } from './open-tap.ts';
import { remark } from './output.ts';
import { dryRun } from './trace/dry-run.ts';
import { chosenHere, subjectOf } from './trace/subject.ts';
import { Trees } from './trace/trees.ts';

/** A message of which nothing new comes for so long is printed as it stands. */
const PATIENCE_MS = 5000;

interface TraceOptions extends BusOptions {
  count?: number;
  for?: number;
  also?: number[];
  patience: number;
  /** Milliseconds; true: all. */
  past?: number | true;
  dryRun?: true;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .argument(
      '<what>',
      "a name or wildcard, such as '$.Heater.Set', or the id of one message: '[0:17]'",
    )
    .option('-n, --count <number>', 'end after this many messages', wholeNumber(1, 0xffff_ffff))
    .option('--for <time>', 'end after this time, such as 10s, 500ms or 2min', timeSpan)
    .option(
      '--also <bus>',
      'follow messages through Limpets to this bus, too; may be given several times',
      buses,
    )
    .addOption(
      command
        .createOption(
          '--patience <time>',
          'print a message that is not done after this time as it stands',
        )
        .argParser(timeSpan)
        .default(PATIENCE_MS, '5s'),
    )
    .option(
      '--past [time]',
      'follow what the daemon has kept of the last 10s, or all that it has kept, in place of what happens now (kbus serve --history)',
      timeSpan,
    )
    .option(
      '--dry-run',
      'print who would get a message of this name now, and who would not, without sending it',
    )
    .addHelpText(
      'after',
      `
Prints what became of each message of a name, as a tree: who got it and at which place of the queue, when each of them
read it, who missed it, how a Request was answered, why a send was refused. A tree is printed when nothing more can
become of the message; one that is not done after --patience is printed as it stands, and again when it is done. Looking
changes nothing on the bus. It needs an access point with the right to observe.

Examples:
  kbus trace '$.Heater.Set'
  kbus trace '$.Room.*' --count 3
  kbus trace '$.Heater.Set' --also 1
  kbus trace '$.Heater.Set' --past 10s
  kbus trace '$.Heater.Set' --dry-run`,
    )
    .action(trace);
}

/** Parses the numbers of buses, one at each call. */
function buses(text: string, before: number[] = []): number[] {
  return [...before, wholeNumber(0, 0xffff_ffff)(text)];
}

async function trace(what: string, options: TraceOptions): Promise<void> {
  if (options.dryRun) return dryRun(typedName(what), options);
  const subject = subjectOf(what);
  const { names } = subject;
  const numbers = [...new Set([options.bus, ...(options.also ?? [])])];
  const trees = new Trees(options);
  try {
    for (const bus of numbers) {
      if (options.past !== undefined) {
        const past = options.past === true ? ALL_PAST : options.past;
        const tap = await openTap({ ...options, bus }, { past });
        trees.follow(tap, chosenHere(subject), Date.now() - past);
        continue;
      }
      const tap = await openTap({ ...options, bus }, { data: 0, ...(names && { names }) });
      trees.follow(tap, subject);
    }
    if (options.past !== undefined) {
      await untilEnded(Promise.race([trees.ended, trees.done]));
      trees.finish();
      return;
    }
    await answered(trees.ready, options);
    const where = numbers.length === 1 ? `bus ${options.bus}` : `buses ${numbers.join(', ')}`;
    remark(`following ${what} on ${where}`);
    if (options.for !== undefined) setTimeout(() => end('time'), timerMs(options.for)).unref();
    await untilEnded(trees.done);
    await trees.printer.finish();
  } catch (error) {
    if (!(error instanceof Ending)) throw error;
    trees.finish();
    if (options.count === undefined) return;
    if (error.by !== 'time') throw error;
    const came = `${trees.printed} of ${counted(options.count, 'message')} came`;
    throw new Failure(Exit.REFUSED, `${came} within the time of --for`, error);
  } finally {
    trees.close();
  }
}
