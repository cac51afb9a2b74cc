import { chmodSync, chownSync, linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import process from 'node:process';
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

/** Longest path of a socket, in bytes: of a longer one libuv takes that much, and says nothing. */
const MAX_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * Makes `server` listen at `path`, with these rights from the first moment on. What a dead daemon left
 * there is replaced; a living one is left alone (SocketInUseError, which says who it is). A
 * SocketPathError for too long a path.
 *
 * The socket is made beside its place and then linked into it, which only one can do; and of those who
 * start at once, one after the other looks at what is there ({@link inTurn}).
 */
export async function listenAt(server: Server, path: string, ownership: Ownership): Promise<void> {
  if (process.platform === 'win32') {
    await listen(server, path);
    return;
  }
  const beside = `${path}.${process.pid}`;
  const aside = `${beside}.old`;
  const length = Buffer.byteLength(beside);
  if (length > MAX_PATH) {
    throw new SocketPathError(
      `${path} is too long for the path of a socket, by ${length - MAX_PATH} bytes`,
    );
  }
  remove(beside);
  await listen(server, beside);
  try {
    if (ownership.group !== undefined) chownSync(beside, process.getuid?.() ?? -1, ownership.group);
    chmodSync(beside, ownership.mode);
    await inTurn(path, () => takePlace(beside, path, aside));
  } catch (error) {
    server.close();
    throw error;
  } finally {
    remove(beside);
  }
}

async function takePlace(beside: string, path: string, aside: string): Promise<void> {
  while (!linked(beside, path)) {
    await mustBeDead(path, path);
    if (!moved(path, aside)) continue;
    // Where there are no turns, another may have taken the place between the look and the move.
    try {
      await mustBeDead(aside, path);
    } catch (error) {
      linked(aside, path);
      throw error;
    } finally {
      remove(aside);
    }
  }
}

/** How long one waits for its turn, in milliseconds: nobody may hold up all others for ever. */
const TURN = 3000;

/**
 * Does something that only one process may do at a time, for one path. On Linux, the turn is a name in
 * the abstract namespace of sockets: one process can have it, and loses it when it ends, however it
 * ends. Anybody may take that name, so who waits too long goes on without it.
 */
async function inTurn(path: string, work: () => Promise<void>): Promise<void> {
  if (process.platform !== 'linux') return work();
  const name = `\0kbus ${process.getuid?.()} ${path}`.slice(0, MAX_PATH);
  const waiting = new Set<Socket>();
  const turn = createServer((socket) => {
    waiting.add(socket);
    socket.on('error', () => {});
  });
  const end = performance.now() + TURN;
  let isOurs = false;
  while (!isOurs && performance.now() < end) {
    isOurs = await listen(turn, name).then(
      () => true,
      () => false,
    );
    if (!isOurs) await untilClosed(name, end - performance.now());
  }
  try {
    await work();
  } finally {
    for (const socket of waiting) socket.destroy();
    if (isOurs) turn.close();
  }
}

/** Resolves when whoever has the name gives it up. */
function untilClosed(name: string, patience: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = createConnection(name);
    socket.setTimeout(Math.max(1, patience), () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve());
    socket.resume();
  });
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
