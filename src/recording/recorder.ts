import { crc32 } from 'node:zlib';
import type { Tap } from '../client/tap.ts';
import { EventWalker } from '../tap/event-walker.ts';
import { Code } from '../tap/events.ts';
import { DiskFile, type OpenFile } from './disk-file.ts';
import { EventFile, startOf } from './event-file.ts';
import { FileError } from './file-error.ts';
import { pageMemory } from './page-memory.ts';
import { readBlocks } from './read-blocks.ts';

export interface RecorderOptions {
  readonly path: string;
  /** May replace a file that exists. */
  readonly force?: boolean | undefined;
  /** Begins another file when this one has so many bytes, or spans so many milliseconds. */
  readonly rotateBytes?: number | undefined;
  readonly rotateMs?: number | undefined;
  /** How many of the files to keep; by default, all. */
  readonly keep?: number | undefined;
  /** Called with each file that was begun, and each that was removed. */
  readonly onFile?: (path: string, isRemoved: boolean) => void;
  /** Opens files; a test gives its own. */
  readonly openFile?: OpenFile;
}

/** A chunk is closed, and synced, after this time at most: so a crash costs at most that. */
const CHUNK_MS = 1000;
const TICK_MS = 100;

/** A summary of more bytes would take much memory of every reader: another file begins. */
const MAX_SUMMARY_BYTES = 32 * 1024 * 1024;

/** What a recording has. */
export interface Recorded {
  messages: number;
  lostMessages: number;
  lostEvents: number;
  bytes: number;
  files: string[];
}

/** A recording ended because its file can't be written: `safe` is what is in it. */
export class RecordingError extends Error {
  override readonly name = 'RecordingError';
  readonly safe: Recorded;

  constructor(error: FileError, safe: Recorded) {
    super(error.message, { cause: error });
    this.safe = safe;
  }
}

/** Records what a tap tells, to files on a disk. A disk that is too slow makes the tap lose events, which the file has. */
export class Recorder {
  private readonly tap: Tap;
  private readonly options: RecorderOptions;
  private readonly walker = new EventWalker();
  private disk: DiskFile;
  private file: EventFile;
  private startedAt = 0;
  /** The time of `Date.now()` when the open chunk got its first event, and when the file began. */
  private chunkBegan = 0;
  private fileBegan = Date.now();
  private mustRotate = false;
  private count = 0;
  /** Messages of files that are complete, and of chunks that are on their way to the disk. */
  private readonly before: Recorded = {
    messages: 0,
    lostMessages: 0,
    lostEvents: 0,
    bytes: 0,
    files: [],
  };
  private readonly marks: { at: number; messages: number; lost: number; events: number }[] = [];
  private safe = { at: 0, messages: 0, lost: 0, events: 0 };

  private constructor(tap: Tap, options: RecorderOptions, disk: DiskFile) {
    this.tap = tap;
    this.options = options;
    this.disk = disk;
    this.file = new EventFile(this.walker, crc32, pageMemory);
    this.append(this.file.mcap.begin());
    this.before.files.push(disk.path);
  }

  /** Creates the first file. Throws a {@link FileError}. */
  static async create(tap: Tap, options: RecorderOptions): Promise<Recorder> {
    const { force = false, openFile, path } = options;
    const disk = await DiskFile.create(path, force, openFile);
    options.onFile?.(path, false);
    return new Recorder(tap, options, disk);
  }

  /**
   * Records until the tap is closed, or ends with an error, which is thrown when the file is complete. Throws a
   * {@link RecordingError} when a file can't be written.
   */
  async run(): Promise<Recorded> {
    const timer = setInterval(() => this.tick(), TICK_MS);
    try {
      try {
        await readBlocks(this.tap, (block) => this.add(block));
      } finally {
        clearInterval(timer);
        await this.finish();
      }
    } catch (error) {
      const broken = this.tap.broken(error);
      if (error instanceof FileError) throw new RecordingError(error, this.recorded);
      throw broken;
    }
    return this.recorded;
  }

  private get recorded(): Recorded {
    const { before, safe } = this;
    return {
      ...before,
      messages: before.messages + safe.messages,
      lostMessages: before.lostMessages + safe.lost,
      lostEvents: before.lostEvents + safe.events,
      bytes: before.bytes + this.disk.safeBytes,
    };
  }

