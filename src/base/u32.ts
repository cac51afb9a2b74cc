const MAX_U32 = 0xffff_ffff;

/** Returns the value if it is a whole number from 0 to 4294967295; throws a TypeError that names it otherwise. */
export function checkU32(what: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_U32) {
    throw new TypeError(`${what} must be a whole number from 0 to ${MAX_U32}, not ${value}`);
  }
  return value;
}

/** `length`, a u32 or one more, rounded up to a multiple of 4. */
export function padded(length: number): number {
  // Don't cut the sum to 32 bits: a length near 2^32, which a peer may claim, would become 0.
  return length + ((4 - (length & 3)) & 3);
}

/**
 * The u32 in network order at `at`, which must lie within `bytes`. Without a DataView: making one for each chunk would
 * take longer than reading all words of a message.
 */
export function readU32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16);
  return (high | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0;
}

/** Writes a u32 in network order at `at`, which must lie within `bytes`. */
export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}
