/** `drained` follows a backlog of at least so many bytes: the high-water mark of the sockets that a daemon accepts. */
export const DRAIN_BYTES = 16 * 1024;

/** What a piece that waits to be written costs beside its memory: objects of Node and of V8. */
export const PIECE_BYTES = 512;

/**
 * A piece counts as at most so many times its length: longer ones lie in memory with others of the same message, or of
 * messages that other peers are sent, too.
 */
const MOST_TIMES = 2;

/** A short piece that was not copied lies in the memory of frames of many connections. */
const MIN_PINNED_BYTES = 64 * 1024;

/**
 * What the writes to a peer that does not read keep in memory beside their own bytes: a short piece keeps all the memory in
 * which it lies, and each has objects.
 */
export class StalledWrites {
  /** Bytes. */
  held = 0;
  private first = 0;

  /** A write has begun that nothing stood before, and that is not over: nobody tells when it is. */
  beginFirst(pieces: readonly Uint8Array[]): void {
    this.held -= this.first;
    this.first = costOf(pieces, MIN_PINNED_BYTES);
    this.held += this.first;
  }

  /** A write begins to wait; call what it gives when that is over. */
  begin(pieces: readonly Uint8Array[]): () => void {
    const cost = costOf(pieces, 0);
    this.held += cost;
    return () => {
      this.held -= cost;
    };
  }
}

/** A piece keeps at least `pinned` bytes of the memory in which it lies, if there are so many. */
function costOf(pieces: readonly Uint8Array[], pinned: number): number {
  let cost = 0;
  let last: ArrayBufferLike | null = null;
  for (const { buffer, length } of pieces) {
    cost += PIECE_BYTES;
    if (buffer !== last) {
      const most = Math.max(pinned, MOST_TIMES * length);
      cost += Math.min(buffer.byteLength, most) - length;
    }
    last = buffer;
  }
  return cost;
}
