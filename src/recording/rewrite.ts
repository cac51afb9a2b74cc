import { crc32 } from 'node:zlib';
import { EventWalker } from '../tap/event-walker.ts';
import { DiskFile } from './disk-file.ts';
import { EventFile } from './event-file.ts';
import { openRecording } from './open-recording.ts';
import { pageMemory } from './page-memory.ts';
import type { RecordedEvent, Recording } from './recording.ts';
import { type Selection, Selector } from './selection.ts';

/** Writes events of recordings to a new one. */
export class Rewriter {
  private readonly disk: DiskFile;
  private readonly file = new EventFile(new EventWalker(), crc32, pageMemory);
  events = 0;

  private constructor(disk: DiskFile) {
    this.disk = disk;
    disk.append(this.file.mcap.begin());
  }

  static async create(path: string, force: boolean): Promise<Rewriter> {
    return new Rewriter(await DiskFile.create(path, force));
  }

  async add({ bytes, event }: RecordedEvent, source: number): Promise<void> {
    const { file } = this;
    file.source = source;
    file.addAt(bytes[0] as number, event.time, bytes, 1, bytes.length);
    this.events++;
    if (!file.mcap.isFull) return;
    this.disk.append(file.mcap.endChunk(), (written) => file.mcap.reuse(written));
    await this.disk.ready();
  }

  async finish(): Promise<Rewritten> {
    const { mcap, messages } = this.file;
    if (!mcap.isEmpty) this.disk.append(mcap.endChunk());
    this.disk.append(mcap.end());
    await this.disk.close();
    return { messages, events: this.events, bytes: this.disk.safeBytes };
  }
}

/** What was written. */
export interface Rewritten {
  readonly messages: number;
  /** All events, messages among them. */
  readonly events: number;
  readonly bytes: number;
}

/** Writes the selected events of a recording to another file; `faults` gets what is wrong with it. */
export async function filter(
  from: string,
  to: string,
  selection: Selection,
  force: boolean,
  faults: (path: string, faults: readonly string[]) => void,
): Promise<Rewritten> {
  const recording = await openRecording(from);
  try {
    const rewriter = await Rewriter.create(to, force);
    return await choose(recording, selection, rewriter);
  } finally {
    faults(from, recording.faults);
    await recording.close();
  }
}

/** Writes the selected events of a recording, and ends the file. */
export async function choose(
  recording: Recording,
  selection: Selection,
  rewriter: Rewriter,
): Promise<Rewritten> {
  const selector = new Selector(selection);
  for await (const batch of recording.batches()) {
    for (const one of batch) if (selector.chooses(one.event)) await rewriter.add(one, one.source);
  }
  return rewriter.finish();
}

/** A recording that is merged, and the event that comes next. */
class Merged {
  readonly source: number;
  readonly recording: Recording;
  private readonly batches: AsyncGenerator<RecordedEvent[], void, void>;
  private batch: RecordedEvent[] = [];
  private at = 0;

  constructor(recording: Recording, source: number) {
    this.recording = recording;
    this.source = source;
    this.batches = recording.batches();
  }

  get next(): RecordedEvent | undefined {
    return this.batch[this.at];
  }

  /** Moves to the next event. */
  async step(): Promise<void> {
    if (++this.at < this.batch.length) return;
    const { value, done } = await this.batches.next();
    this.batch = done || value === undefined ? [] : value;
    this.at = 0;
  }
}

/** Merges recordings into one, by the times of their events. Each keeps its own Ksocks and ids: it is a source of its own. */
export async function merge(
  paths: readonly string[],
  to: string,
  force: boolean,
  faults: (path: string, faults: readonly string[]) => void,
): Promise<Rewritten> {
  const all: Merged[] = [];
  try {
    for (const path of paths) all.push(new Merged(await openRecording(path), all.length));
    const rewriter = await Rewriter.create(to, force);
    for (const one of all) await one.step();
    for (;;) {
      let first: Merged | null = null;
      for (const one of all) {
        if (one.next === undefined) continue;
        const isFirst = first === null || one.next.event.time < (first.next?.event.time as number);
        if (isFirst) first = one;
      }
      if (first?.next === undefined) break;
      await rewriter.add(first.next, first.source);
      await first.step();
    }
    for (const { recording } of all) faults(recording.path, recording.faults);
    return await rewriter.finish();
  } finally {
    for (const { recording } of all) await recording.close();
  }
}
