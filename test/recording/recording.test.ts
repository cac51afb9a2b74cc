import { execFileSync } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { McapIndexedReader, McapStreamReader } from '@mcap/core';
import { beforeAll, describe, expect, it } from 'vitest';
import { mutatedRecording } from '../../harness/mutated-recording.mjs';
import { Bus } from '../../src/bus/bus.ts';
import { observe } from '../../src/client/observe.ts';
import type { OpenFile } from '../../src/recording/disk-file.ts';
import { FileError } from '../../src/recording/file-error.ts';
import { EVENTS_TOPIC, MAX_CHANNELS, OTHERS_TOPIC } from '../../src/recording/mcap-format.ts';
import { Recorder, RecordingError } from '../../src/recording/recorder.ts';
import { BusView } from '../../src/tap/bus-view.ts';
import { Program } from '../bus/program.ts';
import { newFolder } from '../support/folder.ts';
import { failed } from '../support/refused.ts';
import { Observed } from '../tap/observed.ts';
import { playAll, readAll, record, textsOf } from './recorded.ts';

const MEBIBYTE = 1024 * 1024;

let folder: string;
/** A recording of everything that may happen. */
let path: string;
beforeAll(async () => {
  folder = await newFolder();
  path = join(folder, 'all.mcap');
  await record(path);
});

/** A file of the folder. */
const at = (name: string): string => join(folder, name);

function put(name: string, bytes: Uint8Array): string {
  writeFileSync(at(name), bytes);
  return at(name);
}

