import { chmodSync, chownSync, linkSync, renameSync, unlinkSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
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
 * The socket is made beside its place and then linked into it, which only one can do: so of two
 * daemons that start at once, one is refused.
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
    while (!linked(beside, path)) {
      await mustBeDead(path, path);
      if (!moved(path, aside)) continue;
      // Between the look and the move another daemon may have taken the place: then it keeps it.
      try {
        await mustBeDead(aside, path);
      } catch (error) {
        linked(aside, path);
        throw error;
      } finally {
        remove(aside);
      }
    }
  } catch (error) {
    server.close();
    throw error;
  } finally {
    remove(beside);
  }
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
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
  const who = await whoAnswers(socket);
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
        const kind = reader.view.getUint8(reader.at + FRAME_AT.kind);
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
