import { describe, expect, it } from 'vitest';
import { PIECE_BYTES, StalledWrites } from '../../src/transport/stalled-writes.ts';

const KIBIBYTE = 1024;

describe('What a peer that does not read keeps in memory', () => {
  it('is, of the first write, the memory in which short pieces lie, once, until the next first write.', () => {
    const stalled = new StalledWrites();
    const slab = new Uint8Array(64 * KIBIBYTE);
    stalled.beginFirst([slab.subarray(0, 16), slab.subarray(100, 116)]);
    expect(stalled.held).toBe(slab.length - 16 + 2 * PIECE_BYTES);
    stalled.beginFirst([new Uint8Array(100)]);
    expect(stalled.held).toBe(PIECE_BYTES);
  });

  it('is, of each further write, its objects and at most twice its bytes, until that is over.', () => {
    const stalled = new StalledWrites();
    const pool = new Uint8Array(256 * KIBIBYTE);
    const [own, shared] = [new Uint8Array(40), pool.subarray(0, 33 * KIBIBYTE)];
    const first = stalled.begin([own]);
    const second = stalled.begin([shared, own]);
    expect(stalled.held).toBe(3 * PIECE_BYTES + shared.length);
    first();
    second();
    expect(stalled.held).toBe(0);
  });
});
