/** What a piece that waits to be written costs beside its memory: objects of Node and of V8. */
export const PIECE_BYTES = 512;

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
    this.first = costOf(pieces);
    this.held += this.first;
  }

  /** A write begins to wait; call what it gives when that is over. */
  begin(pieces: readonly Uint8Array[]): () => void {
    const cost = costOf(pieces);
    this.held += cost;
    return () => {
      this.held -= cost;
    };
  }
}

function costOf(pieces: readonly Uint8Array[]): number {
  let cost = 0;
  let last: ArrayBufferLike | null = null;
  for (const { buffer, length } of pieces) {
    cost += PIECE_BYTES - length;
    if (buffer !== last) cost += buffer.byteLength;
    last = buffer;
  }
  return Math.max(0, cost);
}
