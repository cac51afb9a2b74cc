import type { Command } from 'commander';
import { escaped, escapedJson } from '../base/escape.ts';
import { count, counted } from '../base/units.ts';
import type { Tap } from '../client/tap.ts';
import { timerMs } from '../client/time-limit.ts';
import { REPORT } from '../limpet/bus-side.ts';
import { codeOf } from '../message/errno.ts';
import { faultOfName } from '../message/name.ts';
import { type Journey, Journeys } from '../seeing/journeys.ts';
import { type Party, recipientsOf } from '../seeing/recipients.ts';
import { TapClock } from '../seeing/tap-clock.ts';
import { type Onward, treeOf } from '../seeing/tree.ts';
import { whoOf } from '../seeing/who.ts';
import { BusView } from '../tap/bus-view.ts';
import type { TapEvent } from '../tap/events.ts';
import { timeSpan, typedName, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions } from './bus-options.ts';
import { Ending, end, untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { openTap } from './open-tap.ts';
import { print, printJson, remark } from './output.ts';
import { Printer } from './printer.ts';

/** A message of which nothing new comes for so long is printed as it stands. */
const PATIENCE_MS = 5000;
/** How long a message that is done here may take to come out of a Limpet on another bus. */
const LIMPET_MS = 500;

interface TraceOptions extends BusOptions {
  count?: number;
  for?: number;
  also?: number[];
  patience: number;
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
    .option('--also <bus...>', 'follow messages through Limpets to these buses, too', buses)
    .option(
      '--patience <time>',
      'print a message that is not done after this time as it stands',
      timeSpan,
      PATIENCE_MS,
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
  kbus trace '$.Heater.Set' --dry-run`,
    )
    .action(trace);
}

/** Parses the numbers of buses, one at each call. */
function buses(text: string, before: number[] = []): number[] {
  return [...before, wholeNumber(0, 0xffff_ffff)(text)];
}

/** Which messages are followed, and by which names the daemon chooses them. */
interface Subject {
  readonly names: readonly string[] | undefined;
  readonly wants: (message: { id: object; inReplyTo: object }) => boolean;
  /** Whether a message is printed that belongs to no Request which is followed. */
  readonly isRoot: (journey: Journey) => boolean;
}

function subjectOf(what: string): Subject {
  const [, network, serial] = what.match(/^\[?(\d+):(\d+)\]?$/) ?? [];
  if (network !== undefined) {
    const id = `[${Number(network)}:${Number(serial)}]`;
    const wants = (message: { id: object; inReplyTo: object }): boolean =>
      String(message.id) === id || String(message.inReplyTo) === id;
    return { names: undefined, wants, isRoot: ({ id: own }) => String(own) === id };
  }
  const fault = faultOfName(typedName(what), 'binding');
  if (fault !== undefined) {
    throw new Failure(Exit.USAGE, `'${escaped(what)}' can't be followed: ${fault}`);
  }
  // Statuses have names of their own.
  return { names: [what, '$.KBUS.*'], wants: () => true, isRoot: isOfItsOwn };
}

/** No bind event; and no answer to a Request that was sent before, unless it was refused. */
function isOfItsOwn({ from, kind, sent }: Journey): boolean {
  const isAnswer = kind === 'Reply' || kind === 'Status';
  return from !== 0 && (!isAnswer || sent?.how === 'refused');
}

async function trace(what: string, options: TraceOptions): Promise<void> {
  if (options.dryRun) return dryRun(typedName(what), options);
  const subject = subjectOf(what);
  const { names } = subject;
  const numbers = [...new Set([options.bus, ...(options.also ?? [])])];
  const trees = new Trees(options);
  try {
    for (const bus of numbers) {
      const tap = await openTap({ ...options, bus }, { data: 0, ...(names && { names }) });
      trees.follow(new Followed(tap, subject, (journey, by) => trees.finished(journey, by)));
    }
    await untilEnded(trees.ready);
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

/** The trees of all buses, as they are printed. */
class Trees {
  readonly printer = new Printer();
  printed = 0;
  private readonly options: TraceOptions;
  private readonly followed: Followed[] = [];
  /** Printed as they stood, once each. */
  private readonly told = new WeakSet<Journey>();
  private readonly timer: NodeJS.Timeout;
  private end: () => void = () => {};
  readonly done = new Promise<void>((resolve) => {
    this.end = resolve;
  });

  constructor(options: TraceOptions) {
    this.options = options;
    this.timer = setInterval(() => this.tellOfUnfinished(options.patience), LOOK_MS);
  }

  follow(one: Followed): void {
    this.followed.push(one);
  }

  get ready(): Promise<unknown> {
    return Promise.all(this.followed.map(({ ready }) => ready));
  }

  /** Nothing more can become of a message on this bus. */
  finished(journey: Journey, by: Followed): void {
    if (this.isCarried(journey, by)) return;
    if (this.followed.length === 1) this.print(journey, by);
    else setTimeout(() => this.print(journey, by), LIMPET_MS);
  }

  /** A Limpet has brought it from another bus that is followed, and it is printed with what became of it there. */
  private isCarried({ id }: Journey, by: Followed): boolean {
    return (
      id.networkId !== 0 &&
      this.followed.some((other) => other !== by && other.limpets.includes(id.networkId))
    );
  }

  private onwardOf(journey: Journey, by: Followed): Onward[] {
    const { networkId, serialNum } = journey.id;
    if (networkId !== 0) return [];
    return this.followed.flatMap((other) => {
      if (other === by) return [];
      return by.limpets.flatMap((limpet) => {
        const there = other.find(`[${limpet}:${serialNum}]`);
        if (there === undefined || there.name !== journey.name) return [];
        const after = Math.max(0, other.timeOf(there) - by.timeOf(journey));
        return [{ limpet, journey: there, after: after * 1000, now: other.now }];
      });
    });
  }

  private tellOfUnfinished(patience: number): void {
    for (const by of this.followed) {
      for (const journey of by.journeys.unfinished) {
        if (by.now - journey.at < patience * 1000) break;
        if (this.told.has(journey) || !by.isRoot(journey) || this.isCarried(journey, by)) continue;
        this.told.add(journey);
        this.write(journey, by);
      }
    }
  }

  private print(journey: Journey, by: Followed): void {
    if (this.printed === this.options.count) return;
    this.printed++;
    this.write(journey, by);
    if (this.printed === this.options.count) this.end();
  }

  private write(journey: Journey, by: Followed): void {
    const onward = (one: Journey): Onward[] => this.onwardOf(one, by);
    if (this.options.json) {
      const json = journeyJson(journey, by.timeOf(journey), onward(journey));
      void this.printer.print(`${escapedJson(json)}\n`);
      return;
    }
    const bus = this.followed.length === 1 ? '' : `bus ${journey.bus} `;
    const timeOf = (one: Journey): string => `${timeOfDay(by.timeOf(one))} ${bus}`.trimEnd();
    const lines = treeOf(journey, { timeOf, now: by.now, onward });
    void this.printer.print(`${lines.join('\n')}\n`);
  }

  /** Prints what is not finished, as it stands. */
  finish(): void {
    this.tellOfUnfinished(0);
    void this.printer.finish();
  }

  close(): void {
    clearInterval(this.timer);
    for (const { tap } of this.followed) tap.close();
  }
}

/** How often it is looked for messages that are not done. */
const LOOK_MS = 200;
/** How many finished messages of a bus are kept, for those that Limpets carry. */
const MAX_KEPT = 10_000;

/** One bus, and what becomes of its messages. */
class Followed {
  readonly tap: Tap;
  readonly journeys: Journeys;
  readonly ready: Promise<void>;
  readonly isRoot: Subject['isRoot'];
  private readonly clock = new TapClock();
  private readonly kept = new Map<string, Journey>();
  private startedAt = 0;

  constructor(
    tap: Tap,
    { isRoot, wants }: Subject,
    finished: (one: Journey, by: Followed) => void,
  ) {
    this.tap = tap;
    this.isRoot = isRoot;
    this.journeys = new Journeys(wants, (journey) => {
      this.keep(journey);
      if (isRoot(journey)) finished(journey, this);
    });
    this.ready = new Promise((resolve) => {
      this.read(resolve).catch(end);
    });
  }

  private async read(ready: () => void): Promise<void> {
    for await (const events of this.tap.batches()) {
      for (const event of events) this.apply(event, ready);
      const last = events.at(-1);
      if (last !== undefined) this.clock.note(last.time, performance.now() * 1000);
    }
  }

  private apply(event: TapEvent, ready: () => void): void {
    if (event.type === 'begin') this.startedAt = event.startedAt;
    this.journeys.apply(event);
    if (event.type === 'ready') ready();
  }

  private keep(journey: Journey): void {
    this.kept.set(String(journey.id), journey);
    if (this.kept.size > MAX_KEPT) this.kept.delete(this.kept.keys().next().value as string);
  }

  /** A message by its id, finished or not. */
  find(id: string): Journey | undefined {
    return this.kept.get(id) ?? this.journeys.unfinished.find((one) => String(one.id) === id);
  }

  /** The network ids of the Limpets of this bus. */
  get limpets(): number[] {
    return [...this.journeys.view.bindings.values()]
      .filter(({ name, replier }) => replier && name.startsWith(REPORT))
      .map(({ name }) => Number(name.slice(REPORT.length)));
  }

  /** The time of the tap, in microseconds. */
  get now(): number {
    return this.clock.at(performance.now() * 1000);
  }

  /** When a message was sent, in milliseconds since 1970. */
  timeOf({ at }: Journey): number {
    return this.startedAt + at / 1000;
  }
}

function timeOfDay(ms: number): string {
  const date = new Date(ms);
  const time = [date.getHours(), date.getMinutes(), date.getSeconds()];
  const parts = time.map((part) => String(part).padStart(2, '0'));
  return `${parts.join(':')}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** A message as JSON: times are milliseconds since it was sent. */
function journeyJson(journey: Journey, time: number, onward: readonly Onward[]): object {
  const { answer, at, copies, givenUp, sent, waitedAt, ...fields } = journey;
  const after = (us: number): number => (us - at) / 1000;
  return {
    ...fields,
    time: new Date(time).toISOString(),
    at: undefined,
    waited: waitedAt === null ? null : after(waitedAt),
    sent: sent && {
      how: sent.how,
      after: after(sent.at),
      ...(sent.errno !== 0 && { errno: codeOf(sent.errno) }),
    },
    copies: copies.map(({ bindingNumber, end: left, queuedAt, ...copy }) => ({
      ...copy,
      queued: after(queuedAt),
      end: left && { how: left.how, after: after(left.at) },
    })),
    answer: answer && {
      id: answer.id,
      status: answer.status,
      who: answer.who,
      after: after(answer.at),
    },
    givenUp: givenUp && {
      isTakenBack: givenUp.isTakenBack,
      hasLeft: givenUp.hasLeft,
      after: after(givenUp.at),
    },
    onward: onward.map(({ limpet, journey: there }) => ({
      limpet,
      ...journeyJson(there, time, []),
    })),
  };
}

/** Prints who would get a message of this name now, and who would not. */
async function dryRun(name: string, options: TraceOptions): Promise<void> {
  const fault = faultOfName(name, 'message');
  if (fault !== undefined) {
    throw new Failure(Exit.USAGE, `'${escaped(name)}' can't be sent: ${fault}`);
  }
  const tap = await openTap(options, { data: 0, kinds: [] });
  try {
    const view = await untilEnded(stateOf(tap));
    const { listeners, near, others, replier } = recipientsOf(view, name);
    if (options.json) {
      await printJson({ name, replier, others, listeners, near });
      return;
    }
    const lines: string[] = [];
    const part = (heading: string, parties: readonly Party[], nobody = ''): void => {
      if (parties.length > 0) lines.push(heading, ...parties.map((party) => `  ${textOf(party)}`));
      else if (nobody !== '') lines.push(nobody);
    };
    const got = listeners.filter(({ why }) => why === '');
    const asked = replier === null || replier.why !== '' ? [] : [replier];
    const nobody = replier === null ? 'nobody: KBUS would refuse it with EADDRNOTAVAIL' : 'nobody';
    part(
      `a Request ${name} would be answered by`,
      asked,
      `a Request ${name} would be answered by ${nobody}`,
    );
    part(`a message ${name} would be heard by`, got, `a message ${name} would be heard by nobody`);
    const not = [
      ...(replier !== null && asked.length === 0 ? [replier] : []),
      ...others,
      ...listeners.filter(({ why }) => why !== ''),
      ...near,
    ];
    part('it would not go to', not);
    await print(`${lines.join('\n')}\n`);
  } finally {
    tap.close();
  }
}

/** The state of the bus, as it is now. */
async function stateOf(tap: Tap): Promise<BusView> {
  const view = new BusView();
  for await (const event of tap) {
    view.apply(event);
    if (event.type === 'ready') return view;
  }
  return view;
}

function textOf({ binding, ksock, why }: Party): string {
  const does = binding.replier ? 'replies to' : 'listens to';
  const queue = `${count(ksock.unread)} of ${count(ksock.maxMessages)} in its queue`;
  return `${whoOf(ksock)}, which ${does} ${binding.name}: ${why === '' ? queue : why}`;
}
