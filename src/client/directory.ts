import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Longest path of a socket, in bytes: of a longer one libuv takes that much, and says nothing. */
export const MAX_SOCKET_PATH = process.platform === 'linux' ? 107 : 103;

/**
 * The folder of this machine's sockets: `$KBUS_DIR`, else /run/kbus for root, else
 * `$XDG_RUNTIME_DIR/kbus`; on macOS and Windows, the user's own folder for temporary files. An Error
 * when none of these is set: a folder that anybody may make is not safe to trust.
 */
export function socketDirectory(given?: string): string {
  const { KBUS_DIR, XDG_RUNTIME_DIR } = process.env;
  if (given) return given;
  if (KBUS_DIR) return KBUS_DIR;
  const uid = process.getuid?.();
  if (uid === 0) return '/run/kbus';
  if (XDG_RUNTIME_DIR) return join(XDG_RUNTIME_DIR, 'kbus');
  if (process.platform !== 'linux') return join(tmpdir(), 'kbus');
  throw new Error(
    'there is no folder for the sockets of KBUS: neither KBUS_DIR nor XDG_RUNTIME_DIR is set. Set KBUS_DIR to a folder of your own.',
  );
}

/** The socket of one bus. On Windows, sockets are named pipes. */
export function socketPath(directory: string, bus: number): string {
  const name = `kbus${bus}.sock`;
  return process.platform === 'win32'
    ? `\\\\.\\pipe\\${directory.replaceAll(/[\\/:]+/g, '-')}-${name}`
    : join(directory, name);
}
