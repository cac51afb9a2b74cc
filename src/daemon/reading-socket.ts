import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net';
import process from 'node:process';

/** What a socket of Node has inside, since its first versions; no declaration speaks of it. */
interface Inside {
  _handle: { useUserBuffer?: unknown } | null;
}

/**
 * An accepted connection as a socket that reads into memory of ours: `onread`, which Node offers for sockets
 * that connect, but not for those that a server gives. Those take 64 KiB anew for whatever comes, which costs
 * a tenth of the rate of large data, and a twentieth of a round trip.
 *
 * Undefined where that can't be had, and the connection is as it was: when Node's inside is another than
 * this knows, and on Windows, where memory is read into before it is known that something comes.
 */
export function readingSocket(accepted: Socket, onread: OnReadOpts): Socket | undefined {
  const inside = accepted as unknown as Inside;
  const { _handle: handle } = inside;
  if (process.platform === 'win32' || typeof handle?.useUserBuffer !== 'function') return undefined;
  inside._handle = null;
  const options = { handle, onread } as SocketConstructorOpts;
  const socket = new Socket(options);
  // Its server counts it as gone; so whoever stops the server waits for the connections.
  accepted.destroy();
  return socket;
}
