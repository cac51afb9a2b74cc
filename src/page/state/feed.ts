import { signal } from '@preact/signals';
import { KbusError } from '../../client/browser.ts';
import { observe, type Tap } from '../../client/browser-observe.ts';
import { Recording } from '../../recording/recording.ts';
import type { TrafficSnapshot } from '../../seeing/traffic.ts';
import { BusModel } from '../model/bus-model.ts';
import { History } from '../model/history.ts';
import { Recorded } from '../model/recorded.ts';
import { DroppedFile } from './dropped-file.ts';
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
  for await (const events of tap.batches()) {
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

/** Shows a recording in place of the bus. */
export async function showRecording(file: File): Promise<void> {
  stop();
  const aborted = new AbortController();
  stop = () => aborted.abort();
  const into = new BusModel(new History(RECORDED));
  model.value = into;
  const say = (state: 'reading' | 'recording' | 'lost', text: string, advice = ''): void => {
    connection.value = { state, text, advice };
  };
  say('reading', `Reading ${file.name}…`);
  try {
    const recording = await Recording.over(new DroppedFile(file));
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
    const what = `Recording ${file.name}: bus ${into.traffic.view.bus} as it was at the end, rates of all of it`;
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
