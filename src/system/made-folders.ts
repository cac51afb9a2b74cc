import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { identityOf } from './file-identity.ts';

/** A folder can't be made; `code` is the file system's, and the message names the place that stands in the way. */
export class FolderError extends Error {
  override readonly name = 'FolderError';
  readonly code: string;

  constructor(code: string, why: string, cause?: unknown) {
    super(`${code}: ${why}`, { cause });
    this.code = code;
  }
}

export interface FolderRights {
  mode: number;
  /** Group id, or undefined for the process's own. */
  group?: number | undefined;
}

/** Folders that were made, so that they can be removed. */
export class MadeFolders {
  /** Each with what it was when it was made, the innermost first. */
  private readonly made: [path: string, identity: string | undefined][] = [];

  /**
   * Makes a folder, and those around it that aren't there, with these rights whatever the umask is. One by one: the
   * recursive way of Node tries without end where a folder is refused as one that isn't there (below /proc).
   * A FolderError, or an error of the file system which names the folder; nothing is left of it then.
   */
  make(folder: string, rights: FolderRights): void {
    const before = this.made.length;
    const missing = missingOf(resolve(folder));
    try {
      for (const next of missing) this.makeOne(next, rights);
    } catch (error) {
      this.removeDownTo(before);
      throw error;
    }
  }

  private makeOne(folder: string, { mode, group }: FolderRights): void {
    try {
      mkdirSync(folder, { mode });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Somebody else may make the same folders now.
      if (code === 'EEXIST' && missingOf(folder).length === 0) return;
      if (code !== 'ENOENT') throw error;
      throw new FolderError(code, `no folder can be made in ${dirname(folder)}`, error);
    }
    this.made.unshift([folder, identityOf(folder)]);
    if (group !== undefined) chownSync(folder, process.getuid?.() ?? -1, group);
    chmodSync(folder, mode);
  }

  /** Removes those that nobody has put something into, or replaced. */
  remove(): void {
    this.removeDownTo(0);
  }

  private removeDownTo(count: number): void {
    for (const [folder, identity] of this.made.splice(0, this.made.length - count)) {
      try {
        if (identityOf(folder) === identity) rmdirSync(folder);
      } catch (error) {
        if (!isLeft(error)) throw error;
      }
    }
  }
}

/** Whether a folder stays because somebody uses it, or this user may not remove it. */
function isLeft(error: unknown): boolean {
  const { code = '' } = error as NodeJS.ErrnoException;
  return [
    'ENOTEMPTY',
    'EEXIST',
    'EBUSY',
    'ENOENT',
    'EACCES',
    'EPERM',
    'EROFS',
    'ENOTCONN',
  ].includes(code);
}

/** Those of a folder and the folders around it that aren't there, the outermost first. A FolderError where none can be. */
export function missingOf(folder: string): string[] {
  const missing: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const stats = unlessMissing(() => statSync(at));
    if (stats?.isDirectory()) return missing.reverse();
    if (stats !== undefined) throw new FolderError('ENOTDIR', `${at} is not a folder`);
    if (unlessMissing(() => lstatSync(at))?.isSymbolicLink()) {
      throw new FolderError('ENOENT', `${at} is a link to ${readlinkSync(at)}, which is not there`);
    }
    missing.push(at);
  }
}

/** Undefined for what isn't there; that may be because a file is further up. */
function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    return undefined;
  }
}
