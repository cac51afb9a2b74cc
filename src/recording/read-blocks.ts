import type { Tap } from '../client/tap.ts';

/**
 * Passes each block of a tap to `read`, until the tap is closed. If that gives a promise, the next block waits for it. Then
 * the memory of the block may serve for others. Throws what `read` throws, and closes the tap.
 */
export async function readBlocks(
  tap: Tap,
  read: (block: Uint8Array) => Promise<void> | undefined,
): Promise<void> {
  const { source } = tap;
  for (;;) {
    let waiting: Promise<void> | undefined;
    source.sink = (block) => {
      try {
        waiting = read(block);
      } catch (error) {
        waiting = Promise.reject(error);
      }
      if (waiting === undefined) return true;
      // Further blocks wait in the source: the first of them ends `nextBlock`, and so does the end.
      source.sink = null;
      waiting.catch(() => tap.close());
      return false;
    };
    const block = await tap.nextBlock();
    source.sink = null;
    await waiting;
    if (block === null) return;
    await read(block);
  }
}
