import { chmodSync, lchownSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';
import { identityOf } from '../system/file-identity.ts';
import { checkSocketPath } from '../system/socket-folder.ts';
import { whoAnswers } from './who-answers.ts';

export interface Ownership {
  /** Permission bits of the socket. */
  mode: number;
  /** Group id of the socket, or undefined for the process's own. */
  group: number | undefined;
}

/** How many may be about to connect; the kernel may allow fewer. */
const BACKLOG = 4096;

/** How long a process waits for others that start at the same path, in milliseconds. */
const PATIENCE = 3000;

/** How soon to look again at a socket whose owner is about to listen, in milliseconds. */
const SOON = 5;

const STARTING = 'a daemon that is about to start';

/** Somebody else listens where this daemon would. */
export class SocketInUseError extends Error {
  override readonly name = 'SocketInUseError';

  constructor(path: string, who: string) {
    super(
      `${path} is in use by ${who}. Stop that, or choose another folder with --directory or $KBUS_DIR.`,
    );
  }
}

/** A server that listens at a path, and the file that this made. */
export class SocketFile {
  private readonly path: string;
  private readonly server: Server;
  /** Undefined on Windows, where pipes are no files. */
  private readonly made: string | undefined;

  constructor(path: string, server: Server, made: string | undefined) {
    this.path = path;
    this.server = server;
    this.made = made;
  }

  /**
   * Ends the server, and removes the file if it is still the one that was made. Resolves when the server has no
   * connection any more, or keeps only those that it is about to refuse.
   */
  close(): Promise<void> {
    const now = this.made === undefined ? undefined : identityOf(this.path);
    // Node removes the path when it closes the handle, whatever is there.
    if (now === undefined || now === this.made) {
      return new Promise((resolve) => this.server.close(() => resolve()));
    }
    // Another daemon serves at this path now. The handle must stay open: nobody can find this server any more, and it
    // keeps no process from ending.
    this.server.unref();
    keepHandles();
    return Promise.resolve();
  }
}

let areHandlesKept = false;

/** At its end Node closes what is open, which would remove paths as well; `process.exit` leaves that to the system. */
function keepHandles(): void {
  if (areHandlesKept) return;
  areHandlesKept = true;
  process.once('exit', (code) => process.exit(code));
}

/**
 * Makes `server` listen at `path`, with these rights from the first moment on. What a dead daemon left
 * there is replaced; a living one is left alone (SocketInUseError, which says who it is). A
 * SocketPathError for too long a path.
 *
 * The socket is bound at its own path, which only one process can do. The kernel then knows it by that path: what
 * cleans up folders of temporary files asks the kernel which sockets are in use.
 */
export async function listenAt(
  server: Server,
  path: string,
  ownership: Ownership,
): Promise<SocketFile> {
  checkSocketPath(path);
  if (process.platform === 'win32') {
    await listen(server, path);
    return new SocketFile(path, server, undefined);
  }
  const end = performance.now() + PATIENCE;
  for (;;) {
    try {
      return await bind(server, path, ownership);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    await removeDead(path, end);
  }
}

async function bind(server: Server, path: string, { mode, group }: Ownership): Promise<SocketFile> {
  // Nobody but the owner may connect before the group is right.
  await withMask(group === undefined ? mode : mode & 0o700, () => listen(server, path));
  const file = new SocketFile(path, server, identityOf(path));
  try {
    if (group !== undefined) lchownSync(path, process.getuid?.() ?? -1, group);
    if ((lstatSync(path).mode & 0o777) !== mode) chmodSync(path, mode);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** Calls a function that binds a socket before it returns: the socket has these rights. */
function withMask<T>(mode: number, bind: () => T): T {
  // A worker can't set the mask of its process.
  if (!isMainThread) return bind();
  const before = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Removes the socket at `path` if its process is dead. A SocketInUseError if it is not. */
async function removeDead(path: string, end: number): Promise<void> {
  const seen = identityOf(path);
  if (seen !== undefined && (await isDead(path, end))) await removeAs(path, path, seen, end);
}

/**
 * Removes a dead socket, for a daemon that starts at `path`. Of several processes that find the same dead socket only
 * one may remove it: the one that listens at the socket's claim, a path made of its identity. Without that, the second
 * could remove what the first has put there meanwhile.
 */
async function removeAs(dead: string, path: string, seen: string, end: number): Promise<void> {
  const claim = claimOf(dead, seen);
  const waiting = new Set<Socket>();
  const holder = createServer((socket) => {
    waiting.add(socket.on('error', () => {}));
  });
  let held: SocketFile;
  try {
    held = await bind(holder, claim, { mode: 0o600, group: undefined });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    await awaitClaim(claim, path, end);
    return;
  }
  try {
    if (identityOf(dead) === seen) unlinkSync(dead);
  } finally {
    for (const socket of waiting) socket.destroy();
    await held.close();
  }
}

/** Where the process listens that may remove a dead socket: a name no longer than that of a bus's socket. */
export function claimOf(path: string, identity: string): string {
  const [dev = 0n, ino = 0n, born = 0n] = identity.split(':').map(BigInt);
  const mixed = BigInt.asUintN(46, (dev * 31n + ino) * 0x9e37_79b9_7f4a_7c15n + born);
  return join(dirname(path), `.${mixed.toString(36).padStart(9, '0')}`);
}

/** Waits for the process that has a claim. Where that has died, its claim is a dead socket in its turn. */
async function awaitClaim(claim: string, path: string, end: number): Promise<void> {
  const patience = end - performance.now();
  if (patience <= 0) throw new SocketInUseError(path, STARTING);
  const seen = identityOf(claim);
  const isNew = isAboutToListen(claim);
  if (seen === undefined || (await closedWithin(claim, patience))) return;
  if (isNew) await soon();
  else await removeAs(claim, path, seen, end);
}

/** Resolves when the process that listens at a path ends that, or the time is over; false if nobody listens. */
function closedWithin(path: string, patience: number): Promise<boolean> {
  return new Promise((resolve) => {
    let isThere = false;
    const socket = createConnection(path);
    socket.setTimeout(Math.max(1, patience), () => socket.destroy());
    socket.on('connect', () => {
      isThere = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(isThere));
    socket.resume();
  });
}

/** Whether nobody listens at a socket, or will; false if it is gone. A SocketInUseError if somebody does. */
async function isDead(path: string, end: number): Promise<boolean> {
  for (;;) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    if (!stats.isSocket()) throw new SocketInUseError(path, 'a file that is no socket');
    // In this order: who was about to listen then does so now, or has died.
    const isNew = isAboutToListen(path);
    const who = await whoAnswers(path).catch(strangerOf);
    if (who !== null) throw new SocketInUseError(path, who);
    if (!isNew) return true;
    if (performance.now() > end) throw new SocketInUseError(path, STARTING);
    await soon();
  }
}

/** Whose socket it is that this user may not even connect to. */
function strangerOf(error: NodeJS.ErrnoException): string {
  if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
  return `another user (${error.code})`;
}

const soon = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SOON));

/** What Linux tells of a stream socket that is bound, but neither listens nor is connected. */
const BOUND_ONLY = / 00000000 0001 01 +\d+ (.*)$/;

/** Whether a living process has bound a socket at a path, and doesn't listen yet: it refuses as a dead one does. */
function isAboutToListen(path: string): boolean {
  if (process.platform !== 'linux') return false;
  let sockets: string;
  try {
    sockets = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    // Without /proc it can't be known. The moment between the two is short.
    return false;
  }
  return sockets.split('\n').some((line) => BOUND_ONLY.exec(line)?.[1] === path);
}
