import { describe, expect, it } from 'vitest';
import { Memory } from '../../src/bus/memory.ts';
import { MessageBatch } from '../../src/bus/message-batch.ts';
import { Work } from '../../src/bus/work.ts';
import { Chunks } from '../../src/daemon/chunks.ts';
import { checkRecords } from '../../src/message/codec/records.ts';
import { KBUS_FLAGS } from '../../src/message/flags.ts';
import { Announcement } from '../../src/message/message.ts';
import { record } from '../support/frames.ts';

const COUNT = 100;

/** Messages that were received together, and are all kept. */
function received(work: Work, memory: Memory): MessageBatch[] {
  const chunks = new Chunks(memory, work, 0);
  const one = record(new Announcement('$.News', new Uint8Array(40)));
  const bytes = new Uint8Array(one.length * COUNT);
  const sums = { data: 0, size: 0, largest: 0, heads: 0, known: 0 };
  const batches: MessageBatch[] = [];
  for (let at = 0; at < bytes.length; at += one.length) {
    bytes.set(one, at);
    expect(checkRecords(bytes, at, one.length, 1, KBUS_FLAGS, sums)).toBe('');
    const batch = MessageBatch.ofRecords(bytes, at, at + one.length, 1, sums, null);
    batch.memory = chunks.of(bytes, null);
    batch.holders = 1;
    batch.memory.hold(batch);
    batches.push(batch);
  }
  return batches;
}

function drop(batches: readonly MessageBatch[]): void {
  for (const batch of batches) {
    batch.holders = 0;
    batch.memory?.letGo(batch);
  }
}

describe('The memory in which messages were received', () => {
  it('is left by the last of them in the turn after most of them have gone.', () => {
    const [work, memory] = [new Work(1000), new Memory(1_000_000)];
    const batches = received(work, memory);
    const kept = batches.splice(-10);
    const { bytes } = kept[0] as MessageBatch;
    drop(batches);
    // Until then, it counts as not free.
    expect(memory.slack).toBeGreaterThan(0);
    expect(kept.every((batch) => batch.bytes === bytes)).toBe(true);
    work.begin();
    work.goOn();
    expect(work.isPending).toBe(false);
    expect(kept.some((batch) => batch.bytes === bytes)).toBe(false);
    expect(new Set(kept.map((batch) => batch.bytes)).size).toBe(1);
    expect(memory.slack).toBe(0);
  });

  it('is left by none of them when all go in one turn.', () => {
    const [work, memory] = [new Work(1000), new Memory(1_000_000)];
    const batches = received(work, memory);
    const { bytes } = batches[0] as MessageBatch;
    drop(batches);
    work.begin();
    work.goOn();
    expect(work.isPending).toBe(false);
    expect(work.done).toBeLessThan(3);
    expect(batches.every((batch) => batch.bytes === bytes)).toBe(true);
    expect(memory.slack).toBe(0);
  });

  it('is not left by a large message whose pieces fill it.', () => {
    const [work, memory] = [new Work(1000), new Memory(1_000_000)];
    const chunks = new Chunks(memory, work, 0);
    const [first, pool] = [new Uint8Array(4000), new Uint8Array(40_000)];
    const pieces = [0, 1, 2, 3].map((at) => pool.subarray(at * 10_000, (at + 1) * 10_000));
    const batch = new MessageBatch('$.News', 0, 0, first, 0, first.length + pool.length);
    batch.more = pieces;
    batch.memory = chunks.of(first, pieces);
    batch.holders = 1;
    batch.memory.hold(batch);
    work.begin();
    work.goOn();
    expect(batch.more).toBe(pieces);
    expect(memory.slack).toBe(0);
  });
});
