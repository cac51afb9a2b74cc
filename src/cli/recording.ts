import type { Command } from 'commander';
import { escaped, escapedJson } from '../base/escape.ts';
import { bytes, count, counted, duration } from '../base/units.ts';
import { describe, nameOf } from '../recording/describe.ts';
import { DiskFile } from '../recording/disk-file.ts';
import { isoTime, JsonMcap, jsonOfEvent, pcapngHead, pcapngPacket } from '../recording/export.ts';
import { FileError } from '../recording/file-error.ts';
import { openRecording } from '../recording/open-recording.ts';
import type { RecordedEvent, Recording } from '../recording/recording.ts';
import { filter, merge, type Rewritten } from '../recording/rewrite.ts';
import { Selector } from '../recording/selection.ts';
import { Summary } from '../recording/summary.ts';
import { outputFile } from './arguments.ts';
import { ending } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { print, printJson, remark } from './output.ts';
import { Printer } from './printer.ts';
import { fileFailure } from './record.ts';
import { addSelection, type SelectionOptions, selectionOf } from './selection-options.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';
import { table } from './table.ts';

interface ShowRecordingOptions extends SelectionOptions, ShowOptions {
  events?: true;
}

interface OutputOptions {
  output: string;
  force?: boolean;
}

interface ExportOptions extends SelectionOptions, OutputOptions {
  format: 'jsonl' | 'pcapng' | 'json';
}

export function configure(command: Command): void {
  command.addHelpText(
    'after',
    `
A recording that was cut off, by a crash or a full disk, is read up to where it is whole; stderr says what is
missing.

Examples:
  kbus recording info run.mcap
  kbus recording show run.mcap '$.Room.*' --from 10s --to 20s --events
  kbus recording filter run.mcap '$.Room.*' -o room.mcap
  kbus recording merge one.mcap two.mcap -o both.mcap
  kbus recording export run.mcap --format pcapng -o run.pcapng`,
  );
  command
    .command('info')
    .description(
      'Say what is in a recording: how long, how many messages, of which names, what was lost.',
    )
    .argument('<file>', 'a recording')
    .option('--json', 'print JSON')
    .action(refusing(info));
  addShowOptions(addSelection(command.command('show')))
    .description('Print the messages of a recording, as kbus listen does.')
    .option('--events', 'print everything that happened, not only messages')
    .option('--json', 'print JSON: one object per line')
    .action(refusing(show));
  addOutput(addSelection(command.command('filter')))
    .description('Write a part of a recording to another file.')
    .action(refusing(filterTo));
  addOutput(command.command('merge').argument('<files...>', 'recordings'))
    .description('Write several recordings to one file, in the order of their times.')
    .action(refusing(mergeTo));
  addOutput(addSelection(command.command('export')))
    .description('Write a recording in a format of other programs.')
    .addOption(
      command
        .createOption(
          '--format <format>',
          'jsonl: a JSON object per line; json: MCAP with messages as JSON, for viewers; pcapng: packets of link type USER0',
        )
        .choices(['jsonl', 'json', 'pcapng'])
        .default('jsonl'),
    )
    .action(refusing(exportTo));
}

function addOutput(command: Command): Command {
  return command
    .requiredOption('-o, --output <file>', 'the file to write; it must not exist yet', outputFile)
    .option('--force', 'replace the file if it exists');
}

/** An action whose files may be wrong. */
function refusing<A extends unknown[]>(action: (...args: A) => Promise<void>) {
  return async (...args: A): Promise<void> => {
    try {
      await action(...args);
    } catch (error) {
      throw error instanceof FileError ? fileFailure(error) : error;
    }
  };
}

/** Calls `each` with all events; says at the end what is wrong with the file. True if nothing is. */
export async function eachEvent(
  path: string,
  each: (one: RecordedEvent) => Promise<unknown> | undefined | void,
): Promise<boolean> {
  const recording = await openRecording(path);
  try {
    for await (const batch of recording.batches()) {
      for (const one of batch) await each(one);
      ending.throwIfAborted();
    }
    sayFaults(path, recording.faults);
    return recording.faults.length === 0;
  } finally {
    await recording.close();
  }
}

