import type { Memory } from '../base/memory.ts';

// The types of Node have no WebAssembly.
declare const WebAssembly: {
  readonly Memory: new (limits: { readonly initial: number }) => { readonly buffer: ArrayBuffer };
};

/** What is written past the page cache consists of whole pages. */
export const PAGE_BYTES = 4096;

/** A page of WebAssembly. */
const WASM_PAGE_BYTES = 65_536;

/**
 * Memory that begins with a page, so that a disk can read it: that of WebAssembly does, while any other of JavaScript
 * begins behind a header.
 */
export const pageMemory: Memory = (length) => {
  try {
    const initial = Math.ceil(length / WASM_PAGE_BYTES);
    return new Uint8Array(new WebAssembly.Memory({ initial }).buffer);
  } catch {
    // No WebAssembly here, or no room for the addresses that it reserves.
    return new Uint8Array(length);
  }
};
