import process from 'node:process';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import { escaped } from '../base/escape.ts';
import { counted } from '../base/units.ts';
import { timerMs } from '../client/time-limit.ts';
import { checkBindingName } from '../message/name.ts';
import { printData } from '../message/print.ts';
import { FileError } from '../recording/file-error.ts';
import { Mock } from '../recording/mock.ts';
import { type Answer, type Difference, Replay, type Replayed } from '../recording/replay.ts';
import { Selector } from '../recording/selection.ts';
import { timeSpan, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, openKsock } from './bus-options.ts';
import { ended, untilEnded } from './ending.ts';
import { Exit } from './failure.ts';
import { print, printJson, remark } from './output.ts';
import { fileFailure } from './record.ts';
import { eachEvent } from './recording.ts';
import { addSelection, type SelectionOptions, selectionOf } from './selection-options.ts';
import { showMessage } from './show.ts';

type Rename = (name: string) => string;

interface ReplayOptions extends BusOptions, SelectionOptions {
  drive?: true;
  mock?: true;
  speed: number;
  step?: true;
  loop?: number | true;
  rename?: Rename;
  /** Milliseconds. */
  timeout: number;
}

const TIMEOUT_S = 10;

export function configure(command: Command): void {
  addBusOptions(addSelection(command))
    .option('--drive', 'also ask the Requests, and compare the answers with those in the recording')
    .addOption(
      command
        .createOption('--mock', 'send nothing, but be the Replier: answer as in the recording')
        .conflicts(['drive', 'step', 'loop']),
    )
    .option(
      '--speed <factor>',
      'this much faster, such as 10 or 0.5; or max: as fast as it goes',
      speed,
      1,
    )
    .option('--step', 'send a message each time you press Enter')
    .option('--loop [times]', 'again and again, or so many times', wholeNumber(1, 0xffff_ffff))
    .option(
      '--rename <old=new>',
      "send other names: '$.Plant=$.Test' for all that begin with $.Plant",
      rename,
    )
    .addOption(
      command
        .createOption('--timeout <time>', 'with --drive: how long to wait for an answer')
        .argParser(timeSpan)
        .default(TIMEOUT_S * 1000, `${TIMEOUT_S}s`),
    )
    .addHelpText(
      'after',
      `
Sends the Announcements of a recording again, with the pauses between them; Requests only with --drive. What was
sent after an answer is sent after that answer again. Messages that the bus refused are not sent.

With --drive, each answer that differs is printed, and the exit code is 1 if one does: so a recording is a test.
With --mock, a Request that is not in the recording gets an error, which says so.

Examples:
  kbus replay run.mcap --speed 10
  kbus replay run.mcap '$.Heater.*' --drive --speed max
  kbus replay run.mcap --mock
  kbus replay run.mcap --from 10s --to 20s --loop --rename '$.Plant=$.Test'`,
    )
    .action(replay);
}

function speed(text: string): number {
  const value = text === 'max' ? Number.POSITIVE_INFINITY : Number(text);
  if (text.trim() !== '' && value > 0) return value;
  throw new InvalidArgumentError('It must be a number greater than 0, such as 10 or 0.5; or max.');
}

/** Parses `$.Old=$.New`. `$` alone stands for all names. */
function rename(text: string): Rename {
  const [old = '', now = '', ...more] = text.split('=');
  const isPrefix = (one: string): boolean => one === '$' || checkBindingName(one) === 0;
  if (more.length > 0 || !isPrefix(old) || !isPrefix(now) || /[*%]/.test(text)) {
    throw new InvalidArgumentError(
      "It must be two beginnings of names, such as '$.Plant=$.Test' or '$=$.Test'.",
    );
  }
  return (name) =>
    name === old || name.startsWith(`${old}.`) ? `${now}${name.slice(old.length)}` : name;
}

async function replay(path: string, names: string[], options: ReplayOptions): Promise<void> {
  try {
    if (options.mock) await mock(path, names, options);
    else await send(path, names, options);
  } catch (error) {
    throw error instanceof FileError ? fileFailure(error) : error;
  }
}

const same: Rename = (name) => name;