function sayFaults(path: string, faults: readonly string[]): void {
  for (const fault of faults) remark(`${path}: ${fault}`);
}

async function info(path: string, options: { json?: true }): Promise<void> {
  const summary = new Summary();
  const recording = await openRecording(path);
  try {
    for await (const batch of recording.batches())
      for (const { event } of batch) summary.add(event);
    await (options.json
      ? printJson(jsonOfSummary(recording, summary))
      : print(textOfSummary(recording, summary)));
  } finally {
    await recording.close();
  }
}

const MAX_PRINTED_NAMES = 20;

const PLURALS: Readonly<Record<string, string>> = { Reply: 'Replies', Status: 'Statuses' };

const byMessages = ({ names }: Summary) =>
  [...names].sort(([, a], [, b]) => b.messages - a.messages);

function jsonOfSummary({ faults, isComplete, path, size }: Recording, summary: Summary): object {
  const { buses, events, first, kinds, ksocks, last, lostEvents, lostMessages, messages } = summary;
  return {
    path,
    size,
    complete: isComplete,
    faults,
    buses: [...buses],
    first: isoTime(first),
    last: isoTime(last),
    events,
    messages,
    bytes: summary.bytes,
    kinds: Object.fromEntries(kinds),
    refused: summary.refused,
    missed: summary.missed,
    lostEvents,
    lostMessages,
    ksocks: ksocks.size,
    names: byMessages(summary).map(([name, one]) => ({ name, ...one })),
  };
}

function textOfSummary({ faults, isComplete, path, size }: Recording, summary: Summary): string {
  const { buses, events, first, kinds, ksocks, last, lostEvents, lostMessages } = summary;
  const ms = (last - first) / 1000;
  const lines = [
    `${escaped(path)}: ${bytes(size)}, ${isComplete ? 'complete' : 'NOT complete'}`,
    ...faults.map((fault) => `  ${fault}`),
  ];
  if (events === 0) return `${[...lines, 'It has no events.'].join('\n')}\n`;
  const of = [...kinds].map(([kind, number]) => counted(number, kind, PLURALS[kind]));
  lines.push(
    `Of bus ${[...buses].join(', ')}, from ${isoTime(first)} on, for ${duration(Math.max(ms, 0.001))}`,
    `${counted(summary.messages, 'message')}, ${bytes(summary.bytes)} of data${of.length > 0 ? `: ${of.join(', ')}` : ''}`,
    `${counted(events, 'event')} in all, of ${counted(ksocks.size, 'Ksock')}; ${counted(summary.refused, 'message')} refused, ${count(summary.missed)} missed`,
  );
  if (lostEvents > 0) {
    lines.push(
      `LOST: ${counted(lostEvents, 'event')}, with ${counted(lostMessages, 'message')}: the disk was too slow`,
    );
  }
  const names = byMessages(summary);
  if (names.length > 0) {
    const align = 'right';
    const columns = [
      { heading: 'name', max: 60 },
      ...['messages', 'data'].map((heading) => ({ heading, align }) as const),
    ];
    const rows = names
      .slice(0, MAX_PRINTED_NAMES)
      .map(([name, one]) => [name, count(one.messages), bytes(one.bytes)]);
    lines.push('', ...table(columns, rows));
    const others = names.length - rows.length;
    if (others > 0) lines.push(`and ${counted(others, 'other name')}`);
  }
  return `${lines.join('\n')}\n`;
}

