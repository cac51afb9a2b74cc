/**
 * Cuts a stream of bytes into frames. The caller says how long a frame is, once its first bytes are there. Memory grows with
 * the bytes that came, not with the length that a frame claims.
 */
export class FrameSplitter {
  private chunks: Uint8Array[] = [];
  private length = 0;
  /** Bytes that the next step needs. */
  private needed = 0;

  /**
   * Takes bytes in, and calls `take` with all that are there, again and again: it returns how many of them it has used, or
   * a negative number: so many bytes, with its sign changed, it needs in all. The bytes passed on stay as they are.
   */
  push(chunk: Uint8Array, take: (bytes: Uint8Array) => number): void {
    this.chunks.push(chunk);
    this.length += chunk.length;
    while (this.length > 0 && this.length >= this.needed) {
      const bytes = this.join();
      let at = 0;
      for (;;) {
        const used = at === bytes.length ? -1 : take(at === 0 ? bytes : bytes.subarray(at));
        if (used < 0) {
          this.needed = -used;
          break;
        }
        at += used;
      }
      const rest = bytes.subarray(at);
      this.chunks = rest.length === 0 ? [] : [rest];
      this.length = rest.length;
      if (this.length < this.needed) return;
    }
  }

  private join(): Uint8Array {
    const [only] = this.chunks;
    return this.chunks.length === 1 ? (only as Uint8Array) : Buffer.concat(this.chunks);
  }
}
