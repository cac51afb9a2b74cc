import type { Memory } from '../bus/memory.ts';
import type { MemoryOfBatches, MessageBatch } from '../bus/message-batch.ts';

/** How many bytes of chunks are left as they are, because most messages are read soon. */
const YOUNG_BYTES = 4 * 1024 * 1024;

/**
 * The memory in which the daemon receives: a message that is kept keeps all that was received with it. So messages move
 * out of a chunk that is older than the last few MiB, once they take less than half of it. A program that keeps the
 * smallest of messages thus costs at most twice the memory that it is charged for, and that is counted (spec 1 §14.1).
 */
export class Chunks {
  private readonly memory: Memory;
  private readonly known = new WeakMap<Uint8Array, Chunk>();
  private lastBytes: Uint8Array | null = null;
  private lastChunk: Chunk | null = null;
  private young: Chunk[] = [];
  private youngBytes = 0;

  constructor(memory: Memory) {
    this.memory = memory;
  }

  /** The chunk of these bytes, which are all of a piece of memory. */
  of(bytes: Uint8Array): Chunk {
    if (this.lastBytes === bytes) return this.lastChunk as Chunk;
    let chunk = this.known.get(bytes);
    if (chunk === undefined) {
      chunk = new Chunk(this.memory, bytes.length);
      this.known.set(bytes, chunk);
      this.grow(chunk);
    }
    this.lastBytes = bytes;
    this.lastChunk = chunk;
    return chunk;
  }

  private grow(chunk: Chunk): void {
    this.young.push(chunk);
    this.youngBytes += chunk.length;
    while (this.youngBytes > YOUNG_BYTES) {
      const oldest = this.young.shift() as Chunk;
      this.youngBytes -= oldest.length;
      oldest.age();
    }
  }
}

/** A piece of memory with what was received in it. */
class Chunk implements MemoryOfBatches {
  readonly length: number;
  private readonly memory: Memory;
  /** The batches that were kept at some time; null once they have moved out. */
  private batches: MessageBatch[] | null = [];
  /** Bytes of those that are kept now. */
  private kept = 0;
  private isOld = false;
  /** Bytes that nobody is charged for, and that are not free. */
  private slack = 0;

  constructor(memory: Memory, length: number) {
    this.memory = memory;
    this.length = length;
  }

  hold(batch: MessageBatch): void {
    if (this.batches === null) {
      batch.moveOut();
      return;
    }
    if (batch.pins++ === 0) {
      this.kept += batch.size;
      this.batches.push(batch);
    }
    if (this.isOld) this.settle();
  }

  letGo(batch: MessageBatch): void {
    if (--batch.pins > 0) return;
    this.kept -= batch.size;
    if (this.kept === 0 && this.batches !== null) this.batches.length = 0;
    if (this.isOld) this.settle();
  }

  /** From now on, it is not left as it is. */
  age(): void {
    this.isOld = true;
    this.settle();
  }

  private settle(): void {
    if (this.kept > 0 && this.kept * 2 < this.length) this.moveOut();
    const slack = this.kept > 0 ? Math.max(0, this.length - this.kept) : 0;
    this.memory.held += slack - this.slack;
    this.slack = slack;
  }

  private moveOut(): void {
    for (const batch of this.batches ?? []) if (batch.pins > 0) batch.moveOut();
    this.batches = null;
    this.kept = 0;
  }
}
