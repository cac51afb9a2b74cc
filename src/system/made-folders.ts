import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  rmdirSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { identityOf } from './file-identity.ts';
import { checkOwnPath, PathTrustError } from './path-trust.ts';
import { withMode } from './umask.ts';

const { O_RDONLY, O_DIRECTORY = 0, O_NOFOLLOW = 0 } = constants;

/**
 * A folder can't be created; `code` is the file system's, and the message names the path that is the cause.
 *
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { Daemon, FolderError, Log } from 'kbus/daemon';
 *
 * const file = './file';
 * writeFileSync(file, '');
 * const daemon = new Daemon({
 *   buses: 1,
 *   directory: `${file}/kbus`,
 *   socket: { mode: 0o600, group: undefined },
 *   bus: {},
 *   log: new Log('human', () => {}),
 * });
 * const error = await daemon.start().catch((reason: unknown) => reason);
 * if (error instanceof FolderError) console.log(error.code); // → ENOTDIR
 * ```
 */
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

/** The folders that this process created, and removes at its end. */
export class MadeFolders {
  /** Path and identity of each, innermost first. */
  private readonly made: [path: string, identity: string | undefined][] = [];

  /**
   * Creates a folder and its missing parents, with these permissions whatever the umask is. One by one: Node's
   * recursive mkdir loops forever where mkdir(2) fails with ENOENT although the parent exists (below /proc).
   * Throws a FolderError, also for a folder in which another user could replace what this process creates, or an error of
   * the file system that names the folder; removes what it created before.
   */
  make(folder: string, rights: FolderRights): void {
    const before = this.made.length;
    const missing = missingOf(resolve(folder));
    checkOwn(folder);
    try {
      for (const next of missing) this.makeOne(next, rights);
      // Another process may have created one of them.
      if (missing.length > 0) checkOwn(folder);
    } catch (error) {
      this.removeDownTo(before);
      throw error;
    }
  }

  private makeOne(folder: string, { mode, group }: FolderRights): void {
    try {
      withMode(0o700, () => mkdirSync(folder));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process may create the same folders at the same time.
      if (code === 'EEXIST' && missingOf(folder).length === 0) return;
      if (code !== 'ENOENT') throw error;
      throw new FolderError(code, `can't create a folder in ${dirname(folder)}`, error);
    }
    this.made.unshift([folder, identityOf(folder)]);
    // By a descriptor, not by its path: whoever could replace the folder by a link must not choose what gets the mode.
    const descriptor = openSync(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    try {
      if (group !== undefined) fchownSync(descriptor, process.geteuid?.() ?? -1, group);
      fchmodSync(descriptor, mode);
    } finally {
      closeSync(descriptor);
    }
  }

  /** Removes those folders that are empty and were not replaced. */
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

/** Throws a FolderError if another user could replace what this process creates in a folder. */
function checkOwn(folder: string): void {
  try {
    checkOwnPath(folder);
  } catch (error) {
    if (error instanceof PathTrustError) throw new FolderError('EPERM', error.message, error);
    throw error;
  }
}

/** Whether a folder may stay: it is in use, gone, or this user may not remove it. */
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

/** The missing folders of a path, outermost first. Throws a FolderError if the path leads through something else. */
export function missingOf(folder: string): string[] {
  const missing: string[] = [];
  for (let at = folder; ; at = dirname(at)) {
    const stats = unlessMissing(() => statSync(at));
    if (stats?.isDirectory()) return missing.reverse();
    if (stats !== undefined) throw new FolderError('ENOTDIR', `${at} is not a folder`);
    if (unlessMissing(() => lstatSync(at))?.isSymbolicLink()) {
      throw new FolderError(
        'ENOENT',
        `${at} is a symbolic link to ${readlinkSync(at)}, which does not exist`,
      );
    }
    missing.push(at);
  }
}

/** Undefined if the path doesn't exist; ENOTDIR means that a parent is a file. */
function unlessMissing<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
    return undefined;
  }
}
