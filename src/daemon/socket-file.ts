import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  lchownSync,
  lstatSync,
  openSync,
  readFileSync,
  unlinkSync,
} from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { identityOf } from '../system/file-identity.ts';
import { FolderError } from '../system/made-folders.ts';
import { checkSocketPath } from '../system/socket-folder.ts';
import { withMode } from '../system/umask.ts';
import { whoAnswers } from './who-answers.ts';

/**
 * Who may use a socket.
 *
 * @see {@link Daemon} for an example
 */
export interface Ownership {
  /** Permission bits of the socket. */
  mode: number;
  /** Group id of the socket, or undefined for the process's own. */
  group: number | undefined;
}

/** The backlog for listen(2); the kernel may lower it. */
const LISTEN_BACKLOG = 4096;

/** How long a daemon waits for others that start at the same path. */
const START_TIMEOUT_MS = 3000;

/** The interval at which a socket is checked whose owner is about to listen. */
const RETRY_INTERVAL_MS = 5;

const STARTING_DAEMON = 'a daemon that is about to start';

/**
 * Another process listens at the path.
 *
 * @example
 * ```ts
 * import { Daemon, Log, SocketInUseError } from 'kbus/daemon';
 *
 * const directory = './taken';
 * const socket = { mode: 0o600, group: undefined };
 * const log = new Log('human', () => {});
 * const make = (): Daemon => new Daemon({ buses: 1, directory, socket, bus: {}, log });
 * const first = make();
 * await first.start();
 * try {
 *   await make().start();
 * } catch (error) {
 *   console.log(error instanceof SocketInUseError); // → true
 * }
 * await first.stop('it was told to');
 * ```
 */
export class SocketInUseError extends Error {
  override readonly name = 'SocketInUseError';

  constructor(path: string, who: string) {
    super(
      `${path} is in use by ${who}. Stop it, or choose another folder with --directory or $KBUS_DIR.`,
    );
  }
}

/** A server that listens at a path, and the socket file that it created. */
export class SocketFile {
  private readonly path: string;
  private readonly server: Server;
  /** Identity of the file; undefined on Windows, where pipes are not files. */
  private readonly identity: string | undefined;

  constructor(path: string, server: Server, identity: string | undefined) {
    this.path = path;
    this.server = server;
    this.identity = identity;
  }

  /**
   * Closes the server, and removes the file if it is still the same one. Resolves when all connections are closed,
   * except those that the server is about to refuse.
   */
  close(): Promise<void> {
    const now = this.identity === undefined ? undefined : identityOf(this.path);
    // Node removes the path when it closes the handle, whatever file is there.
    if (now === undefined || now === this.identity) {
      return new Promise((resolve) => this.server.close(() => resolve()));
    }
    // Another daemon serves at this path now, so the handle must stay open. No client can reach this server any more,
    // and it doesn't keep the process alive.
    this.server.unref();
    keepHandles();
    return Promise.resolve();
  }
}

let areHandlesKept = false;

/** When the event loop is empty, Node closes open handles, which removes their paths; `process.exit` does not. */
function keepHandles(): void {
  if (areHandlesKept) return;
  areHandlesKept = true;
  process.once('exit', (code) => process.exit(code));
}

/**
 * Makes `server` listen at `path`; the socket has its permissions from the start. Replaces the socket of a dead
 * daemon. Throws a SocketInUseError, which names the owner, if a living process has the path, and a SocketPathError
 * for too long a path.
 *
 * The socket is bound directly at its path: only one process can do that, and the kernel then knows the socket by this
 * path. Cleaners of temporary files ask the kernel which sockets are in use.
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
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      return await bind(server, path, ownership);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    if (performance.now() > deadline) throw new SocketInUseError(path, STARTING_DAEMON);
    await removeDead(path, deadline);
  }
}

async function bind(server: Server, path: string, { mode, group }: Ownership): Promise<SocketFile> {
  // Until the group is set, only the owner may connect.
  await withMode(group === undefined ? mode : mode & 0o700, () => listen(server, path));
  const file = new SocketFile(path, server, identityOf(path));
  try {
    setRights(path, mode, group);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** O_PATH of Linux: to open a socket, without connecting. Node doesn't name it. */
const O_PATH = 0o10000000;

/**
 * Sets the group of a socket, and the mode if it is not right yet (a default ACL of the folder may change it). On Linux
 * by a descriptor, not by the path: if another program replaced the socket by a link, that link's target stays as it is.
 */
