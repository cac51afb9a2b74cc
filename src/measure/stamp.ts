// The data of measured messages: the serial (u32, little-endian, from 1; each sender counts its own), a byte that is 1 in
// the last message of a run, and a byte with the number of the sender. The other bytes don't matter.

/** The smallest size of the data, in bytes. */
export const MIN_SIZE = 8;

export function stamp(data: Uint8Array, serial: number, isLast: boolean, sender = 0): void {
  data[0] = serial;
  data[1] = serial >>> 8;
  data[2] = serial >>> 16;
  data[3] = serial >>> 24;
  data[4] = isLast ? 1 : 0;
  data[5] = sender;
}

/** A byte; undefined after the end of the data, which counts as 0 in the operators below. */
const byteAt = (bytes: Uint8Array, at: number): number => bytes[at] as number;

/** The serial of the data at `at`; a wrong one if the data is too short. */
export function serialAt(bytes: Uint8Array, at: number): number {
  const low = byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8);
  return (low | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24)) >>> 0;
}

export function isLastAt(bytes: Uint8Array, at: number): boolean {
  return bytes[at + 4] === 1;
}

/** The number of the sender, from 0. */
export function senderAt(bytes: Uint8Array, at: number): number {
  return byteAt(bytes, at + 5);
}
