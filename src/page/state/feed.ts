import { signal } from '@preact/signals';
import { KbusError } from '../../client/browser.ts';
import { observe, type Tap } from '../../client/browser-observe.ts';
import type { McapSource } from '../../recording/mcap-reader.ts';
import { Recording } from '../../recording/recording.ts';
import type { TrafficSnapshot } from '../../seeing/traffic.ts';
import { BusModel } from '../model/bus-model.ts';
import { type Entry, History } from '../model/history.ts';
import { Recorded } from '../model/recorded.ts';
import { partOf, recordingOf, type Saved } from '../model/saved-recording.ts';
import { BlobSource, ServedSource } from './mcap-sources.ts';
import { beats, touch } from './pulse.ts';
import { token } from './token.ts';

/** So many bytes of the data of a message are observed. */
export const DATA_BYTES = 16 * 1024;

/** Rates are of so many milliseconds. */
const INTERVAL_MS = 1000;

const FIRST_RETRY_MS = 250;
const LAST_RETRY_MS = 4000;

export interface Connection {
  readonly state: 'connecting' | 'connected' | 'lost' | 'reading' | 'recording';
  readonly text: string;
  /** What to do. */
  readonly advice: string;
}

const CONNECTING: Connection = { state: 'connecting', text: 'Connecting…', advice: '' };

export const connection = signal<Connection>(CONNECTING);

/** All that is known of the bus that is shown. */
export const model = signal(new BusModel());

export const traffic = signal<TrafficSnapshot>(model.value.traffic.snapshot(0));

let stop: () => void = () => {};

/** Shows a bus: connects to it, and again whenever the connection is lost. What was known of another bus is forgotten. */
export function follow(bus: number): void {
  stop();
  shown = null;
  const aborted = new AbortController();
  stop = () => aborted.abort();
  model.value = new BusModel();
  traffic.value = model.value.traffic.snapshot(0);
  connection.value = CONNECTING;
  void keepReading(bus, model.value, aborted.signal);
}

async function keepReading(bus: number, into: BusModel, signal: AbortSignal): Promise<void> {
  let delay = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const tap = await observe(bus, { token, data: DATA_BYTES, signal });
      delay = FIRST_RETRY_MS;
      await read(tap, bus, into);
    } catch (error) {
      if (signal.aborted) return;
      lost(error);
    }
    await pause(delay, signal);
    delay = Math.min(delay * 2, LAST_RETRY_MS);
  }
}

async function read(tap: Tap, bus: number, into: BusModel): Promise<void> {
  for (;;) {
    const block = await tap.nextBlock();
    if (block === null) return;
    const events = tap.eventsOf(block);
    const begins = events.some(({ type }) => type === 'begin');
    if (into.kept.add(block, begins)) tap.restate();
    into.apply(events, performance.now() * 1000);
    if (connection.value.state !== 'connected' && into.traffic.view.isComplete) {
      const text = `Connected to bus ${bus} of ${location.host}`;
      connection.value = { state: 'connected', text, advice: '' };
      look();
    }
    touch();
  }
}

function lost(error: unknown): void {
  const isDenied = error instanceof KbusError && error.code === 'EACCES';
  connection.value = {
    state: 'lost',
    text: error instanceof Error ? error.message : String(error),
    advice: isDenied
      ? 'Type “kbus web” in a terminal, and open the address that it prints.'
      : 'What is shown is what was known before. The page connects again by itself.',
  };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** So much of a recording is kept: the end of a long one. */
const RECORDED = { messages: 200_000, bytes: 256 * 1024 * 1024 };

/** The recording that is shown, or null. */
let shown: McapSource | null = null;

/** Shows a file that was given to the page, in place of the bus. */
export async function showFile(file: File): Promise<void> {
  await showRecording(file.name, async () => new BlobSource(file, file.name));
}

/** Shows the recording that the server of the page has: see `kbus web recording.mcap`. */
export async function showServed(name: string): Promise<void> {
  await showRecording(name, () => ServedSource.open(name, token()));
}

async function showRecording(name: string, open: () => Promise<McapSource>): Promise<void> {
  stop();
  const aborted = new AbortController();
  stop = () => aborted.abort();
  const into = new BusModel(new History(RECORDED));
  model.value = into;
  shown = null;
  const say = (state: 'reading' | 'recording' | 'lost', text: string, advice = ''): void => {
    connection.value = { state, text, advice };
  };
  say('reading', `Reading ${name}…`);
  try {
    const source = await open();
    const recording = await Recording.over(source);
    const recorded = new Recorded();
    for await (const batch of recording.batches()) {
      if (aborted.signal.aborted) return;
      into.apply(recorded.eventsOf(batch), performance.now() * 1000);
    }
    into.pairs.turn(into.latest);
    traffic.value = into.traffic.snapshot(into.latest);
    const faults = [...recording.faults];
    if (recorded.others > 0) {
      faults.push(`${recorded.others} events of the other recordings in it are not shown`);
    }
    shown = source;
    const what = `Recording ${name}: bus ${into.traffic.view.bus} as it was at the end, rates of all of it`;
    say('recording', what, faults.join('; '));
  } catch (error) {
    if (aborted.signal.aborted) return;
    say(
      'lost',
      error instanceof Error ? error.message : String(error),
      'Is it a file of kbus record?',
    );
  }
  beats.value++;
  touch();
}

/** The messages that fit a test, and what became of them, as a recording; with those of a bus, all that the tap told. */
export async function saved(test: (entry: Entry) => boolean): Promise<{ blob: Blob } & Saved> {
  const { history, kept } = model.value;
  const ids = new Set<string>();
  let isAll = true;
  for (let seq = history.first; seq < history.end; seq++) {
    const entry = history.get(seq) as Entry;
    if (test(entry)) ids.add(String(entry.message.id));
    else isAll = false;
  }
  let source = shown;
  if (source === null) {
    const whole = recordingOf(kept.all);
    const blob = new Blob(whole.pieces);
    if (isAll) return { ...whole, blob };
    source = new BlobSource(blob, 'the history of the page');
  }
  const part = await partOf(source, ids);
  return { ...part, blob: new Blob(part.pieces) };
}

/** The time of the model now, in microseconds; of a recording, its end. */
export function now(): number {
  if (connection.value.state === 'recording') return model.value.latest;
  return model.value.clock.at(performance.now() * 1000);
}

/** Takes the rates since the last look. */
function look(): void {
  const time = now();
  model.value.pairs.turn(time);
  traffic.value = model.value.traffic.snapshot(time);
  beats.value++;
}

/** Ages go on, and rates are taken, while the page is connected. */
export function keepLooking(): void {
  setInterval(() => {
    if (connection.value.state === 'connected') look();
  }, INTERVAL_MS);
}
