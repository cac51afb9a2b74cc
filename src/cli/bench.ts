import process from 'node:process';
import type { Command } from 'commander';
import type { Ksock } from '../client/ksock.ts';
import { inFigures } from '../measure/figures.ts';
import { MIN_SIZE } from '../measure/stamp.ts';
import { matches } from '../message/name.ts';
import { seconds, wholeNumber } from './arguments.ts';
import { addBusOptions, type BusOptions, directoryOf, openKsock } from './bus-options.ts';
import { untilEnded } from './ending.ts';
import { Exit, Failure } from './failure.ts';
import { FarEnd, type TimedAsked, type Told, telling, timedAsking } from './near-end.ts';
import { print, printJson, remark } from './output.ts';

interface BenchOptions extends BusOptions {
  size?: number;
  /** In milliseconds. */
  seconds: number;
  inFlight: number;
}

/** Bytes of data, unless the options say: what messages a second, and bytes a second, are mostly asked of. */
const SMALL = 64;
const LARGE = 65_536;

/** How many bytes, and how many messages, may wait to be heard: more would make nothing faster. */
const QUEUED = 16 * 1024 * 1024;
const QUEUE = 10_000;
/** Milliseconds, at most, before those that are measured: programs get faster in their first moments. */
const WARM_UP = 1000;

export function configure(command: Command): void {
  addBusOptions(command)
    .option(
      '--size <bytes>',
      `bytes of data in each message (default: ${SMALL}, and announcements of ${LARGE}, too)`,
      wholeNumber(MIN_SIZE, 1024 * 1024 * 1024),
    )
    .addOption(
      command
        .createOption('--seconds <number>', 'how long each measurement takes')
        .argParser(seconds)
        .default(2000, '2'),
    )
    .option(
      '--in-flight <number>',
      'Requests that are under way at a time',
      wholeNumber(1, QUEUE),
      1,
    )
    .addHelpText(
      'after',
      `
Measures a bus that runs: how long a Request takes to its Reply, and how many Announcements, and bytes of
them, get from one program to another in a second, each of them checked. The programs are this one and
another that it starts; their messages are $.Bench.<process id>.Ask and $.Bench.<process id>.Tell. Whoever
else uses the bus has less of it meanwhile; who listens to '$.*' hears all of it, and slows it down.

Examples:
  kbus bench
  kbus bench --bus 1 --size 1000 --seconds 10
  kbus bench --in-flight 64 --json`,
    )
    .action(bench);
}

async function bench(options: BenchOptions): Promise<void> {
  const { bus, seconds: time, inFlight, size = SMALL, json } = options;
  const name = `$.Bench.${process.pid}`;
  const warmUp = Math.min(time / 2, WARM_UP);
  await using ksock = await openKsock(options);
  if (inFlight > (await untilEnded(ksock.maxMessages()))) {
    await untilEnded(ksock.setMaxMessages(inFlight));
  }
  await untilEnded(sayWhoElse(ksock, `${name}.Tell`));
  await using far = new FarEnd(bus, await directoryOf(options), `${name}.Ask`, inFlight);
  await far.ready();
  remark(`measuring bus ${bus} by messages ${name}.*; Ctrl-C ends it`);

  const ask = timedAsking(ksock, far, `${name}.Ask`, { size, inFlight });
  await ask(warmUp);
  const asked = await ask(time);
  await (json
    ? printJson(jsonOfAsked(`${name}.Ask`, size, inFlight, asked))
    : print(textOfAsked(size, inFlight, asked)));
  if (asked.wrong > 0) throw bug(`${asked.wrong} Replies were not to their Requests`);

  for (const each of options.size === undefined ? [SMALL, LARGE] : [size]) {
    const maxMessages = Math.min(QUEUE, Math.max(2, Math.floor(QUEUED / each)));
    await far.listen({ name: `${name}.Tell`, size: each, maxMessages });
    const tell = telling(ksock, far, `${name}.Tell`, each);
    await tell(warmUp);
    const told = await tell(time);
    await (json
      ? printJson(jsonOfTold(`${name}.Tell`, each, told))
      : print(textOfTold(each, told)));
    if (told.lost > 0) throw bug(`${told.lost} Announcements were lost`);
    if (told.wrong > 0) throw bug(`${told.wrong} Announcements came changed, twice or out of turn`);
  }
}

function bug(what: string): Failure {
  return new Failure(Exit.BUG, `${what}: this is a bug in kbus; please report it`);
}

/** Who hears the messages of a measurement changes what it measures. */
async function sayWhoElse(ksock: Ksock, name: string): Promise<void> {
  const bindings = await ksock.readBindings();
  const others = bindings.filter((one) => !one.replier && matches(one.name, name));
  if (others.length === 0) return;
  const names = [...new Set(others.map((one) => `'${one.name}'`))].join(', ');
  const many = others.length === 1 ? 'one Listener hears' : `${others.length} Listeners hear`;
  remark(`${many} the announcements of this, too, by ${names}, and will slow them down`);
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
  return `Announcements of ${inBytes(size)}, one to one: ${rate} a second, ${megabytes} MB/s (${all}: all heard, in order)\n`;
}

function inBytes(size: number): string {
  return `${size.toLocaleString('en')} bytes`;
}
