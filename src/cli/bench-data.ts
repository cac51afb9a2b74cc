// What is in the data of a message of `kbus bench`: its serial (u32, little-endian, from 1), a byte that is 1
// in the last message of a run, and nothing else that matters.

/** Bytes that the data must have at least. */
export const MIN_SIZE = 8;

export function mark(data: Uint8Array, serial: number, isLast: boolean): void {
  data[0] = serial;
  data[1] = serial >>> 8;
  data[2] = serial >>> 16;
  data[3] = serial >>> 24;
  data[4] = isLast ? 1 : 0;
}

/** The serial; 0, which none has, of data that is too short for one. */
export function serialOf(data: Uint8Array): number {
  // Bytes that are not there count as 0 to these operators.
  const at = (index: number): number => data[index] as number;
  return (at(0) | (at(1) << 8) | (at(2) << 16) | (at(3) << 24)) >>> 0;
}

export function isLast(data: Uint8Array): boolean {
  return data[4] === 1;
}
