/** Up to this length a loop copies faster than `set`, which needs a view. */
const MAX_LOOP_COPY_BYTES = 96;

/** Copies the bytes of `from` from `start` up to `end` to `at`. */
export function copyBytes(
  from: Uint8Array,
  start: number,
  end: number,
  to: Uint8Array,
  at: number,
): void {
  const length = end - start;
  if (length <= MAX_LOOP_COPY_BYTES)
    for (let index = 0; index < length; index++) to[at + index] = from[start + index] as number;
  // A view of a Buffer would be a Buffer, which takes longer to make.
  else to.set(new Uint8Array(from.buffer, from.byteOffset + start, length), at);
}
