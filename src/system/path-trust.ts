import { lstatSync, readlinkSync, type Stats } from 'node:fs';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import process from 'node:process';

/** Another user can replace what is at a path. The message says who, where, and what to do. */
export class PathTrustError extends Error {
  override readonly name = 'PathTrustError';
}

/** As many links as the kernel follows. */
const MAX_LINKS = 40;

const STICKY = 0o1000;
const GROUP_MAY_WRITE = 0o020;
const OTHERS_MAY_WRITE = 0o002;

/**
 * Throws a PathTrustError unless only this user and root can change what lies at `path`, a folder in which this process
 * creates files. Each folder and link on the way, and the folder itself, must belong to one of the two, and no other user
 * may write there, unless the folder is sticky, as /tmp is. What doesn't exist yet is not checked. Does nothing on
 * Windows.
 */
export function checkOwnPath(path: string): void {
  const trusted = alwaysTrusted();
  walk(path, (at, { uid }) => {
    if (trusted.has(uid)) return;
    const me = process.geteuid?.();
    throw new PathTrustError(
      `user ${uid} owns ${at}, and could replace what user ${me} creates there; run kbus as that user, or give ${at} to user ${me} (chown)`,
    );
  });
}

/**
 * Throws a PathTrustError if a stranger could have put the socket at `path` there, or could replace it. To name a folder
 * is to trust its owner, unless anybody could have created it: a folder, a link or a socket in a sticky folder, such as
 * /tmp, must belong to this user, to root, or to the owner of a folder above. Does nothing on Windows, and for a path
 * that this user may not look at: there it can't connect, either.
 */
export function checkPathToSocket(path: string): void {
  const trusted = alwaysTrusted();
  try {
    walk(path, (at, stats, folder) => {
      if (folder === null || !mayOthersWrite(folder)) {
        if (!stats.isSymbolicLink()) trusted.add(stats.uid);
      } else if (!trusted.has(stats.uid)) {
        throw new PathTrustError(
          `any user can create files in ${dirname(at)}, and user ${stats.uid} has created ${at}; use a folder in which only its owner may write`,
        );
      }
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
  }
}

/** This user, root, and the owner of /, as whom root is shown in a user namespace. */
function alwaysTrusted(): Set<number> {
  if (process.platform === 'win32') return new Set();
  return new Set([process.geteuid!(), 0, lstatSync('/').uid]);
}

/**
 * Goes along a path as the kernel does, and calls `visit` with each folder, link and file on it and the folder that it is
 * in. Ends where something doesn't exist. Throws a PathTrustError for a folder in which others may replace what they
 * don't own. Since each folder was checked before it goes on, no other user can change what it has seen.
 */
function walk(path: string, visit: (at: string, stats: Stats, folder: Stats | null) => void): void {
  if (process.platform === 'win32') return;
  let at = '/';
  let folder = lstatSync(at);
  checkMode(at, folder);
  visit(at, folder, null);
  const rest = wordsOf(resolve(path));
  for (let links = 0; links <= MAX_LINKS; ) {
    const word = rest.shift();
    if (word === undefined) return;
    const next = join(at, word);
    const stats = lstatSync(next, { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (word !== '..') visit(next, stats, folder);
    if (stats.isSymbolicLink()) {
      links++;
      const target = readlinkSync(next);
      rest.unshift(...wordsOf(target));
      if (!isAbsolute(target)) continue;
      at = '/';
      folder = lstatSync(at);
    } else {
      if (!stats.isDirectory()) return;
      checkMode(next, stats);
      at = next;
      folder = stats;
    }
  }
}

function wordsOf(path: string): string[] {
  return path.split('/').filter((word) => word !== '' && word !== '.');
}

function checkMode(folder: string, stats: Stats): void {
  if ((stats.mode & STICKY) !== 0 || !mayOthersWrite(stats)) return;
  const isOpen = (stats.mode & OTHERS_MAY_WRITE) !== 0;
  const who = isOpen ? 'any user' : `group ${stats.gid}`;
  throw new PathTrustError(
    `${who} may write in ${folder}, and could replace what lies there; forbid that (chmod ${isOpen ? 'o-w' : 'g-w'} ${folder}), or make it sticky (chmod +t)`,
  );
}

function mayOthersWrite({ mode, uid, gid }: Stats): boolean {
  // A group with the number of its owner is that user's own.
  return (mode & OTHERS_MAY_WRITE) !== 0 || ((mode & GROUP_MAY_WRITE) !== 0 && gid !== uid);
}
