import type { Socket } from 'node:net';
import process from 'node:process';

/** Symbols under which Node's option `onread` stores its state in a socket, by description; undocumented. */
const ONREAD_SYMBOLS = ['kBuffer', 'kBufferCb', 'kBufferGen'] as const;

export interface ReadTarget {
  /** The buffer for the next read; undefined for the same one again. */
  readonly buffer: () => Uint8Array | undefined;
  /** Called with the number of bytes that were read into it. */
  readonly callback: (length: number) => boolean;
}

interface Handle {
  useUserBuffer(buffer: Uint8Array | undefined): void;
}

/**
 * Makes an accepted connection read into the target's buffers, as the option `onread` does for sockets that
 * connect; Node has no such option for sockets that a server accepts. Those allocate 64 KiB for each read, which
 * costs a tenth of the throughput of large data, and a twentieth of a round trip.
 *
 * Returns a function that replaces the buffer between two reads. Returns null, and leaves the connection as it was, if
 * this Node's internals are different, and on Windows, where a read occupies its buffer before any bytes arrive.
 */
export function readInto(
  socket: Socket,
  { buffer, callback }: ReadTarget,
): ((buffer: Uint8Array) => void) | null {
  const internals = socket as unknown as Record<symbol, unknown> & {
    _handle?: Partial<Handle> | null;
  };
  const symbols = Object.getOwnPropertySymbols(socket);
  const [kBuffer, kBufferCb, kBufferGen] = ONREAD_SYMBOLS.map((key) =>
    symbols.find(({ description }) => description === key),
  );
  if (kBuffer === undefined || kBufferCb === undefined || kBufferGen === undefined) return null;
  const { _handle: handle } = internals;
  if (process.platform === 'win32' || typeof handle?.useUserBuffer !== 'function') return null;
  const use = (next: Uint8Array | undefined): void => {
    internals[kBuffer] = next;
    (internals._handle as Handle | null)?.useUserBuffer(next);
  };
  use(buffer());
  internals[kBufferCb] = callback;
  internals[kBufferGen] = buffer;
  return use;
}
