import {
  type BigIntStats,
  chmodSync,
  lchownSync,
  linkSync,
  lstatSync,
  renameSync,
  unlinkSync,
} from 'node:fs';
import { createConnection, type Server } from 'node:net';
import process from 'node:process';
import { MAX_SOCKET_PATH } from '../client/directory.ts';
import {
  ASK_WHO,
  FRAME_AT,
  FrameReader,
  Kind,
  PROTOCOL_MAGIC,
  PROTOCOL_VERSION,
  textOf,
  wordOf,
  wordsFrame,
} from '../wire/frames.ts';

export interface Ownership {
  /** Permission bits of the socket. */
  mode: number;
  /** Group id of the socket, or undefined for the process's own. */
  group: number | undefined;
}

/** How many may be about to connect; the kernel may allow fewer. */
const BACKLOG = 4096;

/** Somebody else listens where this daemon would. */
export class SocketInUseError extends Error {
  override readonly name = 'SocketInUseError';
}

/** The path of a socket is longer than the system takes. */
export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';
}

/** A socket file that this process made, as long as it is the one at its path. */
export interface SocketFile {
  readonly path: string;
  readonly made: BigIntStats | undefined;
}

/**
 * Makes `server` listen at `path`, with these rights from the first moment on. What a dead daemon left
 * there is replaced; a living one is left alone (SocketInUseError, which says who it is). A
 * SocketPathError for too long a path. To be ended by {@link closeSocket}.
 *
 * The kernel lets one process bind a path, and must know the socket by that very path: what cleans up folders of
 * temporary files asks it which sockets are in use.
 */
export async function listenAt(
  server: Server,
  path: string,
  ownership: Ownership,
): Promise<SocketFile> {
  if (process.platform === 'win32') {
    await listen(server, path);
    return { path, made: undefined };
  }
  const length = Buffer.byteLength(path);
  if (length > MAX_SOCKET_PATH) {
    throw new SocketPathError(
      `${path} is too long for the path of a socket: ${length} bytes, where ${MAX_SOCKET_PATH} are allowed`,
    );
  }
  const { group, mode } = ownership;
  for (;;) {
    try {
      // The group that it is made with may not be the one that is to have rights.
      await withMask(group === undefined ? mode : mode & ~0o070, () => listen(server, path));
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    await removeDead(path);
  }
  try {
    if (group !== undefined) {
      lchownSync(path, process.getuid?.() ?? -1, group);
      chmodSync(path, mode);
    }
    return { path, made: lstatSync(path, { bigint: true }) };
  } catch (error) {
    server.close();
    throw error;
  }
}

/** Calls a function that binds a socket before it returns: the socket has these rights. */
function withMask<T>(mode: number, bind: () => T): T {
  const before = process.umask(0o777 & ~mode);
  try {
    return bind();
  } finally {
    process.umask(before);
  }
}

/** Removes the socket at `path`, if nobody listens there: that one, and not what took its place meanwhile. */
async function removeDead(path: string): Promise<void> {
  const seen = statOf(path);
  if (seen === undefined) return;
  await mustBeDead(path, path);
  const aside = `${path}.${process.pid}`;
  if (!moved(path, aside)) return;
  if (isSame(statOf(aside), seen)) remove(aside);
  else putBack(aside, path);
}

/** What is there was made by somebody else, who must find it again at once, unless a third one has come. */
function putBack(aside: string, path: string): void {
  linked(aside, path);
  remove(aside);
}

/** Ends a server, and removes its socket; `closed` is called when its last connection has ended. */
export function closeSocket(
  server: Server,
  file: SocketFile | undefined,
  closed: () => void,
): void {
  const now = file?.made === undefined ? undefined : statOf(file.path);
  if (file === undefined || now === undefined || isSame(now, file.made)) {
    server.close(closed);
    return;
  }
  // Another daemon serves at this path now. When a server closes, its path is removed, whatever is there: so for
  // that moment, nothing is.
  const aside = `${file.path}.${process.pid}`;
  const isAside = moved(file.path, aside);
  server.close(closed);
  if (isAside) putBack(aside, file.path);
}

function statOf(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

/** A number of a file is given again when the file is gone; the time it was made at is not. */
function isSame(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one?.ino === other?.ino && one?.dev === other?.dev && one?.mtimeNs === other?.mtimeNs;
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

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function moved(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}

/** Removes a file if it is there. */
export function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** A SocketInUseError if anybody answers at a socket, which belongs at `path`. */
async function mustBeDead(socket: string, path: string): Promise<void> {
  const isSocket = lstatSync(socket, { throwIfNoEntry: false })?.isSocket() ?? true;
  const who = isSocket ? await whoAnswers(socket) : 'a file that is no socket';
  if (who !== null) {
    throw new SocketInUseError(
      `${path} is in use by ${who}. Stop that, or choose another folder with --directory or $KBUS_DIR.`,
    );
  }
}

/** How long somebody who took a connection may take to say who it is, in milliseconds. */
const PATIENCE = 1000;

/** Says who listens at a socket, or null when nobody does. */
export function whoAnswers(path: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    const reader = new FrameReader(4096);
    const settle = (who: string | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(who);
    };
    const timer = setTimeout(() => settle('a program that does not say who it is'), PATIENCE);
    const words = [PROTOCOL_MAGIC, PROTOCOL_VERSION, ASK_WHO, process.pid];
    socket.on('connect', () => socket.write(wordsFrame(Kind.HELLO, 0, 0, 0, words)));
    socket.on('data', (chunk: Buffer) => {
      try {
        reader.push(chunk);
        if (!reader.read()) return;
        const kind = reader.bytes[reader.at + FRAME_AT.kind];
        if (kind === Kind.WELCOME && wordOf(reader, 0) === PROTOCOL_MAGIC) {
          settle(`the KBUS daemon with process id ${wordOf(reader, 4)}`);
        } else {
          settle(kind === Kind.FAREWELL ? `KBUS (${textOf(reader, 1)})` : 'another program');
        }
      } catch {
        settle('another program');
      }
    });
    socket.on('end', () => settle('a program that does not say who it is'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') {
        settle(null);
      } else {
        clearTimeout(timer);
        reject(error);
      }
    });
  });
}
