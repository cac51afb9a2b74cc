import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { getSystemErrorMap } from 'node:util';
import { FileError } from './file-error.ts';
import { PAGE_BYTES } from './page-memory.ts';

/** How many writes may be under way: then the writer waits. */
const MAX_UNDER_WAY = 2;

/** Opens files; a test gives others. */
export type OpenFile = (path: string, flags: string) => Promise<WritableFile>;

/** The part of a file handle that is used. */
export type WritableFile = Pick<FileHandle, 'write' | 'datasync' | 'truncate' | 'close'> &
  Partial<Pick<FileHandle, 'fd'>>;

/**
 * A file that is written from front to back, and synced after each piece. Where the system can, a piece of whole pages
 * passes the page cache: to copy it there takes several times as long as to have the disk read it.
 */
export class DiskFile {
  readonly path: string;
  /** Bytes that are on the disk, in complete pieces. */
  safeBytes = 0;
  private readonly handle: WritableFile;
  /** The same file past the page cache; undefined before it was needed, null where that is not possible. */
  private direct: WritableFile | null | undefined;
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
      for (let done = await this.writeDirect(piece, at); done < piece.length; ) {
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

  /** Writes the piece past the page cache, if it consists of pages; gives how many bytes of it were written. */
  private async writeDirect(piece: Uint8Array, at: number): Promise<number> {
    if (piece.length === 0 || at % PAGE_BYTES !== 0 || piece.length % PAGE_BYTES !== 0) return 0;
    this.direct ??= this.direct === null ? null : await openDirect(this.handle);
    try {
      const written = await this.direct?.write(piece, 0, piece.length, at);
      return written?.bytesWritten ?? 0;
    } catch {
      // What stands in the way is told when the piece is written as usual.
      await this.closeDirect();
      return 0;
    }
  }

  private async closeDirect(): Promise<void> {
    const { direct } = this;
    this.direct = null;
    await direct?.close().catch(() => {});
  }

  /** A piece could not be written: no further one is. */
  get hasFailed(): boolean {
    return this.failure !== null;
  }

  /** The next piece must wait until it is `ready`. */
  get isBehind(): boolean {
    return this.underWay >= MAX_UNDER_WAY || this.hasFailed;
  }

  /** Resolves when another piece may be appended. Throws the {@link FileError} of an earlier one. */
  async ready(): Promise<void> {
    if (this.underWay >= MAX_UNDER_WAY) await this.last;
    if (this.failure !== null) throw this.failure;
  }

  /** Resolves when all is on the disk. What could only be written in part is cut off. */
  async close(): Promise<void> {
    await this.last;
    await this.closeDirect();
    if (this.failure !== null) await this.handle.truncate(this.safeBytes).catch(() => {});
    await this.handle.close().catch((error) => {
      this.failure ??= new FileError(this.path, whyNot(error), error);
    });
    if (this.failure !== null) throw this.failure;
  }
}

/** Opens a file again, so that what is written passes the page cache. Null: the system, or the file system, can't. */
async function openDirect({ fd }: WritableFile): Promise<WritableFile | null> {
  // Only Linux has both.
  const { O_DIRECT, O_WRONLY } = constants;
  if (fd === undefined || O_DIRECT === undefined) return null;
  return open(`/proc/self/fd/${fd}`, O_WRONLY | O_DIRECT).catch(() => null);
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
