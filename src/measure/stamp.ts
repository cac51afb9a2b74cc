// What is in the data of a message that is measured: its serial (u32, little-endian, from 1; every sender counts its
// own), a byte that is 1 in the last message of a run, the number of its sender, and nothing else that matters.

/** Bytes that the data must have at least. */
export const MIN_SIZE = 8;

export function stamp(data: Uint8Array, serial: number, isLast: boolean, sender = 0): void {
  data[0] = serial;
  data[1] = serial >>> 8;
  data[2] = serial >>> 16;
  data[3] = serial >>> 24;
  data[4] = isLast ? 1 : 0;
  data[5] = sender;
}

/** A byte; of data that is too short, undefined, which counts as 0 to the operators below. */
const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] as number;

/** The serial of the data that begins at `at`; of what is too short for one, a wrong one. */
export function serialAt(bytes: Uint8Array, at: number): number {
  const low = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8);
  return (low | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)) >>> 0;
}

export function isLastAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 4] === 1;
}

/** From 0. */
export function senderAt(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at + 5);
}
