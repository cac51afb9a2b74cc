import { describe, expect, it } from 'vitest';
import { StalledWrites, WAITING_PIECE_BYTES } from '../../src/transport/stalled-writes.ts';

const KIBIBYTE = 1024;

describe('What a peer that does not read keeps in memory', () => {
  it('is, of the first write, the memory in which short pieces lie, once, until all is written.', () => {
    const socket = { writableLength: 1, destroyed: false };
    let drained = 0;
    const stalled = new StalledWrites(socket, () => drained++);
    const slab = new Uint8Array(64 * KIBIBYTE);
    stalled.beginFirst([slab.subarray(0, 16), slab.subarray(100, 116)]);
    expect(stalled.held).toBe(slab.length - 2 * 16 + 2 * WAITING_PIECE_BYTES);
    stalled.wrote();
    expect(drained).toBe(0);
    expect(stalled.held).toBeGreaterThan(0);
    socket.writableLength = 0;
    stalled.wrote();
    expect(drained).toBe(1);
    expect(stalled.held).toBe(0);
    stalled.wrote();
    expect(drained).toBe(1);
  });

  it('is, of each further write, its objects and at most four times its bytes, until that is over.', () => {
    const stalled = new StalledWrites({ writableLength: 0, destroyed: false }, () => {});
    const pool = new Uint8Array(256 * KIBIBYTE);
    const [own, shared] = [new Uint8Array(40), pool.subarray(0, 33 * KIBIBYTE)];
    const first = stalled.begin([own]);
    const second = stalled.begin([shared, own]);
    expect(stalled.held).toBe(3 * WAITING_PIECE_BYTES + 3 * shared.length);
    first();
    second();
    expect(stalled.held).toBe(0);
  });

  it('is, of a write that has most of a memory, no more than that memory, however many pieces it has.', () => {
    const stalled = new StalledWrites({ writableLength: 0, destroyed: false }, () => {});
    const pool = new Uint8Array(256 * KIBIBYTE);
    const pieces = Array.from({ length: 16 }, (_, at) =>
      pool.subarray(at * 16 * KIBIBYTE, (at + 1) * 16 * KIBIBYTE - 100),
    );
    stalled.begin(pieces);
    expect(stalled.held).toBe(16 * (WAITING_PIECE_BYTES + 100));
  });
});
