/** Longer memory is not remembered as the last that was looked at: it would stay until the next one, which may be never. */
export const MAX_REMEMBERED_BYTES = 1024 * 1024;

let memory: Uint8Array = new Uint8Array(0);
let { buffer } = memory;
let offset = 0;

/**
 * A view of `length` bytes from `at` on. It remembers the buffer of the last memory, since most views are of the same
 * memory, and `bytes.buffer` takes as long as making a view.
 */
export function viewOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  if (bytes.length > MAX_REMEMBERED_BYTES) {
    return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
  }
  if (bytes !== memory) {
    memory = bytes;
    buffer = bytes.buffer;
    offset = bytes.byteOffset;
  }
  return new Uint8Array(buffer, offset + at, length);
}