async function show(
  path: string,
  names: string[],
  { events, ...options }: ShowRecordingOptions,
): Promise<void> {
  const selector = new Selector(selectionOf(names, options));
  const printer = new Printer();
  try {
    await eachEvent(path, (one) => {
      const { event } = one;
      if (!selector.chooses(event)) return;
      if (event.type !== 'messages' && !events) return;
      return printer.print(
        options.json ? `${escapedJson(jsonOfEvent(one))}\n` : lineOf(one, options),
      );
    });
  } finally {
    await printer.finish();
  }
}

function lineOf({ event }: RecordedEvent, options: ShowOptions): string {
  const time = isoTime(event.time);
  if (event.type !== 'messages' && event.type !== 'refused') {
    return `${time} ${escaped(describe(event))}\n`;
  }
  const [message] = event.messages;
  if (message === undefined) return '';
  const cut = message.wholeLength > message.dataLength ? ` (of ${message.wholeLength} bytes)` : '';
  const text = showMessage(message, options).trimEnd();
  const refused =
    event.type === 'refused' ? `Ksock ${event.ksock} may not send (${nameOf(event.errno)}): ` : '';
  return `${time} ${refused}${text}${cut}\n`;
}

async function filterTo(
  path: string,
  names: string[],
  options: SelectionOptions & OutputOptions,
): Promise<void> {
  const { force = false, output } = options;
  notTheSame([path], output);
  told(await filter(path, output, selectionOf(names, options), force, sayFaults), output);
}

async function mergeTo(paths: string[], { force = false, output }: OutputOptions): Promise<void> {
  notTheSame(paths, output);
  told(await merge(paths, output, force, sayFaults), output);
}

async function exportTo(path: string, names: string[], options: ExportOptions): Promise<void> {
  const { force = false, output } = options;
  notTheSame([path], output);
  const selector = new Selector(selectionOf(names, options));
  const recording = await openRecording(path);
  await recording.close();
  const disk = await DiskFile.create(output, force);
  const format = FORMATS[options.format]();
  let pieces: Uint8Array[] = format.begin();
  let length = 0;
  let events = 0;
  const flush = async (): Promise<void> => {
    if (pieces.length > 0) disk.append(Buffer.concat(pieces));
    pieces = [];
    length = 0;
    await disk.ready();
  };
  await eachEvent(path, (one) => {
    if (!selector.chooses(one.event)) return;
    events++;
    const piece = format.add(one);
    if (piece === null) return;
    pieces.push(piece);
    length += piece.length;
    return length >= EXPORT_PIECE_BYTES ? flush() : undefined;
  });
  pieces.push(...format.end());
  await flush();
  await disk.close();
  remark(`wrote ${counted(events, 'event')}, ${bytes(disk.safeBytes)}, to ${output}`);
}

/** A format of other programs: bytes for its beginning, for each event, and for its end. */
interface ExportFormat {
  begin(): Uint8Array[];
  add(one: RecordedEvent): Uint8Array | null;
  end(): Uint8Array[];
}

const FORMATS: Record<ExportOptions['format'], () => ExportFormat> = {
  jsonl: () => {
    const encoder = new TextEncoder();
    const add = (one: RecordedEvent): Uint8Array =>
      encoder.encode(`${JSON.stringify(jsonOfEvent(one))}\n`);
    return { begin: () => [], add, end: () => [] };
  },
  pcapng: () => ({ begin: () => [pcapngHead()], add: pcapngPacket, end: () => [] }),
  json: () => {
    const mcap = new JsonMcap();
    return { begin: () => [mcap.begin()], add: (one) => mcap.add(one), end: () => mcap.end() };
  },
};

const EXPORT_PIECE_BYTES = 1024 * 1024;

function notTheSame(paths: readonly string[], output: string): void {
  if (!paths.includes(output)) return;
  throw new Failure(Exit.USAGE, `${output} is read and written at once; give another --output`);
}

function told({ bytes: size, events, messages }: Rewritten, output: string): void {
  remark(
    `wrote ${counted(messages, 'message')}, ${counted(events, 'event')} in all, ${bytes(size)}, to ${output}`,
  );
}
