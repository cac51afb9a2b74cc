import type { Socket } from 'node:net';
import process from 'node:process';

/** What `onread` leaves in a socket of Node, by the descriptions of its keys; no declaration speaks of it. */
const INSIDE = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const;

/** Where to read to next, undefined for the same place again; and who is told how much was read there. */
export interface Reads {
  readonly buffer: () => Uint8Array | undefined;
  readonly callback: (length: number) => boolean;
}

interface Handle {
  useUserBuffer(buffer: Uint8Array | undefined): void;
}

/**
 * Makes an accepted connection read to memory of ours: what the option `onread` does, which Node has for sockets
 * that connect, but not for those that a server gives. Those take 64 KiB anew for whatever comes, which costs a
 * tenth of the rate of large data, and a twentieth of a round trip.
 *
 * False where that can't be had, and the connection is as it was: when Node's inside is another than this
 * knows, and on Windows, where memory is read to before it is known that something comes.
 */
export function readInto(socket: Socket, { buffer, callback }: Reads): boolean {
  const inside = socket as unknown as Record<symbol, unknown> & {
    _handle?: Partial<Handle> | null;
  };
  const symbols = Object.getOwnPropertySymbols(socket);
  const [kBuffer, kBufferCb, kBufferGen] = INSIDE.map((key) =>
    symbols.find(({ description }) => description === key),
  );
  if (kBuffer === undefined || kBufferCb === undefined || kBufferGen === undefined) return false;
  const { _handle: handle } = inside;
  if (process.platform === 'win32' || typeof handle?.useUserBuffer !== 'function') return false;
  const first = buffer();
  inside[kBuffer] = first;
  inside[kBufferCb] = callback;
  inside[kBufferGen] = buffer;
  handle.useUserBuffer(first);
  return true;
}
