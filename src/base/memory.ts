/** Gives memory of so many bytes, which need not be cleared. */
export type Memory = (length: number) => Uint8Array;

export const plainMemory: Memory = (length) => new Uint8Array(length);
