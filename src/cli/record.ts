import process from 'node:process';
import type { Command } from 'commander';
import { escapedJson } from '../base/escape.ts';
import { counted, bytes as inBytes } from '../base/units.ts';
import type { Tap } from '../client/tap.ts';
import { timerMs } from '../client/time-limit.ts';
import { FileError } from '../recording/file-error.ts';
import { recordSelection } from '../recording/record-selection.ts';
import { type Recorded, Recorder, RecordingError } from '../recording/recorder.ts';
import type { SeenKind } from '../tap/filter.ts';
import { byteSize, outputFile, timeSpan, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions } from './bus-options.ts';
import { Ending, ending } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { ALL_PAST, openTap } from './open-tap.ts';
import { remark } from './output.ts';
import { selectionOf } from './selection-options.ts';

interface RecordOptions extends BusOptions {
  output: string;
  force?: boolean;
  data?: number;
  announcements?: true;
  requests?: true;
  replies?: true;
  /** Milliseconds. */
  for?: number;
  /** Milliseconds; true: all. */
  past?: number | true;
  rotateSize?: number;
  /** Milliseconds. */
  rotateEvery?: number;
  keep?: number;
  /** Bytes. */
  buffer?: number;
}

export function configure(command: Command): void {
  addBusOptions(command)
    .argument('[names...]', "names of messages to record, or wildcards: '$.Actor.*' (default: all)")
    .requiredOption('-o, --output <file>', 'the file to write; it must not exist yet', outputFile)
    .option('--force', 'replace the file if it exists')
    .option(
      '--data <bytes>',
      "record this much of each message's data at most, such as 0 or 1KiB",
      byteSize,
    )
    .option('--announcements', 'record Announcements only; or, with the next two, these as well')
    .option('--requests', 'record Requests only')
    .option('--replies', 'record Replies and Statuses only')
    .option('--for <time>', 'end after this time, such as 10s or 2min', timeSpan)
    .option(
      '--past [time]',
      'record what the daemon has kept of the last 10s, or all that it has kept, in place of what happens now (kbus serve --history)',
      timeSpan,
    )
    .option(
      '--rotate-size <bytes>',
      'begin another file when this one is larger, such as 100MiB',
      byteSize,
    )
    .option('--rotate-every <time>', 'begin another file after this time, such as 1h', timeSpan)
    .option(
      '--keep <files>',
      'remove the oldest files, so that these are left',
      wholeNumber(1, 1_000_000),
    )
    .option(
      '--buffer <bytes>',
      'how much may wait in the daemon for a slow disk before some is lost, at most 64MiB (default)',
      byteSize,
    )
    .addHelpText(
      'after',
      `
Records everything that happens on the bus, until Ctrl-C: messages, who got, read, missed or answered them, who
came, bound and left. It is no Ksock, and the bus never waits for it. The access point must have the right to
observe. A crash costs at most the last second. Statuses, and the errors of handlers, have names of KBUS: to have
these answers beside messages of some names, add '$.KBUS.*'. With --rotate-size or --rotate-every, the files are
called run.mcap, run.1.mcap, run.2.mcap ...

The file is MCAP. See also: kbus recording --help, kbus replay --help.

Examples:
  kbus record -o run.mcap
  kbus record -o run.mcap '$.Room.*' --for 10s
  kbus record -o before.mcap --past 10s
  kbus record -o heater.mcap --past 1min '$.Heater.*'
  kbus record -o run.mcap --data 0 --rotate-size 100MiB --keep 10`,
    )
    .action(record);
}

