import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import process from 'node:process';

/** The longest path of a socket. libuv silently truncates longer ones. */
const MAX_SOCKET_PATH_BYTES = process.platform === 'linux' ? 107 : 103;

/** The folder of the system's daemon. */
const SYSTEM_FOLDER = '/run/kbus';

/**
 * The path of a socket is longer than the system allows.
 *
 * @example
 * ```ts
 * import { Daemon, Log, SocketPathError } from 'kbus/daemon';
 *
 * const daemon = new Daemon({
 *   buses: 1,
 *   directory: `./${'long'.repeat(30)}`,
 *   socket: { mode: 0o600, group: undefined },
 *   bus: {},
 *   log: new Log('human', () => {}),
 * });
 * const error = await daemon.start().catch((reason: unknown) => reason);
 * console.log(error instanceof SocketPathError); // → true
 * ```
 */
export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';
}

/**
 * There is no usable folder for the sockets; the message says what to do.
 *
 * @example
 * ```ts
 * import { DirectoryError, FolderError, SocketInUseError, SocketPathError, WebError } from 'kbus/daemon';
 *
 * // Whether the user can mend it: then the message says how, and a stack helps nobody.
 * export const isOfItsPlace = (error: unknown): boolean =>
 *   [DirectoryError, FolderError, SocketInUseError, SocketPathError, WebError].some(
 *     (kind) => error instanceof kind,
 *   );
 * ```
 */
export class DirectoryError extends Error {
  override readonly name = 'DirectoryError';
}

/**
 * The folder where `kbus serve` creates the sockets: `$KBUS_DIR`, else /run/kbus for root, else
 * `$XDG_RUNTIME_DIR/kbus`; on macOS and Windows, one in the user's own folder for temporary files. Throws a
 * DirectoryError if none of these is set: a folder that any user may create can't be trusted.
 */
export function socketDirectory(given?: string): string {
  const { KBUS_DIR, XDG_RUNTIME_DIR } = process.env;
  if (given) return given;
  if (KBUS_DIR) return KBUS_DIR;
  const uid = process.getuid?.();
  if (uid === 0) return SYSTEM_FOLDER;
  if (XDG_RUNTIME_DIR) return join(XDG_RUNTIME_DIR, 'kbus');
  if (process.platform !== 'linux') return join(tmpdir(), 'kbus');
  throw new DirectoryError(
    'no folder is set for the sockets of KBUS: neither KBUS_DIR nor XDG_RUNTIME_DIR is set. Set KBUS_DIR to a folder of your own, in each terminal: export KBUS_DIR=$HOME/.kbus',
  );
}

/**
 * The folders where a client looks for a bus, in this order: only the given one; or `$KBUS_DIR`, the user's, and the
 * system's. They include every folder that {@link socketDirectory} may return.
 */
export function placesToLook(given?: string): readonly string[] {
  if (given) return [given];
  const { KBUS_DIR, XDG_RUNTIME_DIR } = process.env;
  const places: string[] = [];
  if (KBUS_DIR) places.push(KBUS_DIR);
  if (XDG_RUNTIME_DIR) places.push(join(XDG_RUNTIME_DIR, 'kbus'));
  if (process.platform !== 'linux') places.push(join(tmpdir(), 'kbus'));
  if (process.platform !== 'win32') places.push(SYSTEM_FOLDER);
  return [...new Set(places)];
}

/** The name of an access point, as part of a file name. */
export const ACCESS_NAME = /^[A-Za-z0-9_-]{1,32}$/;

/** The absolute path of a bus's socket, or of that of a named access point; on Windows, the name of a pipe. */
export function socketPath(directory: string, bus: number, access?: string): string {
  const name = access === undefined ? `kbus${bus}.sock` : `kbus${bus}.${access}.sock`;
  return process.platform === 'win32'
    ? `\\\\.\\pipe\\${directory.replaceAll(/[\\/:]+/g, '-')}-${name}`
    : join(absolute(directory), name);
}

/** Throws a SocketPathError if the path is too long for a socket. */
export function checkSocketPath(path: string): void {
  const length = Buffer.byteLength(path);
  if (process.platform === 'win32' || length <= MAX_SOCKET_PATH_BYTES) return;
  throw new SocketPathError(
    `${path} is too long for the path of a socket: it has ${length} bytes, and may have ${MAX_SOCKET_PATH_BYTES}`,
  );
}

/** The absolute path. Throws a DirectoryError for a relative path if the working directory has been removed. */
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

/** The names of the access points of a bus that have a socket in a folder. Throws errors of the file system. */
export function accessPointsIn(directory: string, bus: number): string[] {
  return readdirSync(directory)
    .map((name) => /^kbus(\d+)\.([^.]+)\.sock$/.exec(name))
    .filter((found) => found !== null && Number(found[1]) === bus)
    .map((found) => found?.[2] as string)
    .sort();
}

/** The numbers of the buses that have a socket in a folder, in order. Throws errors of the file system. */
export function busesIn(directory: string): number[] {
  return readdirSync(directory)
    .map((name) => /^kbus(\d+)\.sock$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);
}
