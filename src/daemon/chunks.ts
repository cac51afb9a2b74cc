import type { Memory } from '../bus/memory.ts';
import type { MemoryOfBatches, MessageBatch } from '../bus/message-batch.ts';
import type { Steps, Work } from '../bus/work.ts';
import { POOL_BYTES } from '../transport/read-sizes.ts';

/** How many bytes of chunks at most are left as they are, because most messages are read soon. */
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
  /** Memory of so many bytes may be used again. */
  readonly poolBytes: number;
  private readonly known = new WeakMap<ArrayBufferLike, Chunk>();
  private lastBuffer: ArrayBufferLike | null = null;
  private lastChunk: Chunk | null = null;
  private young: Chunk[] = [];
  private youngBytes = 0;

  /** Counts the bytes that are not free in `memory`, and the batches that move in `work`. */
  constructor(
    memory: Memory,
    work: Work,
    mostYoung = Math.min(YOUNG_BYTES, memory.spare),
    poolBytes = POOL_BYTES,
  ) {
    this.memory = memory;
    this.work = work;
    this.mostYoung = mostYoung;
    this.poolBytes = poolBytes;
  }

  /** The memory of a batch that lies in `bytes`, and in the pieces that follow them, if any. */
  of(bytes: Uint8Array, more: readonly Uint8Array[] | null): MemoryOfBatches {
    if (more === null) return this.chunk(bytes);
    const spread = new Spread();
    const pieces = [bytes, ...more];
    for (let at = 0; at < pieces.length; ) {
      const piece = pieces[at] as Uint8Array;
      let length = 0;
      for (; pieces[at]?.buffer === piece.buffer; at++) length += (pieces[at] as Uint8Array).length;
      // What fills its memory lies there alone: mostly it is a copy (counted-pieces.ts).
      if (length < piece.buffer.byteLength) spread.add(this.chunk(piece), length);
    }
    return spread;
  }

  private chunk({ buffer }: Uint8Array): Chunk {
    if (this.lastBuffer === buffer) return this.lastChunk as Chunk;
    let chunk = this.known.get(buffer);
    if (chunk === undefined) {
      const { byteLength } = buffer;
      chunk = new Chunk(this.memory, this.work, byteLength, byteLength === this.poolBytes);
      this.known.set(buffer, chunk);
      this.grow(chunk);
    }
    this.lastBuffer = buffer;
    this.lastChunk = chunk;
    return chunk;
  }

  /** What lies in this memory; undefined if no message was received there. */
  at(memory: ArrayBufferLike): Reusable | undefined {
    return this.known.get(memory);
  }

  /** The memory is used again, with nothing in it. */
  forget(memory: ArrayBufferLike): void {
    this.known.delete(memory);
    if (this.lastBuffer === memory) this.lastBuffer = null;
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

/** Memory that may be used again. */
export interface Reusable {
  /** Nobody needs the messages that were received in it. */
  readonly isUnused: boolean;
}

/** A piece of memory with what was received in it. */
class Chunk implements MemoryOfBatches, Reusable {
  readonly length: number;
  readonly mayBeReused: boolean;
  private readonly memory: Memory;
  private readonly work: Work;
  /** The batches that were kept at some time; null once they have moved out. */
  private batches: MessageBatch[] | null = [];
  /** Bytes of those that are kept now. */
  private kept = 0;
  private isOld = false;
  /** Its batches may move in a later turn. */
  private mayMove = false;
  /** Bytes that nobody is charged for, and that are not free. */
  private slack = 0;
  /** How many times it is pinned. */
  private pins = 0;
  private isGivenAway = false;

  constructor(memory: Memory, work: Work, length: number, mayBeReused: boolean) {
    this.memory = memory;
    this.work = work;
    this.length = length;
    this.mayBeReused = mayBeReused;
  }

  get isUnused(): boolean {
    return this.mayBeReused && this.kept === 0 && this.pins === 0 && !this.isGivenAway;
  }

  pin(by: 1 | -1): void {
    this.pins += by;
  }

  giveAway(): void {
    this.isGivenAway = true;
  }

  get hasMovedOut(): boolean {
    return this.batches === null;
  }

  hold(batch: MessageBatch): void {
    this.keep(batch, batch.size);
    if (this.hasMovedOut) moveOut(batch);
    else this.settle();
  }

  letGo(batch: MessageBatch): void {
    this.drop(batch.size);
  }

  leave(batch: MessageBatch): void {
    this.drop(batch.size * batch.timesKept);
  }

  /** Call `settle` when all chunks of the batch know of it. */
  keep(batch: MessageBatch, bytes: number): void {
    this.kept += bytes;
    this.batches?.push(batch);
  }

  drop(bytes: number): void {
    this.kept -= bytes;
    if (this.kept === 0 && this.batches !== null) this.batches.length = 0;
    this.settle();
  }

  /** From now on, it is not left as it is. */
  age(): void {
    this.isOld = true;
    this.settle();
  }

  settle(): void {
    if (!this.isOld) return;
    if (this.isSparse && !this.mayMove) {
      this.mayMove = true;
      this.work.defer(this.moving());
    }
    const slack = this.kept > 0 ? Math.max(0, this.length - this.kept) : 0;
    this.memory.slack += slack - this.slack;
    this.slack = slack;
  }

  /** Most of it is kept for the sake of a few messages. */
  private get isSparse(): boolean {
    return this.batches !== null && this.kept > 0 && this.kept * 2 < this.length;
  }

  /** In a later turn: when a queue is read or dropped, the other messages mostly follow, and there is nothing to move. */
  private *moving(): Steps {
    yield;
    this.mayMove = false;
    const { batches } = this;
    if (batches === null || !this.isSparse) return;
    this.batches = null;
    this.moveAll(batches.filter((batch) => batch.timesKept > 0));
    this.settle();
    this.memory.tell();
  }

  /** Moves the batches to a new chunk, side by side. */
  private moveAll(kept: readonly MessageBatch[]): void {
    let length = 0;
    const batches = [...new Set(kept)];
    for (const batch of batches) if (batch.memory === this) length += batch.movedLength;
    const bytes = new Uint8Array(length);
    const chunk = new Chunk(this.memory, this.work, length, false);
    chunk.isOld = true;
    let at = 0;
    for (const batch of batches) {
      if (batch.memory !== this) {
        // In pieces, or moved already.
        if (batch.memory instanceof Spread) moveOut(batch);
        continue;
      }
      const { movedLength, size, timesKept } = batch;
      batch.moveTo(bytes, at, chunk);
      at += movedLength;
      chunk.batches?.push(batch);
      chunk.kept += size * timesKept;
      this.kept -= size * timesKept;
    }
    this.work.done += batches.length;
  }
}

/** The memories of a batch in pieces in which others may lie, too. */
class Spread implements MemoryOfBatches {
  private readonly chunks: Chunk[] = [];
  /** How many bytes of the batch lie in each of them. */
  private readonly lengths: number[] = [];

  add(chunk: Chunk, length: number): void {
    this.chunks.push(chunk);
    this.lengths.push(length);
  }

  get mayBeReused(): boolean {
    return this.chunks.some(({ mayBeReused }) => mayBeReused);
  }

  hold(batch: MessageBatch): void {
    const { chunks, lengths } = this;
    chunks.forEach((chunk, at) => {
      chunk.keep(batch, lengths[at] as number);
    });
    if (chunks.some(({ hasMovedOut }) => hasMovedOut)) moveOut(batch);
    else for (const chunk of chunks) chunk.settle();
  }

  letGo(): void {
    this.drop(1);
  }

  leave({ timesKept }: MessageBatch): void {
    this.drop(timesKept);
  }

  pin(by: 1 | -1): void {
    for (const chunk of this.chunks) chunk.pin(by);
  }

  giveAway(): void {
    for (const chunk of this.chunks) chunk.giveAway();
  }

  private drop(times: number): void {
    this.chunks.forEach((chunk, at) => {
      chunk.drop((this.lengths[at] as number) * times);
    });
  }
}

/** Moves a batch to memory of its own. */
function moveOut(batch: MessageBatch): void {
  const { memory } = batch;
  batch.moveTo(new Uint8Array(batch.movedLength), 0, null);
  memory?.leave(batch);
}
