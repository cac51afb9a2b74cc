/** Gives `length` bytes of memory. What they hold doesn't matter. */
export type Memory = (length: number) => Uint8Array;

export const plainMemory: Memory = (length) => new Uint8Array(length);