function setRights(path: string, mode: number, group: number | undefined): void {
  const me = process.geteuid?.() ?? -1;
  if (process.platform !== 'linux') {
    // The folder was checked: no other user can replace the socket.
    if (group !== undefined) lchownSync(path, me, group);
    if ((lstatSync(path).mode & 0o777) !== mode) chmodSync(path, mode);
    return;
  }
  const descriptor = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isSocket() || stats.uid !== me || stats.nlink !== 1) {
      throw new FolderError(
        'EPERM',
        `another program has replaced the socket ${path} while it was created`,
      );
    }
    const socket = `/proc/self/fd/${descriptor}`;
    if (group !== undefined) chownSync(socket, me, group);
    if ((stats.mode & 0o777) !== mode) chmodSync(socket, mode);
  } finally {
    closeSync(descriptor);
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: LISTEN_BACKLOG }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Removes the socket at `path` if its process is dead. Throws a SocketInUseError if that lives. */
async function removeDead(path: string, deadline: number): Promise<void> {
  const seen = identityOf(path);
  if (seen === undefined || !(await isDead(path, deadline))) return;
  await removeClaimed(path, path, seen, deadline);
}

/**
 * Removes a dead socket, for a daemon that starts at `path`. Of several processes that find the same dead socket only
 * one may remove it: the one that listens at the socket's claim, a path derived from its identity. Without a claim, the
 * second process could remove the socket that the first has just bound there.
 */
async function removeClaimed(
  dead: string,
  path: string,
  seen: string,
  deadline: number,
): Promise<void> {
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
    await awaitClaim(claim, path, deadline);
    return;
  }
  try {
    if (identityOf(dead) === seen) unlinkSync(dead);
  } finally {
    for (const socket of waiting) socket.destroy();
    await held.close();
  }
}

/** The path of a dead socket's claim; its name is no longer than that of a bus's socket. */
export function claimOf(path: string, identity: string): string {
  const [dev = 0n, ino = 0n, born = 0n] = identity.split(':').map(BigInt);
  const mixed = BigInt.asUintN(46, (dev * 31n + ino) * 0x9e37_79b9_7f4a_7c15n + born);
  return join(dirname(path), `.${mixed.toString(36).padStart(9, '0')}`);
}

/** Waits for the process that holds a claim. If it has died, its claim is a dead socket to remove likewise. */
async function awaitClaim(claim: string, path: string, deadline: number): Promise<void> {
  const timeoutMs = deadline - performance.now();
  if (timeoutMs <= 0) throw new SocketInUseError(path, STARTING_DAEMON);
  const seen = identityOf(claim);
  const isNew = isAboutToListen(claim);
  if (seen === undefined || (await closedWithin(claim, timeoutMs))) return;
  if (isNew) await retryInterval();
  else await removeClaimed(claim, path, seen, deadline);
}

/** Resolves when the server at a path closes, or after the timeout; with false if no process listens there. */
function closedWithin(path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let hasConnected = false;
    const socket = createConnection(path);
    socket.setTimeout(Math.max(1, timeoutMs), () => socket.destroy());
    socket.on('connect', () => {
      hasConnected = true;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(hasConnected));
    socket.resume();
  });
}

/** Whether a socket has no living owner; false if it was removed. Throws a SocketInUseError if it has one. */
async function isDead(path: string, deadline: number): Promise<boolean> {
  for (;;) {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return false;
    if (!stats.isSocket()) throw new SocketInUseError(path, 'a file that is not a socket');
    // In this order: a process that was about to listen does so by the time of the second check, or has died.
    const isNew = isAboutToListen(path);
    const who = await whoAnswers(path).catch(otherUser);
    if (who !== null) throw new SocketInUseError(path, who);
    if (!isNew) return true;
    if (performance.now() > deadline) throw new SocketInUseError(path, STARTING_DAEMON);
    await retryInterval();
  }
}

/** The owner of a socket to which this user may not connect. */
function otherUser(error: NodeJS.ErrnoException): string {
  if (error.code !== 'EACCES' && error.code !== 'EPERM') throw error;
  return `another user (${error.code})`;
}

const retryInterval = (): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, RETRY_INTERVAL_MS));

/** A line of /proc/net/unix: a stream socket that is bound, but neither listens nor is connected. */
const BOUND_ONLY = / 00000000 0001 01 +\d+ (.*)$/;

/** Whether a living process has bound the path and doesn't listen yet: it refuses connections as a dead one does. */
function isAboutToListen(path: string): boolean {
  if (process.platform !== 'linux') return false;
  let sockets: string;
  try {
    sockets = readFileSync('/proc/net/unix', 'utf8');
  } catch {
    // Without /proc this can't be found out. The time between bind and listen is short.
    return false;
  }
  return sockets.split('\n').some((line) => BOUND_ONLY.exec(line)?.[1] === path);
}
