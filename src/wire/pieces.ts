/** Pieces up to this size are copied together: an object for each would be larger. */
const MAX_CRUMB_BYTES = 256;

/** The pieces of an incomplete frame. */
export class Pieces {
  list: Uint8Array[] = [];
  /** The memory of the last piece, if small ones are copied into it; and the bytes of it in use. */
  private crumbs: Uint8Array | null = null;
  private crumbsTo = 0;

  /** Adds `count` bytes from `from` on, which must not change any more. */
  add(bytes: Uint8Array, from: number, count: number): void {
    if (count > MAX_CRUMB_BYTES) {
      this.crumbs = null;
      this.keep(bytes, from, from + count);
    } else if (count > 0) {
      this.addCrumb(bytes, from, count);
    }
  }

  private addCrumb(bytes: Uint8Array, from: number, count: number): void {
    if (this.crumbs === null || this.crumbsTo + count > this.crumbs.length) {
      this.crumbs = this.crumbMemory(MAX_CRUMB_BYTES * 16);
      this.crumbsTo = 0;
    } else {
      this.list.pop();
    }
    for (let at = 0; at < count; at++) this.crumbs[this.crumbsTo++] = bytes[from + at] as number;
    this.list.push(this.crumbs.subarray(0, this.crumbsTo));
  }

  /** Replaces all pieces. */
  set(list: Uint8Array[]): void {
    this.list = list;
    this.crumbs = null;
  }

  protected keep(bytes: Uint8Array, from: number, to: number): void {
    this.list.push(bytes.subarray(from, to));
  }

  protected crumbMemory(length: number): Uint8Array {
    return new Uint8Array(length);
  }
}