async function record(typed: string[], options: RecordOptions): Promise<void> {
  const names = typed.map(typedName);
  const tap = await tapOf(names, options);
  const began = Date.now();
  const end = (): void => tap.finish();
  const run = await recordingOf(tap, names, options);
  remark(`recording bus ${options.bus} to ${options.output}`);
  ending.addEventListener('abort', end, { once: true });
  if (ending.aborted) end();
  if (options.for !== undefined) setTimeout(end, timerMs(options.for)).unref();
  let recorded: Recorded;
  try {
    recorded = await run();
  } catch (error) {
    if (error instanceof RecordingError) throw unwritable(error);
    throw error instanceof FileError ? fileFailure(error) : error;
  }
  const seconds = (Date.now() - began) / 1000;
  // Not with `printJson`, which a signal ends.
  if (options.json) process.stdout.write(`${escapedJson({ ...recorded, seconds })}\n`);
  remark(`${told(recorded)}, in ${seconds.toFixed(1)} s`);
  // A signal ends a recording as it should: it is complete.
  if (ending.aborted && ending.reason instanceof Ending) process.exitCode = 0;
}

/** What is kept of the past is all; what is asked for of it, this program chooses. */
async function recordingOf(
  tap: Tap,
  names: readonly string[],
  options: RecordOptions,
): Promise<() => Promise<Recorded>> {
  const selection = selectionOf(names, options);
  if (options.past === undefined || (names.length === 0 && selection.kinds === undefined)) {
    const recorder = await createRecorder(tap, options);
    return () => recorder.run();
  }
  return () => recordSelection(tap, options.output, selection, options.force ?? false);
}

/** Its signal is not that of the command, which would end it before it has told all. */
function tapOf(names: string[], options: RecordOptions): Promise<Tap> {
  if (options.past !== undefined) return pastTap(options, options.past);
  const { buffer = DEFAULT_BUFFER, data = true } = options;
  const kinds: SeenKind[] = [];
  if (options.announcements) kinds.push('announcement');
  if (options.requests) kinds.push('request');
  if (options.replies) kinds.push('reply', 'status');
  const chosen = kinds.length > 0 ? kinds : undefined;
  return openTap(options, { names, kinds: chosen, data, buffer, signal: undefined });
}

function pastTap(options: RecordOptions, past: number | true): Promise<Tap> {
  const { data, keep, rotateEvery, rotateSize } = options;
  if (data !== undefined) {
    throw new Failure(
      Exit.USAGE,
      '--past records what the daemon has kept, with all data: leave out --data',
    );
  }
  if ((keep ?? rotateEvery ?? rotateSize) !== undefined) {
    throw new Failure(
      Exit.USAGE,
      '--past records one file: leave out --rotate-size, --rotate-every and --keep',
    );
  }
  return openTap(options, { past: past === true ? ALL_PAST : past, signal: undefined });
}

/** A disk may take its time. */
const DEFAULT_BUFFER = 64 * 1024 * 1024;

async function createRecorder(tap: Tap, options: RecordOptions): Promise<Recorder> {
  const { force, keep, output, rotateEvery, rotateSize } = options;
  try {
    return await Recorder.create(tap, {
      path: output,
      force,
      keep,
      rotateBytes: rotateSize,
      rotateMs: rotateEvery,
      onFile: (path, isRemoved) => {
        if (path !== output) remark(isRemoved ? `removed ${path}` : `recording to ${path}`);
      },
    });
  } catch (error) {
    tap.close();
    throw error instanceof FileError ? fileFailure(error) : error;
  }
}

/** A file can't be written, or read. */
export function fileFailure(error: FileError): Failure {
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  const advice = code === 'EEXIST' ? '; give another one, or --force' : '';
  return new Failure(Exit.OUTPUT, `${error.message}${advice}`, error);
}

function unwritable(error: RecordingError): Failure {
  return new Failure(
    Exit.OUTPUT,
    `${error.message}. The recording has ended. Safe in it: ${told(error.safe)}`,
    error,
  );
}

/** `12 messages, 1 KB in run.mcap`, and what was lost. */
function told({ bytes, files, lostEvents, lostMessages, messages }: Recorded): string {
  const [first = ''] = files;
  const where = files.length === 1 ? first : `${files.length} files, from ${first} on`;
  const lost =
    lostEvents === 0
      ? ''
      : `; ${counted(lostEvents, 'event was', 'events were')} lost, with ${counted(lostMessages, 'message')}, because the disk or this program was too slow`;
  return `${counted(messages, 'message')}, ${inBytes(bytes)} in ${where}${lost}`;
}
