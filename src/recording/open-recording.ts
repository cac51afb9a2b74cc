import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { whyNot } from './disk-file.ts';
import { FileError } from './file-error.ts';
import type { McapSource } from './mcap-reader.ts';
import { Recording } from './recording.ts';

/** Opens a recording on the disk. Throws a {@link FileError} for a file that can't be read, or is none of MCAP. */
export async function openRecording(path: string): Promise<Recording> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    throw new FileError(path, whyNot(error), error);
  }
  try {
    const { size } = await handle.stat();
    return await Recording.over(new OpenedFile(path, handle, size));
  } catch (error) {
    await handle.close();
    throw error instanceof FileError ? error : new FileError(path, whyNot(error), error);
  }
}

class OpenedFile implements McapSource {
  readonly path: string;
  readonly size: number;
  private readonly handle: FileHandle;

  constructor(path: string, handle: FileHandle, size: number) {
    this.path = path;
    this.handle = handle;
    this.size = size;
  }

  async read(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.handle.read(bytes, filled, length - filled, at + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  crc32(bytes: Uint8Array): number {
    return crc32(bytes);
  }

  async close(): Promise<void> {
    await this.handle.close();
  }
}