  private add(block: Uint8Array): Promise<void> | undefined {
    this.walker.begin(block);
    return this.addMore();
  }

  /** Adds the further events of the block; a promise, if some must wait. */
  private addMore(): Promise<void> | undefined {
    const { walker } = this;
    while (walker.step()) {
      const wait = this.addEvent();
      if (wait !== undefined) return wait.then(() => this.addMore());
    }
    return undefined;
  }

  private addEvent(): Promise<void> | undefined {
    const { walker } = this;
    if (walker.code === Code.BEGIN) {
      this.startedAt = startOf(walker.bytes, walker.from);
      if (this.mustRotate) return this.rotate().then(() => this.put());
    }
    return this.put();
  }

  /** Writes the event to the open chunk, and a full chunk to the disk; a promise, if the disk is behind. */
  private put(): Promise<void> | undefined {
    const { disk, file } = this;
    if (file.mcap.isEmpty) this.chunkBegan = Date.now();
    file.add(this.startedAt);
    if (!file.mcap.isFull) return undefined;
    this.endChunk();
    if (disk.isBehind) return disk.ready().then(() => this.settle());
    this.settle();
    return undefined;
  }

  private tick(): void {
    if (this.disk.hasFailed) {
      // It may be long until a chunk is full, and what comes until then would be lost: `finish` throws the error.
      this.tap.close();
      return;
    }
    if (this.file.mcap.isEmpty || Date.now() - this.chunkBegan < CHUNK_MS) return;
    this.endChunk();
    this.settle();
  }

  private settle(): void {
    this.noteSafe();
    this.askToRotate();
  }

  /** Another file begins with the state of the bus, when that comes. */
  private askToRotate(): void {
    const { rotateBytes = Number.POSITIVE_INFINITY, rotateMs = Number.POSITIVE_INFINITY } =
      this.options;
    const { mcap } = this.file;
    if (this.mustRotate) return;
    const isDue =
      mcap.size >= rotateBytes ||
      Date.now() - this.fileBegan >= rotateMs ||
      mcap.summarySize >= MAX_SUMMARY_BYTES;
    if (!isDue) return;
    this.mustRotate = true;
    this.tap.restate();
  }

  private async rotate(): Promise<void> {
    this.mustRotate = false;
    await this.finish();
    const { before, options, recorded } = this;
    Object.assign(before, recorded);
    this.safe = { at: 0, messages: 0, lost: 0, events: 0 };
    const path = numbered(options.path, ++this.count);
    this.disk = await DiskFile.create(path, options.force ?? false, options.openFile);
    options.onFile?.(path, false);
    this.file = new EventFile(this.walker, crc32, pageMemory);
    this.fileBegan = Date.now();
    before.files.push(path);
    this.append(this.file.mcap.begin());
    await this.forgetOld();
  }

  private async forgetOld(): Promise<void> {
    const { keep = Number.POSITIVE_INFINITY } = this.options;
    const { files } = this.before;
    const { rm } = await import('node:fs/promises');
    while (files.length > keep) {
      const path = files.shift() as string;
      await rm(path, { force: true });
      this.options.onFile?.(path, true);
    }
  }

  private endChunk(): void {
    this.append(this.file.mcap.endChunk());
  }

  private append(bytes: Uint8Array): void {
    const { file, marks } = this;
    this.disk.append(bytes, (written) => file.mcap.reuse(written));
    marks.push({
      at: file.mcap.size,
      messages: file.messages,
      lost: file.lostMessages,
      events: file.lostEvents,
    });
  }

  /** Notes what is on the disk by now. */
  private noteSafe(): void {
    const { disk, marks } = this;
    while (marks.length > 0 && (marks[0] as { at: number }).at <= disk.safeBytes) {
      this.safe = marks.shift() as typeof this.safe;
    }
  }

  private async finish(): Promise<void> {
    const { mcap } = this.file;
    if (!mcap.isEmpty) this.endChunk();
    this.append(mcap.end());
    try {
      await this.disk.close();
    } finally {
      this.noteSafe();
      this.marks.length = 0;
    }
  }
}

/** `run.mcap`, `run.1.mcap`, `run.2.mcap`. */
export function numbered(path: string, count: number): string {
  const dot = path.lastIndexOf('.');
  const slash = path.lastIndexOf('/');
  return dot > slash + 1 ? `${path.slice(0, dot)}.${count}${path.slice(dot)}` : `${path}.${count}`;
}
