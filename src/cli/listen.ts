import { type Command, InvalidArgumentError } from 'commander';
import { timerMs } from '../client/time-limit.ts';
import type { MessageKind } from '../message/fields.ts';
import type { Message } from '../message/message.ts';
import { timeSpan, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { eachMessage } from './each-message.ts';
import { end } from './ending.ts';
import { Heard } from './heard.ts';
import { type Format, formatNamed } from './message-format.ts';
import { MissedMessages } from './missed.ts';
import { remark } from './output.ts';
import { Printer } from './printer.ts';
import { addShowOptions, type ShowOptions, showMessage } from './show.ts';

/** The queue's length: larger than a program's, so that watching a bus does not slow its senders down. */
const MAX_QUEUED_MESSAGES = 100_000;

interface ListenOptions extends BusOptions, ShowOptions {
  count?: number;
  /** Milliseconds. */
  for?: number;
  from?: number[];
  announcements?: true;
  requests?: true;
  replies?: true;
  timestamps?: true;
  format?: Format;
  queue: number;
  json?: true;
}

export function configure(command: Command): void {
  addShowOptions(addBusOptions(command))
    .argument(
      '<names...>',
      "names to listen to, such as '$.Actor.Speak', or wildcards: '$.Actor.*'",
    )
    .option('-n, --count <number>', 'end after this many messages', wholeNumber(1, 0xffff_ffff))
    .option('--for <time>', 'end after this time, such as 10s, 500ms or 2min', timeSpan)
    .option('--announcements', 'print Announcements only; or, with the next two, these as well')
    .option('--requests', 'print Requests only')
    .option('--replies', 'print Replies only')
    .option(
      '--from <ksock>',
      'print only what this Ksock sends (kbus stats shows ids); may be given several times',
      ids,
    )
    .option('--timestamps', 'begin each message with the time at which it came here')
    .addOption(
      command
        .createOption(
          '--format <format>',
          "line, jsonl, hex, or a template: '{time} {name} {data}'",
        )
        .argParser(formatNamed)
        .conflicts(['json', 'full', 'dump', 'timestamps']),
    )
    .option(
      '--queue <messages>',
      'how many messages may wait to be printed before some are missed',
      wholeNumber(1, 0x7fff_ffff),
      MAX_QUEUED_MESSAGES,
    )
    .addHelpText(
      'after',
      `
Prints each message as it arrives, until Ctrl-C. In a name, * at the end matches all names below it, and %
matches any one word. A message that matches two of the names is printed twice. If messages arrive faster
than they can be printed, some are missed: stderr says how many. At the end, stderr has the rates.

A template has fields in braces, and {{ for a brace: {time}, {kind}, {name}, {id}, {from}, {to}, {inReplyTo}, {flags},
{size} (bytes of data), {data} (as text), {hex}.

Examples:
  kbus listen '$.*'
  kbus listen '$.Actor.Speak' '$.Room.%.Temp' --full
  kbus listen '$.Clock.Tick' --count 1 --json
  kbus listen '$.*' --for 10s --requests --replies --timestamps
  kbus listen '$.Room.*' --format '{time} {name}={data}'`,
    )
    .action(listen);
}

async function listen(names: string[], options: ListenOptions): Promise<void> {
  const bindings = names.map(typedName);
  const missed = new MissedMessages(options.queue);
  await using ksock = await openKsock(options, 'rw', {
    onMissed: ({ count }) => missed.add(count),
  });
  await answered(ksock.setMaxMessages(options.queue), options);
  for (const name of bindings) await answered(ksock.bind(name), options);
  remark(`listening to ${bindings.map((name) => `'${name}'`).join(', ')} on bus ${options.bus}`);
  // It must not keep the process alive.
  if (options.for !== undefined) setTimeout(() => end('time'), timerMs(options.for)).unref();
  const isWanted = filterOf(options);
  const show = showing(options);
  const heard = new Heard();
  const printer = new Printer();
  try {
    await eachMessage(ksock, options.count, (message) => {
      if (!isWanted(message)) return false;
      heard.add(message);
      return printer.print(show(message));
    });
  } finally {
    await printer.finish();
    missed.report();
    heard.report();
  }
}

/** Parses the ids of Ksocks, one at each call. */
function ids(text: string, before: number[] = []): number[] {
  if (!/^[1-9]\d{0,9}$/.test(text)) {
    throw new InvalidArgumentError('It must be the id of a Ksock, as kbus stats shows it.');
  }
  return [...before, Number(text)];
}

/** Which messages are to be printed. */
function filterOf({ from, ...options }: ListenOptions): (message: Message) => boolean {
  const kinds = new Set<MessageKind>();
  if (options.announcements) kinds.add('Announcement').add('ReplierBindEvent');
  if (options.requests) kinds.add('Request');
  if (options.replies) kinds.add('Reply').add('Status');
  return (message) =>
    (kinds.size === 0 || kinds.has(message.kind)) &&
    (from === undefined || from.includes(message.from));
}

/** How they are printed, each with an end of line. */
function showing({ format, timestamps, ...options }: ListenOptions): (message: Message) => string {
  if (format !== undefined) return (message) => format(message, new Date());
  if (!timestamps) return (message) => showMessage(message, options);
  return (message) => showMessage(message, options, new Date());
}
