import { crc32 } from '../../base/crc32.ts';
import { EventFile, startOf } from '../../recording/event-file.ts';
import type { McapSource } from '../../recording/mcap-reader.ts';
import { Recording } from '../../recording/recording.ts';
import { Selector } from '../../recording/selection.ts';
import { EventWalker } from '../../tap/event-walker.ts';
import { Code } from '../../tap/events.ts';

/** A recording that was made in the page. */
export interface Saved {
  readonly pieces: Uint8Array<ArrayBuffer>[];
  readonly messages: number;
}

/** An MCAP file in memory. */
class Output {
  readonly file = new EventFile(new EventWalker(), crc32);
  private readonly pieces: Uint8Array<ArrayBuffer>[] = [];

  constructor() {
    this.append(this.file.mcap.begin());
  }

  private append(bytes: Uint8Array): void {
    this.pieces.push(bytes as Uint8Array<ArrayBuffer>);
  }

  /** Closes a chunk that is long enough. */
  settle(): void {
    if (this.file.mcap.isFull) this.append(this.file.mcap.endChunk());
  }

  end(): Saved {
    const { mcap, messages } = this.file;
    if (!mcap.isEmpty) this.append(mcap.endChunk());
    this.append(mcap.end());
    return { pieces: this.pieces, messages };
  }
}

/** The recording of these blocks of events. */
export function recordingOf(blocks: readonly Uint8Array[]): Saved {
  const walker = new EventWalker();
  const output = new Output();
  let startedAt = 0;
  for (const block of blocks) {
    walker.begin(block);
    while (walker.step()) {
      const { bytes, code, from, time, to } = walker;
      if (code === Code.BEGIN) startedAt = startOf(bytes, from);
      output.file.addAt(code, startedAt * 1000 + time, bytes, from, to);
      output.settle();
    }
  }
  return output.end();
}

/** A part of a recording: the messages with these ids, what became of them, and the state of the bus. */
export async function partOf(source: McapSource, ids: ReadonlySet<string>): Promise<Saved> {
  const recording = await Recording.over(source);
  const selector = new Selector({ test: ({ id }) => ids.has(String(id)) });
  const output = new Output();
  for await (const batch of recording.batches()) {
    for (const { bytes, event, source: number } of batch) {
      if (number !== 0 || !selector.chooses(event)) continue;
      output.file.addAt(bytes[0] as number, event.time, bytes, 1, bytes.length);
      output.settle();
    }
  }
  return output.end();
}
