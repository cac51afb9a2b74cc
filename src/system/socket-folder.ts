import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import process from 'node:process';

/** Longest path of a socket, in bytes: libuv cuts off what is beyond, and says nothing. */
const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/** Where the system's daemon serves. */
const SYSTEM = '/run/kbus';

/** The path of a socket is longer than the system takes. */
export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';
}

/** A folder that was given, or should have been, names no place; the message says what to do. */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/**
 * Where `kbus serve` makes the sockets: in `$KBUS_DIR`, else in /run/kbus for root, else in
 * `$XDG_RUNTIME_DIR/kbus`; on macOS and Windows, in the user's own folder for temporary files. A DirectoryError
 * when none of these is set: a folder that anybody may make is not safe to trust.
 */
export function socketDirectory(given?: string): string {
  const { KBUS_DIR, XDG_RUNTIME_DIR } = process.env;
  if (given) return given;
  if (KBUS_DIR) return KBUS_DIR;
  const uid = process.getuid?.();
  if (uid === 0) return SYSTEM;
  if (XDG_RUNTIME_DIR) return join(XDG_RUNTIME_DIR, 'kbus');
  if (process.platform !== 'linux') return join(tmpdir(), 'kbus');
  throw new DirectoryError(
    'there is no folder for the sockets of KBUS: neither KBUS_DIR nor XDG_RUNTIME_DIR is set. Set KBUS_DIR to a folder of your own.',
  );
}

/**
 * The folders where a client looks for a bus, in this order: the one that is given; or `$KBUS_DIR`, the user's, and
 * the system's. All those where {@link socketDirectory} may let a daemon serve are among them.
 */
export function placesToLook(given?: string): readonly string[] {
  if (given) return [given];
  const { KBUS_DIR, XDG_RUNTIME_DIR } = process.env;
  const places: string[] = [];
  if (KBUS_DIR) places.push(KBUS_DIR);
  if (XDG_RUNTIME_DIR) places.push(join(XDG_RUNTIME_DIR, 'kbus'));
  if (process.platform !== 'linux') places.push(join(tmpdir(), 'kbus'));
  if (process.platform !== 'win32') places.push(SYSTEM);
  return [...new Set(places)];
}

/** The socket of one bus: an absolute path, by which the kernel knows it. On Windows, sockets are named pipes. */
export function socketPath(directory: string, bus: number): string {
  const name = `kbus${bus}.sock`;
  return process.platform === 'win32'
    ? `\\\\.\\pipe\\${directory.replaceAll(/[\\/:]+/g, '-')}-${name}`
    : join(absolute(directory), name);
}

/** A SocketPathError for a path that is too long for a socket. */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (process.platform === 'win32' || length <= MAX_SOCKET_PATH) return;
  throw new SocketPathError(
    `${path} is too long for the path of a socket: ${length} bytes, where ${MAX_SOCKET_PATH} are allowed`,
  );
}

/** A DirectoryError for a relative path, when the working directory has been removed. */
export function absolute(directory: string): string {
  if (isAbsolute(directory)) return directory;
  try {
    return resolve(directory);
  } catch (error) {
    throw new DirectoryError(
      `'${directory}' is a relative path, and the working directory of this program has been removed. Give an absolute path, or start the program in another folder.`,
      { cause: error },
    );
  }
}

/** Numbers of the buses that have a socket in a folder, in order. An error of the file system. */
export function busesIn(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => /^kbus(\d+)\.sock$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
