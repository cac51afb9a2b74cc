/** Allocates `length` bytes of memory; their content does not matter. */
export type Memory = (length: number) => Uint8Array;

export const plainMemory: Memory = (length) => new Uint8Array(length);
