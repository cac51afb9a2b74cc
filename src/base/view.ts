let memory: Uint8Array = new Uint8Array(0);
let { buffer } = memory;
let offset = 0;

/**
 * A view of `length` bytes from `at` on. To ask memory for its buffer takes as long as to make a view, and
 * most views are of the same memory as the one before.
 */
export function viewOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (bytes !== memory) {
    memory = bytes;
    buffer = bytes.buffer;
    offset = bytes.byteOffset;
  }
  return new Uint8Array(buffer, offset + at, length);
}