async function send(path: string, names: string[], options: ReplayOptions): Promise<void> {
  const { drive = false, json, loop, rename = same, speed, timeout } = options;
  await using ksock = await openKsock(options);
  const lines = options.step ? stepper() : null;
  let began = performance.now();
  const replay = new Replay(ksock, {
    drives: drive,
    speed,
    rename,
    timeout,
    until: async (microseconds) => {
      const wait = microseconds / 1000 - (performance.now() - began);
      if (wait < 1 || lines !== null) return;
      await untilEnded(new Promise((resolve) => setTimeout(resolve, timerMs(wait))));
    },
    next: (message) => lines?.(showMessage(message, {}).trimEnd()),
    onDifference: (difference) => {
      different.push(print(`${textOf(difference)}\n`));
    },
    onRefused: (_message, error) => remark(error.message),
  });
  const different: Promise<void>[] = [];
  const times = loop === true ? Number.POSITIVE_INFINITY : (loop ?? 1);
  for (let time = 0; time < times; time++) {
    const selector = new Selector(selectionOf(names, options));
    began = performance.now();
    await eachEvent(path, (one) => {
      if (one.event.type !== 'messages' || !isChosen(selector, one.event)) return;
      return untilEnded(replay.event(one));
    });
    await untilEnded(replay.finish());
    if (replay.replayed.announced + replay.replayed.asked === 0) break;
  }
  await Promise.all(different);
  await (json ? printJson(replay.replayed) : tell(replay.replayed, drive));
  if (replay.replayed.different > 0 || replay.replayed.refused > 0) process.exitCode = Exit.REFUSED;
}

/** Answers to Requests that are chosen must be known, whichever kinds are. */
function isChosen(selector: Selector, event: Parameters<Selector['chooses']>[0]): boolean {
  const [message] = event.type === 'messages' ? event.messages : [];
  return selector.chooses(event) || message?.isReply() === true;
}

/** Waits for a line of stdin before each message, which it shows. */
function stepper(): (text: string) => Promise<void> {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  return async (text) => {
    remark(`Enter sends: ${text}`);
    const { done } = await untilEnded(lines.next());
    if (done) process.exit();
  };
}

function tell(replayed: Replayed, drive: boolean): void {
  const { announced, asked, cut, different, refused, same, unknown } = replayed;
  const parts = [`sent ${counted(announced, 'Announcement')}`];
  if (drive) {
    parts.push(
      `asked ${counted(asked, 'Request')}: ${same} answered as in the recording, ${different} not`,
    );
    if (unknown > 0) parts.push(`${unknown} of which the recording has no answer`);
  }
  if (refused > 0) parts.push(`${counted(refused, 'message')} refused`);
  if (cut > 0)
    parts.push(
      `${counted(cut, 'message')} not sent: the recording has the beginning of the data only`,
    );
  remark(parts.join('; '));
}

function textOf({ now, request, then }: Difference): string {
  return `${showMessage(request, {}).trimEnd()}\n  then: ${answerText(then)}\n  now:  ${answerText(now)}`;
}

const MAX_SHOWN_BYTES = 200;

function answerText({ data, name, wholeLength }: Answer): string {
  const shown = data.length === 0 ? '' : ` ${printData(data.subarray(0, MAX_SHOWN_BYTES))}`;
  const more =
    wholeLength > Math.min(data.length, MAX_SHOWN_BYTES) ? ` (${wholeLength} bytes)` : '';
  return `${escaped(name)}${shown}${more}`;
}

async function mock(path: string, names: string[], options: ReplayOptions): Promise<void> {
  const mock = new Mock(path, options.rename ?? same);
  const selector = new Selector(selectionOf(names, options));
  await eachEvent(path, (one) => {
    if (isChosen(selector, one.event)) mock.learn(one);
  });
  // The requester is told, and the number is told at the end.
  await using ksock = await openKsock(options, 'rw', { onHandlerError: () => {} });
  for (const name of mock.names) {
    await answered(
      ksock.replier(name, (request) => mock.answer(request)),
      options,
    );
  }
  remark(
    `answering Requests of ${counted(mock.names.size, 'name')} on bus ${options.bus}, as in ${path}`,
  );
  await ended();
  remark(`${counted(mock.answered, 'Request')} answered, ${mock.unknown} not in the recording`);
}