describe('A recording', () => {
  it('has all that a tap tells, in its order and with its times.', async () => {
    const bus = new Bus();
    const observed = new Observed(bus);
    await record(at('same.mcap'), playAll, { bus });
    const { events, faults, isComplete } = await readAll(at('same.mcap'));
    const told = observed.take();
    const times = events.map(({ event }) => event.time);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(Math.abs((times[0] as number) / 1000 - Date.now())).toBeLessThan(60_000);
    const without = (texts: string[]): string[] => texts.filter((one) => !one.includes('"begin"'));
    expect(without(events.flatMap(({ event }) => textsOf(event)))).toEqual(
      without(told.flatMap(textsOf)),
    );
    expect([faults, isComplete]).toEqual([[], true]);
  });

  it('is read by another implementation of MCAP: its index, its checksums, its statistics.', async () => {
    const { events } = await readAll(path);
    const bytes = readFileSync(path);
    const reader = await McapIndexedReader.Initialize({
      readable: {
        size: async () => BigInt(bytes.length),
        read: async (from, length) => bytes.subarray(Number(from), Number(from + length)),
      },
    });
    const topics: string[] = [];
    for await (const { channelId, logTime } of reader.readMessages()) {
      expect(logTime / 1_000_000_000n).toBeGreaterThan(1_700_000_000n);
      topics.push(reader.channelsById.get(channelId)?.topic ?? '');
    }
    expect(topics).toHaveLength(events.length);
    const ofNews = events.filter(
      ({ event }) => event.type === 'messages' && event.messages[0]?.name === '$.News',
    );
    expect(topics.filter((topic) => topic === '$.News')).toHaveLength(ofNews.length);
    expect(topics.filter((topic) => topic === EVENTS_TOPIC).length).toBeGreaterThan(10);
    expect(reader.statistics?.messageCount).toBe(BigInt(events.length));
    expect(reader.header).toMatchObject({ profile: 'kbus', library: 'kbus' });
    for (const channel of reader.channelsById.values()) {
      expect(channel).toMatchObject({ schemaId: 0, messageEncoding: 'x-kbus-event' });
    }

    const stream = new McapStreamReader({ validateCrcs: true });
    stream.append(bytes);
    let count = 0;
    for (let one = stream.nextRecord(); one !== undefined; one = stream.nextRecord()) {
      if (one.type === 'Message') count++;
    }
    expect([count, stream.done()]).toEqual([events.length, true]);
  });

  it('has the beginning of the data, and its length, if no more was wanted.', async () => {
    await record(at('cut.mcap'), playAll, { data: 2 });
    const { events } = await readAll(at('cut.mcap'));
    const large = events.flatMap(({ event }) =>
      event.type === 'messages' ? event.messages.filter(({ name }) => name === '$.Large') : [],
    );
    expect(large.map((one) => [one.text(), one.wholeLength])).toEqual([['xx', 100_000]]);
  });

  it('has a channel for each name up to a bound, and one for all further names.', async () => {
    const names = MAX_CHANNELS + 50;
    await record(at('names.mcap'), (bus) => {
      const program = new Program(bus);
      for (let name = 0; name < names; name++) program.announce(`$.Name${name}`);
    });
    const bytes = readFileSync(at('names.mcap'));
    const stream = new McapStreamReader();
    stream.append(bytes);
    const topics = new Set<string>();
    for (let one = stream.nextRecord(); one !== undefined; one = stream.nextRecord()) {
      if (one.type === 'Channel') topics.add(one.topic);
    }
    expect(topics.has(OTHERS_TOPIC)).toBe(true);
    expect(topics.size).toBe(MAX_CHANNELS + 1);
    const { events } = await readAll(at('names.mcap'));
    const seen = events.flatMap(({ event }) =>
      event.type === 'messages' ? event.messages.map(({ name }) => name) : [],
    );
    expect(new Set(seen).size).toBe(names);
  });

  it('says what was lost because its disk was slow; the bus does not wait.', async () => {
    const bus = new Bus();
    const program = new Program(bus);
    const tap = await observe(bus, { buffer: 256 * 1024 });
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const openFile: OpenFile = async (...args) => {
      const handle = await open(...args);
      return {
        write: (async (...given: Parameters<typeof handle.write>) => {
          await held;
          return handle.write(...given);
        }) as typeof handle.write,
        datasync: () => handle.datasync(),
        truncate: (length) => handle.truncate(length),
        close: () => handle.close(),
      };
    };
    const recorder = await Recorder.create(tap, { path: at('slow.mcap'), openFile });
    const done = recorder.run();
    const sends = 30_000;
    for (let send = 0; send < sends; send++) {
      expect(program.announce('$.News', { data: 'x'.repeat(1000) })).toBe('ok');
      // The recorder gets its turns.
      if (send % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    release();
    // What waits is taken, and then the tap says what it lost.
    while (bus.share.held > 1000 * 1000) await new Promise((resolve) => setImmediate(resolve));
    tap.finish();
    const recorded = await done;
    expect(recorded.lostMessages).toBeGreaterThan(1000);
    expect(recorded.messages + recorded.lostMessages).toBe(sends);
    const { events, faults } = await readAll(at('slow.mcap'));
    const view = new BusView();
    for (const { event } of events) view.apply(event);
    expect([view.lostMessages, faults]).toEqual([recorded.lostMessages, []]);
  });
});

/** Resolves when a recorder has taken most of what happened on a bus, or has ended. */
async function caughtUp(bus: Bus): Promise<void> {
  while (bus.share.held > MEBIBYTE) await new Promise((resolve) => setImmediate(resolve));
}

describe('Files in turn', () => {
  it('begin with the state of the bus, miss nothing, and the oldest are removed.', async () => {
    const bus = new Bus();
    const [program, listener] = [new Program(bus), new Program(bus).listen('$.Quiet')];
    const said: string[] = [];
    const tap = await observe(bus);
    const recorder = await Recorder.create(tap, {
      path: at('turn.mcap'),
      rotateBytes: 6 * MEBIBYTE,
      onFile: (name, isRemoved) =>
        said.push(`${isRemoved ? '-' : '+'}${name.slice(folder.length + 1)}`),
    });
    const done = recorder.run();
    const sends = 24_000;
    for (let send = 0; send < sends; send++) {
      program.announce('$.News', { data: String(send).padEnd(1000) });
      if (send % 50 === 0) await caughtUp(bus);
    }
    tap.finish();
    const { files, lostMessages, messages } = await done;
    expect(lostMessages).toBe(0);
    expect(messages).toBe(sends);
    expect(files.length).toBeGreaterThan(2);
    expect(said).toEqual([
      '+turn.mcap',
      ...files.slice(1).map((_, turn) => `+turn.${turn + 1}.mcap`),
    ]);
    const numbers: number[] = [];
    for (const file of files) {
      const { events, faults, isComplete } = await readAll(file);
      expect([faults, isComplete]).toEqual([[], true]);
      expect(events[0]?.event.type).toBe('begin');
      const view = new BusView();
      for (const { event } of events) {
        view.apply(event);
        if (event.type === 'messages')
          numbers.push(...event.messages.map((one) => Number(one.text())));
      }
      expect([...view.ksocks.keys()].sort()).toEqual([program.id, listener.id]);
      expect([...view.bindings.values()]).toMatchObject([{ name: '$.Quiet' }]);
    }
    expect(numbers).toEqual(Array.from({ length: sends }, (_, send) => send));
  });

  it('are never more than are to be kept.', async () => {
    const bus = new Bus();
    const program = new Program(bus);
    const tap = await observe(bus);
    const recorder = await Recorder.create(tap, {
      path: at('kept.mcap'),
      rotateBytes: 5 * MEBIBYTE,
      keep: 2,
    });
    const done = recorder.run();
    for (let send = 0; send < 30_000; send++) {
      program.announce('$.News', { data: 'x'.repeat(1000) });
      if (send % 50 === 0) await caughtUp(bus);
    }
    tap.finish();
    const { files } = await done;
    expect(files).toHaveLength(2);
    expect(files).not.toContain(at('kept.mcap'));
    expect((await failed(readAll(at('kept.mcap')))) as Error).toBeInstanceOf(FileError);
  });
});

describe('A full disk', () => {
  /** A disk on which there is room for so many bytes. */
  const diskOf =
    (room: number): OpenFile =>
    async (...args) => {
      const handle = await open(...args);
      const write = async (bytes: Uint8Array, from: number, length: number, to: number) => {
        if (to >= room) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', errno: -28 });
        return handle.write(bytes, from, Math.min(length, room - to), to);
      };
      return {
        write: write as typeof handle.write,
        datasync: () => handle.datasync(),
        truncate: (length) => handle.truncate(length),
        close: () => handle.close(),
      };
    };

  it('ends the recording with an error that names the file and what is safe in it.', async () => {
    const openFile = diskOf(10 * MEBIBYTE);
    const play = async (bus: Bus): Promise<void> => {
      const program = new Program(bus);
      for (let send = 0; send < 30_000; send++) {
        program.announce('$.News', { data: String(send).padEnd(1000) });
        if (send % 50 === 0) await caughtUp(bus);
      }
    };
    const bus = new Bus();
    const tap = await observe(bus, { buffer: 64 * MEBIBYTE });
    const recorder = await Recorder.create(tap, { path: at('full.mcap'), openFile });
    const done = failed(recorder.run());
    await play(bus);
    const error = await done;
    expect(error).toBeInstanceOf(RecordingError);
    const { message, safe } = error as RecordingError;
    expect(message).toBe(`${at('full.mcap')}: no space left on device (ENOSPC)`);
    expect(bus.observer).toBeNull();
    // All of what it calls safe is in the file, which has nothing but whole chunks.
    const { events, isComplete } = await readAll(at('full.mcap'));
    const messages = events.filter(({ event }) => event.type === 'messages');
    expect(messages.length).toBe(safe.messages);
    expect(safe.messages).toBeGreaterThan(5000);
    expect(safe.bytes).toBe(statSync(at('full.mcap')).size);
    expect(isComplete).toBe(false);
  });

  it('ends the recording of a quiet bus, too: no further event has to come.', async () => {
    const bus = new Bus();
    const tap = await observe(bus);
    const openFile = diskOf(256);
    const recorder = await Recorder.create(tap, { path: at('quiet.mcap'), openFile });
    const done = failed(recorder.run());
    new Program(bus).announce('$.News', { data: 'x'.repeat(1000) });
    const error = (await done) as RecordingError;
    expect(error.message).toBe(`${at('quiet.mcap')}: no space left on device (ENOSPC)`);
    expect(error.safe).toMatchObject({ messages: 0 });
    expect(bus.observer).toBeNull();
  });

  it('is noticed at the very first byte: /dev/full.', async () => {
    const tap = await observe(new Bus());
    const recorder = await Recorder.create(tap, { path: '/dev/full', force: true });
    tap.finish();
    const error = (await failed(recorder.run())) as RecordingError;
    expect(error.message).toBe('/dev/full: no space left on device (ENOSPC)');
    expect(error.safe).toMatchObject({ messages: 0, bytes: 0 });
  });

  it('and a file that exists, or can’t be made, are refused before anything is recorded.', async () => {
    const tap = await observe(new Bus());
    for (const [file, why] of [
      [path, 'the file exists already'],
      [join(folder, 'none', 'x.mcap'), 'no such file or directory (ENOENT)'],
      [folder, 'the file exists already'],
    ] as const) {
      const error = (await failed(Recorder.create(tap, { path: file }))) as Error;
      expect(error).toBeInstanceOf(FileError);
      expect(error.message).toBe(`${file}: ${why}`);
    }
    tap.close();
  });
});

describe('A file that was cut off or damaged', () => {
  it('gives what is whole, at whatever byte it was cut off.', async () => {
    await record(at('small.mcap'), (bus) => {
      const program = new Program(bus).listen('$.*');
      program.announce('$.News', { data: 'hello' });
    });
    const bytes = readFileSync(at('small.mcap'));
    const whole = await readAll(at('small.mcap'));
    const all = whole.events.map(({ event }) => event.type);
    let most = 0;
    for (let length = 0; length < bytes.length; length++) {
      const cut = put('cut-off.mcap', bytes.subarray(0, length));
      try {
        const { events, faults, isComplete } = await readAll(cut);
        expect(events.map(({ event }) => event.type)).toEqual(all.slice(0, events.length));
        if (!isComplete) expect(faults.join()).toMatch(/it is cut off|it has no end/);
        expect(events.length).toBeGreaterThanOrEqual(most);
        most = events.length;
      } catch (error) {
        expect(error).toBeInstanceOf(FileError);
        // Only the first bytes tell that it is a recording.
        expect(length).toBeLessThan(8);
      }
    }
    expect(most).toBe(all.length);
  });

  it('gives all chunks but the damaged one.', async () => {
    await record(
      at('chunks.mcap'),
      (bus) => {
        const program = new Program(bus);
        for (let send = 0; send < 12_000; send++)
          program.announce('$.News', { data: 'x'.repeat(1000) });
      },
      {},
    );
    const bytes = readFileSync(at('chunks.mcap'));
    const before = await readAll(at('chunks.mcap'));
    bytes[3 * MEBIBYTE] = (bytes[3 * MEBIBYTE] as number) ^ 0xff;
    const { events, faults, isComplete } = await readAll(put('damaged.mcap', bytes));
    expect(faults).toEqual([
      expect.stringMatching(
        /^the chunk at byte \d+ is damaged: its checksum differs; it was left out$/,
      ),
    ]);
    expect(isComplete).toBe(true);
    expect(events.length).toBeLessThan(before.events.length);
    expect(events.length).toBeGreaterThan(before.events.length / 3);
  });

  // KBUS_MUTATIONS is the number of mutations, KBUS_FUZZ_SEED repeats those of another run. soak/recordings.mjs does it with a
  // larger file, a hundred thousand times.
  it('gives what is whole, or a clear error, whatever was done to it.', {
    timeout: 3_600_000,
  }, async () => {
    const { KBUS_FUZZ_SEED, KBUS_MUTATIONS = '1500' } = process.env;
    await record(
      at('mutated.mcap'),
      (bus) => {
        const program = new Program(bus).listen('$.*');
        for (let send = 0; send < 5; send++) program.announce('$.News', { data: `x${send}` });
        program.request('$.Nobody');
      },
      { data: 1 },
    );
    const original = readFileSync(at('mutated.mcap'));
    const first =
      KBUS_FUZZ_SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(KBUS_FUZZ_SEED);
    for (let seed = first; seed < first + Number(KBUS_MUTATIONS); seed++) {
      const bytes = mutatedRecording(seed, original);
      try {
        const { events } = await readAll(put('mutant.mcap', bytes));
        const view = new BusView();
        for (const { event } of events) view.apply(event);
      } catch (error) {
        if (error instanceof FileError) continue;
        throw new Error(`replay it with KBUS_FUZZ_SEED=${seed} KBUS_MUTATIONS=1`, { cause: error });
      }
    }
  });
});

it('Those who don’t record load none of it: the client and the daemon have no recording.', () => {
  const found = execFileSync(
    'grep',
    ['-rlE', 'recording/', new URL('../../src', import.meta.url).pathname],
    { encoding: 'utf8' },
  );
  const rooms = new Set(
    found
      .trim()
      .split('\n')
      .map((file) => /\/src\/(\w+)\//.exec(file)?.[1]),
  );
  expect([...rooms].sort()).toEqual(['cli', 'page']);
});
