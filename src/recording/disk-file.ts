import { type FileHandle, open } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { FileError } from './file-error.ts';

/** How many writes may be under way: then the writer waits. */
const MAX_UNDER_WAY = 2;

/** Opens files; a test gives others. */
export type OpenFile = (path: string, flags: string) => Promise<WritableFile>;

/** The part of a file handle that is used. */
export type WritableFile = Pick<FileHandle, 'write' | 'datasync' | 'truncate' | 'close'>;

/** A file that is written from front to back, and synced after each piece. */
export class DiskFile {
  readonly path: string;
  /** Bytes that are on the disk, in complete pieces. */
  safeBytes = 0;
  private readonly handle: WritableFile;
  private at = 0;
  private underWay = 0;
  private last: Promise<void> = Promise.resolve();
  private failure: FileError | null = null;

  private constructor(path: string, handle: WritableFile) {
    this.path = path;
    this.handle = handle;
  }

  /** Creates a file. Throws a {@link FileError}, also if there is one and it may not be replaced. */
  static async create(
    path: string,
    mayReplace: boolean,
    openFile: OpenFile = open,
  ): Promise<DiskFile> {
    try {
      return new DiskFile(path, await openFile(path, mayReplace ? 'w' : 'wx'));
    } catch (error) {
      throw new FileError(path, whyNot(error), error);
    }
  }

  /** Appends a piece after those before it; calls `written` when it is on the disk. */
  append(piece: Uint8Array, written: (piece: Uint8Array) => void = () => {}): void {
    const at = this.at;
    this.at += piece.length;
    this.underWay++;
    this.last = this.last.then(async () => {
      await this.write(piece, at);
      written(piece);
    });
  }

  private async write(piece: Uint8Array, at: number): Promise<void> {
    try {
      if (this.failure !== null) return;
      for (let done = 0; done < piece.length; ) {
        const { bytesWritten } = await this.handle.write(
          piece,
          done,
          piece.length - done,
          at + done,
        );
        done += bytesWritten;
      }
      await this.handle.datasync().catch(ignoreNoSync);
      this.safeBytes = at + piece.length;
    } catch (error) {
      this.failure = new FileError(this.path, whyNot(error), error);
    } finally {
      this.underWay--;
    }
  }

  /** Resolves when another piece may be appended. Throws the {@link FileError} of an earlier one. */
  async ready(): Promise<void> {
    if (this.underWay >= MAX_UNDER_WAY) await this.last;
    if (this.failure !== null) throw this.failure;
  }

  /** Resolves when all is on the disk. What could only be written in part is cut off. */
  async close(): Promise<void> {
    await this.last;
    if (this.failure !== null) await this.handle.truncate(this.safeBytes).catch(() => {});
    await this.handle.close().catch((error) => {
      this.failure ??= new FileError(this.path, whyNot(error), error);
    });
    if (this.failure !== null) throw this.failure;
  }
}

/** A pipe, or a device, can't be synced. */
function ignoreNoSync(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EINVAL' && error.code !== 'ENOTSUP') throw error;
}

/** `no space left on device (ENOSPC)`. */
export function whyNot(error: unknown): string {
  const { code = '', errno = 0, message } = error as NodeJS.ErrnoException;
  if (code === 'EEXIST') return 'the file exists already';
  const text = getSystemErrorMap().get(errno)?.[1];
  return text === undefined ? message : `${text} (${code})`;
}
