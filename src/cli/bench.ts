import process from 'node:process';
import type { Command } from 'commander';
import type { Ksock } from '../client/ksock.ts';
import { inFigures } from '../measure/figures.ts';
import { MIN_SIZE } from '../measure/stamp.ts';
import type { KbusError } from '../message/error.ts';
import { matches } from '../message/name.ts';
import { timeSpan, wholeNumber } from './arguments.ts';
import { addBusOptions, answered, type BusOptions, directoryOf, openKsock } from './bus-options.ts';
import { Exit, Failure } from './failure.ts';
import { FarEnd, type TimedAsked, type Told, telling, timedAsking } from './near-end.ts';
import { print, printJson, remark } from './output.ts';

interface BenchOptions extends BusOptions {
  size?: number;
  /** In milliseconds. */
  seconds: number;
  inFlight: number;
}

/** Bytes of data, unless the options say: one size for messages a second, and one for bytes a second. */
const SMALL_BYTES = 64;
const LARGE_BYTES = 65_536;

/** How many bytes and messages the listener's queue holds. A longer queue would not be faster. */
const MAX_QUEUED_BYTES = 16 * 1024 * 1024;
const MAX_QUEUED_MESSAGES = 10_000;
/** At most how long the programs run before the measurement: they get faster at first. */
const WARM_UP_MS = 1000;

export function configure(command: Command): void {
  addBusOptions(command)
    .option(
      '--size <bytes>',
      `bytes of data in each message (default: ${SMALL_BYTES}, and announcements of ${LARGE_BYTES}, too)`,
      wholeNumber(MIN_SIZE, 1024 * 1024 * 1024),
    )
    .addOption(
      command
        .createOption('--seconds <time>', 'how long each measurement takes')
        .argParser(timeSpan)
        .default(2000, '2s'),
    )
    .option(
      '--in-flight <number>',
      'Requests in flight at a time',
      wholeNumber(1, MAX_QUEUED_MESSAGES),
      1,
    )
    .addHelpText(
      'after',
      `
Measures a running bus: the time from a Request to its Reply, and how many Announcements, and bytes of them,
go from one program to another in a second. It checks every message. The two programs are this one and another
that it starts; their messages are $.Bench.<process id>.Ask and $.Bench.<process id>.Tell. Meanwhile the bus is
slower for other programs, and a program that listens to '$.*' gets all these messages and slows them down.

Examples:
  kbus bench
  kbus bench --bus 1 --size 1000 --seconds 10
  kbus bench --in-flight 64 --json`,
    )
    .action(bench);
}

async function bench(options: BenchOptions): Promise<void> {
  const { bus, access, seconds: time, inFlight, size = SMALL_BYTES, json } = options;
  const name = `$.Bench.${process.pid}`;
  const warmUp = Math.min(time / 2, WARM_UP_MS);
  await using ksock = await openKsock(options);
  if (inFlight > (await answered(ksock.maxMessages(), options))) {
    await answered(ksock.setMaxMessages(inFlight), options);
  }
  await answered(warnOfListeners(ksock, `${name}.Tell`), options);
  const directory = await directoryOf(options);
  await using far = new FarEnd({ bus, directory, access }, `${name}.Ask`, inFlight);
  await answered(far.ready(), options);
  remark(`measuring bus ${bus} by messages ${name}.*; Ctrl-C ends it`);

  const ask = timedAsking(ksock, far, `${name}.Ask`, { size, inFlight });
  await answered(ask(warmUp), options, warmUp);
  const asked = await answered(ask(time), options, time);
  await (json
    ? printJson(jsonOfAsked(`${name}.Ask`, size, inFlight, asked))
    : print(textOfAsked(size, inFlight, asked)));
  if (asked.wrong > 0) throw bug(`${asked.wrong} Replies did not match their Requests`);

  for (const each of options.size === undefined ? [SMALL_BYTES, LARGE_BYTES] : [size]) {
    const maxMessages = Math.min(
      MAX_QUEUED_MESSAGES,
      Math.max(2, Math.floor(MAX_QUEUED_BYTES / each)),
    );
    await answered(far.listen({ name: `${name}.Tell`, size: each, maxMessages }), options);
    const tell = telling(ksock, far, `${name}.Tell`, each);
    await answered(tell(warmUp), options, warmUp);
    const told = await answered(tell(time), options, time);
    await (json
      ? printJson(jsonOfTold(`${name}.Tell`, each, told))
      : print(textOfTold(each, told)));
    if (told.lost > 0) throw bug(`${told.lost} Announcements were lost`);
    if (told.wrong > 0)
      throw bug(`${told.wrong} Announcements were changed, repeated or out of order`);
  }
}

function bug(what: string): Failure {
  return new Failure(Exit.BUG, `${what}: this is a bug in kbus; please report it`);
}

/** Warns of other listeners: they change the result. */
async function warnOfListeners(ksock: Ksock, name: string): Promise<void> {
  const bindings = await ksock.readBindings().catch((error: KbusError) => {
    // An access point need not show who else is there.
    if (error.code === 'EACCES') return [];
    throw error;
  });
  const others = bindings.filter((one) => !one.replier && matches(one.name, name));
  if (others.length === 0) return;
  const names = [...new Set(others.map((one) => `'${one.name}'`))].join(', ');
  const many =
    others.length === 1 ? 'one other Listener gets' : `${others.length} other Listeners get`;
  remark(`${many} these Announcements, bound to ${names}, and will slow them down`);
}

const PERCENTILES = { p50: 50, p90: 90, p99: 99, p999: 99.9 } as const;

function jsonOfAsked(
  name: string,
  size: number,
  inFlight: number,
  { latency, seconds, wrong }: TimedAsked,
): object {
  const { count, max, buckets } = latency;
  const percentiles = Object.entries(PERCENTILES).map(([key, percent]) => [
    key,
    latency.percentile(percent),
  ]);
  return {
    measured: 'requests',
    name,
    size,
    inFlight,
    count,
    wrong,
    seconds,
    perSecond: count / seconds,
    microseconds: { ...Object.fromEntries(percentiles), max },
    histogram: buckets,
  };
}

function jsonOfTold(name: string, size: number, { sent, seconds, lost, wrong }: Told): object {
  return {
    measured: 'announcements',
    name,
    size,
    count: sent,
    lost,
    wrong,
    seconds,
    perSecond: sent / seconds,
    megabytesPerSecond: (sent * size) / seconds / 1e6,
  };
}

function textOfAsked(size: number, inFlight: number, { latency, seconds }: TimedAsked): string {
  const times = Object.values(PERCENTILES).map(
    (percent) => `p${percent} ${inFigures(latency.percentile(percent))}`,
  );
  const rate = inFigures(latency.count / seconds);
  return `Requests of ${inBytes(size)}, ${inFlight} in flight: ${rate} a second. From Request to Reply, in µs:
  ${times.join('   ')}   max ${inFigures(latency.max)}
${latency.draw()}`;
}

function textOfTold(size: number, { sent, seconds }: Told): string {
  const [rate, megabytes] = [sent / seconds, (sent * size) / seconds / 1e6].map(inFigures);
  const all = sent.toLocaleString('en');
  return `Announcements of ${inBytes(size)}, one to one: ${rate} a second, ${megabytes} MB/s (${all}: all received, in order)\n`;
}

function inBytes(size: number): string {
  return `${size.toLocaleString('en')} bytes`;
}
