import type { Memory } from '../bus/memory.ts';
import type { MemoryOfBatches, MessageBatch } from '../bus/message-batch.ts';
import type { Work } from '../bus/work.ts';

/** How many bytes of chunks are left as they are, because most messages are read soon. */
const YOUNG_BYTES = 4 * 1024 * 1024;

/**
 * The memory in which the daemon receives: a message that is kept keeps all that was received with it. So messages move
 * out of a chunk that is older than the last few MiB, once they take less than half of it. A program that keeps the
 * smallest of messages thus costs at most twice the memory that it is charged for, and that is counted (spec 1 §14.1).
 */
export class Chunks {
  private readonly memory: Memory;
  private readonly work: Work;
  private readonly mostYoung: number;
  private readonly known = new WeakMap<ArrayBufferLike, Chunk>();
  private lastBuffer: ArrayBufferLike | null = null;
  private lastChunk: Chunk | null = null;
  private young: Chunk[] = [];
  private youngBytes = 0;

  /** Counts the bytes that are not free in `memory`, and the batches that move in `work`. */
  constructor(memory: Memory, work: Work, mostYoung = YOUNG_BYTES) {
    this.memory = memory;
    this.work = work;
    this.mostYoung = mostYoung;
  }

  /** The memory of a batch that lies in `bytes`, and in the pieces that follow them, if any. */
  of(bytes: Uint8Array, more: readonly Uint8Array[] | null): MemoryOfBatches {
    if (more === null) return this.chunk(bytes);
    const last = more.at(-1) ?? bytes;
    // Pieces between them fill their memory.
    return new Ends(this.chunk(bytes), bytes.length, this.chunk(last), last.length);
  }

  private chunk({ buffer }: Uint8Array): Chunk {
    if (this.lastBuffer === buffer) return this.lastChunk as Chunk;
    let chunk = this.known.get(buffer);
    if (chunk === undefined) {
      chunk = new Chunk(this.memory, this.work, buffer.byteLength);
      this.known.set(buffer, chunk);
      this.grow(chunk);
    }
    this.lastBuffer = buffer;
    this.lastChunk = chunk;
    return chunk;
  }

  private grow(chunk: Chunk): void {
    this.young.push(chunk);
    this.youngBytes += chunk.length;
    while (this.youngBytes > this.mostYoung) {
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
  private readonly work: Work;
  /** The batches that are kept, with how often; null once they have moved out. */
  private batches: Map<MessageBatch, number> | null = new Map();
  /** Bytes of those that are kept now. */
  private kept = 0;
  private isOld = false;
  /** Bytes that nobody is charged for, and that are not free. */
  private slack = 0;

  constructor(memory: Memory, work: Work, length: number) {
    this.memory = memory;
    this.work = work;
    this.length = length;
  }

  hold(batch: MessageBatch): void {
    this.keep(batch, batch.size);
  }

  letGo(batch: MessageBatch): void {
    this.drop(batch, batch.size);
  }

  leave(batch: MessageBatch): void {
    this.forget(batch, batch.size);
  }

  keep(batch: MessageBatch, bytes: number): void {
    const { batches } = this;
    if (batches === null) {
      moveOut(batch);
      return;
    }
    const times = batches.get(batch) ?? 0;
    batches.set(batch, times + 1);
    if (times > 0) return;
    this.kept += bytes;
    if (this.isOld) this.settle();
  }

  drop(batch: MessageBatch, bytes: number): void {
    const times = this.batches?.get(batch) ?? 0;
    if (times > 1) this.batches?.set(batch, times - 1);
    else this.forget(batch, bytes);
  }

  /** It is here no more. */
  forget(batch: MessageBatch, bytes: number): void {
    if (this.batches?.delete(batch)) this.kept -= bytes;
    if (this.isOld) this.settle();
  }

  /** From now on, it is not left as it is. */
  age(): void {
    this.isOld = true;
    this.settle();
  }

  private settle(): void {
    const { batches } = this;
    if (batches !== null && this.kept > 0 && this.kept * 2 < this.length) {
      this.batches = null;
      this.kept = 0;
      this.moveAll(batches);
    }
    const slack = this.kept > 0 ? Math.max(0, this.length - this.kept) : 0;
    this.memory.slack += slack - this.slack;
    this.slack = slack;
  }

  /** Moves the batches to a new chunk, side by side. */
  private moveAll(batches: ReadonlyMap<MessageBatch, number>): void {
    let length = 0;
    for (const batch of batches.keys()) if (batch.memory === this) length += batch.movedLength;
    const bytes = new Uint8Array(length);
    const chunk = new Chunk(this.memory, this.work, length);
    chunk.isOld = true;
    let at = 0;
    for (const [batch, times] of batches) {
      if (batch.memory !== this) {
        moveOut(batch);
        continue;
      }
      const { movedLength } = batch;
      batch.moveTo(bytes, at, chunk);
      at += movedLength;
      chunk.batches?.set(batch, times);
      chunk.kept += batch.size;
    }
    this.work.done += batches.size;
  }
}

/** The first and the last piece of memory of a batch in pieces. */
class Ends implements MemoryOfBatches {
  private readonly first: Chunk;
  private readonly firstBytes: number;
  private readonly last: Chunk;
  private readonly lastBytes: number;

  constructor(first: Chunk, firstBytes: number, last: Chunk, lastBytes: number) {
    this.first = first;
    this.firstBytes = firstBytes;
    this.last = last;
    this.lastBytes = lastBytes;
  }

  hold(batch: MessageBatch): void {
    this.first.keep(batch, this.firstBytes);
    // It may have moved out already.
    if (batch.memory === this) this.last.keep(batch, this.lastBytes);
  }

  letGo(batch: MessageBatch): void {
    this.first.drop(batch, this.firstBytes);
    this.last.drop(batch, this.lastBytes);
  }

  leave(batch: MessageBatch): void {
    this.first.forget(batch, this.firstBytes);
    this.last.forget(batch, this.lastBytes);
  }
}

/** Moves a batch to memory of its own. */
function moveOut(batch: MessageBatch): void {
  const { memory } = batch;
  batch.moveTo(new Uint8Array(batch.movedLength), 0, null);
  memory?.leave(batch);
}
