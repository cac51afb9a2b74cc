import { EventError, EventReader } from '../tap/event-reader.ts';
import type { TapEvent } from '../tap/events.ts';
import { FileError } from './file-error.ts';
import { ENCODING, microsecondsOf, SOURCE_KEY } from './mcap-format.ts';
import { McapReader, type McapSource } from './mcap-reader.ts';

/** An event of a recording. Its `time` is in microseconds since 1970. */
export interface RecordedEvent {
  readonly event: TapEvent;
  /** The event as a tap tells it: its code, and its fields. */
  readonly bytes: Uint8Array;
  /** In a merged file: from which of the recordings; else 0. */
  readonly source: number;
}

/** A recording as a file has it: the events in their order, and what is wrong with the file. */
export class Recording {
  private readonly reader: McapReader;
  private readonly events = new EventReader();
  private damaged = 0;
  private foreign = 0;
  private known = 0;

  private constructor(reader: McapReader) {
    this.reader = reader;
  }

  /** Throws a {@link FileError} for a file that is none of MCAP. It closes the source when it is closed. */
  static async over(source: McapSource): Promise<Recording> {
    return new Recording(await McapReader.over(source));
  }

  get path(): string {
    return this.reader.path;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.reader.size;
  }

  get chunks(): number {
    return this.reader.chunks;
  }

  /** It was ended as it should be. */
  get isComplete(): boolean {
    return this.reader.isComplete;
  }

  /** What is wrong with the file, in sentences: known when all of it was read. */
  get faults(): string[] {
    const { damaged, foreign } = this;
    const faults = [...this.reader.faults];
    if (damaged > 0) faults.push(`${damaged} events can't be read, and were left out`);
    if (foreign > 0) faults.push(`${foreign} messages are not of KBUS, and were left out`);
    return faults;
  }

  /** The events that are whole, many at a time. Throws a {@link FileError} if the file has messages, but none of KBUS. */
  async *batches(): AsyncGenerator<RecordedEvent[], void, void> {
    for await (const messages of this.reader.messages()) {
      const batch: RecordedEvent[] = [];
      for (const { data, encoding, high, low, metadata } of messages) {
        if (encoding !== ENCODING) {
          this.foreign++;
          continue;
        }
        try {
          const time = microsecondsOf(high, low);
          const event = this.events.readOne(data[0] ?? 0, time, data, 1);
          const source = Number(metadata.get(SOURCE_KEY) ?? 0);
          batch.push({ event, bytes: data, source });
        } catch (error) {
          if (!(error instanceof EventError)) throw error;
          this.damaged++;
        }
      }
      this.known += batch.length;
      if (batch.length > 0) yield batch;
    }
    if (this.foreign > 0 && this.known === 0) {
      throw new FileError(this.path, 'this is an MCAP file, but no recording of KBUS', undefined);
    }
  }

  async close(): Promise<void> {
    await this.reader.close();
  }
}
