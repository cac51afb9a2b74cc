/** What a piece that waits to be written costs beside its memory: objects of Node and of V8. */
export const WAITING_PIECE_BYTES = 512;

/** Memory counts as at most so many times the bytes that wait in it: see {@link isWasteful}. */
const MOST_TIMES = 4;

/** A short piece that was not copied lies in the memory of frames of many connections. */
export const MIN_PINNED_BYTES = 64 * 1024;

/** What is asked of the socket. */
export interface StalledSocket {
  /** Bytes that are not written yet. */
  readonly writableLength: number;
  readonly destroyed: boolean;
}

/**
 * What the writes to a peer that does not read keep in memory beside their own bytes: a short piece keeps all the memory in
 * which it lies, and each has objects.
 */
export class StalledWrites {
  /** Bytes. */
  held = 0;
  private first = 0;
  private firstWritten: (() => void) | undefined;
  private isWaiting = false;
  private readonly socket: StalledSocket;
  private readonly drained: () => void;

  /** `drained` is called when all is written: a socket's 'drain' does not follow each backlog, only a long one. */
  constructor(socket: StalledSocket, drained: () => void) {
    this.socket = socket;
    this.drained = drained;
  }

  /** A write has begun that nothing stood before, and that is not over; calls `written` once all is written. */
  beginFirst(pieces: readonly Uint8Array[], written?: () => void): void {
    this.isWaiting = true;
    this.firstWritten = written;
    this.first = costOf(pieces, MIN_PINNED_BYTES);
    this.held += this.first;
  }

  /** A write begins to wait; call what it gives when that is over: it calls `written`. */
  begin(pieces: readonly Uint8Array[], written?: () => void): () => void {
    const cost = costOf(pieces, 0);
    this.held += cost;
    return () => {
      this.held -= cost;
      written?.();
      this.wrote();
    };
  }

  /** A write is over that did not wait, or was the first to: call it for each. */
  wrote(): void {
    const { socket } = this;
    if (!this.isWaiting || socket.writableLength > 0) return;
    this.isWaiting = false;
    this.held -= this.first;
    this.firstWritten?.();
    this.firstWritten = undefined;
    if (!socket.destroyed) this.drained();
  }
}

/** The bytes of these pieces in each memory. */
export function bytesByMemory(pieces: readonly Uint8Array[]): Map<ArrayBufferLike, number> {
  const bytes = new Map<ArrayBufferLike, number>();
  for (const { buffer, length } of pieces) bytes.set(buffer, (bytes.get(buffer) ?? 0) + length);
  return bytes;
}

/** Whether memory of which so many bytes wait keeps more than it counts: short pieces in it are to be copied. */
export const isWasteful = (memory: ArrayBufferLike, bytes: number): boolean =>
  bytes * MOST_TIMES < memory.byteLength;

/** Each memory in which a piece lies is kept, of it at least `pinned` bytes if it has so many. */
function costOf(pieces: readonly Uint8Array[], pinned: number): number {
  let cost = pieces.length * WAITING_PIECE_BYTES;
  for (const [{ byteLength }, bytes] of bytesByMemory(pieces)) {
    cost += Math.min(byteLength, Math.max(pinned, MOST_TIMES * bytes)) - bytes;
  }
  return cost;
}
