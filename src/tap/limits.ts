/** How many bytes of events may wait for an observer: unless it asks, at least, and at most. */
export const DEFAULT_SIZE = 4 * 1024 * 1024;
export const MIN_SIZE = 256 * 1024;
export const MAX_SIZE = 64 * 1024 * 1024;

/** The size for an observer that asks for so many bytes; 0: as usual. */
export function sizeOf(asked: number): number {
  return asked === 0 ? DEFAULT_SIZE : Math.min(Math.max(asked, MIN_SIZE), MAX_SIZE);
}
