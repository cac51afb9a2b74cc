import { crc32 } from 'node:zlib';
import type { Tap } from '../client/tap.ts';
import type { WritableFile } from './disk-file.ts';
import type { McapSource } from './mcap-reader.ts';
import { type Recorded, Recorder } from './recorder.ts';
import { Recording } from './recording.ts';
import { choose, Rewriter } from './rewrite.ts';
import type { Selection } from './selection.ts';

/**
 * Records the selected events of a tap that ends by itself, because it tells of the past: that is in memory already, so
 * another copy of it fits. Throws as {@link Recorder.create} and {@link Recorder.run} do.
 */
export async function recordSelection(
  tap: Tap,
  to: string,
  selection: Selection,
  mayReplace: boolean,
): Promise<Recorded> {
  const rewriter = await Rewriter.create(to, mayReplace);
  const file = new MemoryFile(to);
  const recorder = await Recorder.create(tap, { path: to, openFile: async () => file as never });
  const recorded = await recorder.run();
  const { bytes, messages } = await choose(await Recording.over(file), selection, rewriter);
  return { ...recorded, bytes, messages };
}

/** A recording that is written to memory, and read from there. */
class MemoryFile implements McapSource, Pick<WritableFile, 'datasync' | 'truncate' | 'close'> {
  readonly path: string;
  private pieces: Uint8Array[] = [];
  private whole: Uint8Array | null = null;
  size = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** Pieces come in their order, and their memory is used again. */
  async write(piece: Uint8Array, from: number, length: number) {
    this.pieces.push(piece.slice(from, from + length));
    this.size += length;
    return { bytesWritten: length };
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    if (this.whole === null) {
      this.whole = Buffer.concat(this.pieces);
      this.pieces = [];
    }
    return this.whole.subarray(at, at + length);
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  async datasync(): Promise<void> {}
  async truncate(): Promise<void> {}
  async close(): Promise<void> {}
}
