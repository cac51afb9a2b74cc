import { Bus } from '../../src/bus/bus.ts';
import { observe } from '../../src/client/observe.ts';
import { Flag } from '../../src/message/flags.ts';
import { Announcement } from '../../src/message/message.ts';
import { openRecording } from '../../src/recording/open-recording.ts';
import { type Recorded, Recorder, type RecorderOptions } from '../../src/recording/recorder.ts';
import type { RecordedEvent } from '../../src/recording/recording.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import { Program } from '../bus/program.ts';
import { Host, Peer } from '../daemon/peer.ts';
import { alikeFrame, messagesFrame } from '../support/frames.ts';

/** All kinds of events, also of batches, and of large data. */
export function playAll(bus: Bus): void {
  const [asker, replier] = [new Program(bus), new Program(bus, { limit: 3 })];
  replier.answer('$.Ask').listen('$.*');
  asker.request('$.Ask', { data: 'time?', token: 4 });
  replier.read();
  replier.announce('$.Ask', { to: asker.id, inReplyTo: [0, bus.nextSerial - 1], data: 'noon' });
  asker.request('$.Ask', { data: 'again?', token: 5 });
  asker.ksock.forget(5);
  for (const data of ['a', 'b', 'c', 'd']) asker.announce('$.News', { data });
  asker.announce('$.News', { data: 'w', flags: Flag.ALL_OR_WAIT });
  replier.rest();
  asker.ksock.poll();
  asker.announce('$.Limpet', { id: [7, 9] });
  asker.announce('bad name', { data: 'bad' });
  asker.announce('$.Large', { data: 'x'.repeat(100_000) });
  const peer = Peer.open(new Host(), bus);
  peer.say(alikeFrame('SEND', new Announcement('$.N'), ['one', 'two', 'three']));
  peer.say(messagesFrame('SEND', [new Announcement('$.A', 'x'), new Announcement('$.B', 'yz')]));
  replier.ksock.unbind('$.*', false);
  asker.request('$.Ask');
  replier.close();
  asker.close();
  peer.session.closed();
}

/** Records what `play` does on a bus. */
export async function record(
  path: string,
  play: (bus: Bus) => void = playAll,
  options: Partial<RecorderOptions> & { data?: number; bus?: Bus } = {},
): Promise<Recorded> {
  const { bus = new Bus(), data, ...more } = options;
  const tap = await observe(bus, { data: data ?? true, buffer: 64 * 1024 * 1024 });
  const recorder = await Recorder.create(tap, { path, ...more });
  play(bus);
  tap.finish();
  return recorder.run();
}

export interface Contents {
  readonly events: RecordedEvent[];
  readonly faults: string[];
  readonly isComplete: boolean;
}

/** All of a recording. */
export async function readAll(path: string): Promise<Contents> {
  const recording = await openRecording(path);
  try {
    const events: RecordedEvent[] = [];
    for await (const batch of recording.batches()) events.push(...batch);
    return { events, faults: recording.faults, isComplete: recording.isComplete };
  } finally {
    await recording.close();
  }
}

/** An event as text without its time, for comparison; `messages` of several are one for each. */
export function textsOf(event: TapEvent): string[] {
  const { time, ...rest } = event;
  const text = (value: object): string =>
    JSON.stringify(value, (key, one) => (key === 'messages' ? one.map(String) : one));
  if (event.type !== 'messages') return [text(rest)];
  return event.messages.map((one) => `${one} of ${one.wholeLength} bytes`);
}
