import { type Memory, plainMemory } from '../base/memory.ts';
import { readU32 } from '../base/u32.ts';
import { MEMORY_IN_USE } from '../transport/channel.ts';
import { Pieces } from './pieces.ts';
import { FRAME_HEADER, ProtocolError } from './protocol.ts';

const NO_BYTES = new Uint8Array(0);

/**
 * Cuts the bytes of a connection into frames. A frame that lies in one chunk, or in adjacent chunks, is not copied. Other
 * frames are joined, in memory that grows with the bytes received.
 */
export class FrameReader {
  /** The longest valid frame, in bytes. */
  maxLength: number;
  protected readonly memory: Memory;
  protected readonly pieces: Pieces;
  protected gathered = 0;
  /** The length of the incomplete frame; 0 while it is unknown. */
  protected wanted = 0;

  bytes: Uint8Array = NO_BYTES;
  /** Where the frame begins in `bytes`. */
  at = 0;
  /** Its length. */
  length = 0;
  // The unread part of `bytes`, and the chunk after it.
  protected next = 0;
  protected end = 0;
  protected rest: Uint8Array | null = null;
  private restFrom = 0;
  private restTo = 0;

  /** `memory` allocates memory to join frames in, which need not be cleared. */
  constructor(maxLength: number, memory = plainMemory, pieces = new Pieces()) {
    this.maxLength = maxLength;
    this.memory = memory;
    this.pieces = pieces;
  }

  /**
   * Adds the next bytes of the connection, which must not change any more. Then call `read` until it gives false.
   */
  push(bytes: Uint8Array, from = 0, to: number = bytes.length): void {
    if (this.gathered === 0 && this.next === this.end) {
      this.open(bytes, from, to);
    } else if (this.gathered === 0 && bytes === this.bytes && from === this.end) {
      this.end = to;
    } else {
      if (this.gathered === 0) this.keepPiece();
      this.rest = bytes;
      this.restFrom = from;
      this.restTo = to;
    }
  }

  /** Makes the rest of `bytes` the first piece of a frame. */
  protected keepPiece(): void {
    this.gathered = this.end - this.next;
    this.pieces.add(this.bytes, this.next, this.gathered);
    this.letGo();
  }

  /** An idle connection must not keep what it received last. */
  private letGo(): void {
    this.open(NO_BYTES, 0, 0);
  }

  /** Moves to the next complete frame; false if that needs more bytes. */
  read(): boolean {
    if (this.next === this.end && this.rest !== null && !this.gather(this.rest)) return false;
    const left = this.end - this.next;
    if (left >= 4) {
      const length = this.checkLength(readU32(this.bytes, this.next));
      if (length <= left) {
        this.at = this.next;
        this.length = length;
        this.next += length;
        this.wanted = 0;
        return true;
      }
      this.wanted = length;
    } else if (left === 0) {
      this.letGo();
    }
    return false;
  }

  /** The missing bytes of the incomplete frame; 0 if their number is unknown. */
  get missing(): number {
    const there = this.gathered + this.end - this.next;
    return Math.max(0, this.wanted - there);
  }

  /**
   * Moves the incomplete frame to the front of `memory`, so that the rest may be overwritten. Gives its bytes so far, or
   * MEMORY_IN_USE if it is in pieces, or in other memory.
   */
  rewind(memory: Uint8Array): number {
    if (this.gathered > 0) return MEMORY_IN_USE;
    const length = this.end - this.next;
    if (length === 0) return 0;
    if (this.bytes !== memory) return MEMORY_IN_USE;
    memory.copyWithin(0, this.next, this.end);
    this.open(memory, 0, length);
    return length;
  }

  /** The connection may end here: no frame is incomplete. */
  get isBetweenFrames(): boolean {
    return this.gathered === 0 && this.next === this.end;
  }

  protected open(bytes: Uint8Array, from: number, to: number): void {
    this.bytes = bytes;
    this.next = from;
    this.end = to;
  }

  /** Adds the chunk to the incomplete frame, if there is one; true if `read` has bytes to read. */
  private gather(rest: Uint8Array): boolean {
    this.rest = null;
    if (this.gathered === 0) {
      this.open(rest, this.restFrom, this.restTo);
      return true;
    }
    const { pieces } = this;
    let from = this.restFrom;
    if (this.wanted === 0) {
      from += this.gatherTo(4, rest, from);
      if (this.gathered < 4) return false;
      const word = joined(pieces.list, new Uint8Array(4));
      pieces.set([word]);
      this.wanted = this.checkLength(readU32(word, 0));
    }
    from += this.gatherTo(this.wanted, rest, from);
    if (this.gathered < this.wanted) return false;
    this.openGathered();
    pieces.set([]);
    this.gathered = 0;
    this.wanted = 0;
    if (from < this.restTo) {
      this.rest = rest;
      this.restFrom = from;
    }
    return true;
  }

  /** Opens the frame, of which the pieces have all bytes. */
  protected openGathered(): void {
    this.open(joined(this.pieces.list, this.memory(this.wanted)), 0, this.wanted);
  }

  /** Adds bytes of the chunk until `length` bytes are gathered; gives their number. */
  private gatherTo(length: number, rest: Uint8Array, from: number): number {
    const count = Math.min(this.restTo - from, length - this.gathered);
    this.add(rest, from, count);
    this.gathered += count;
    return count;
  }

  protected add(rest: Uint8Array, from: number, count: number): void {
    this.pieces.add(rest, from, count);
  }

  private checkLength(length: number): number {
    if (length < FRAME_HEADER || length > this.maxLength || (length & 3) !== 0) {
      throw new ProtocolError(
        `a frame of ${length} bytes: the length must be a multiple of 4 from ${FRAME_HEADER} to ${this.maxLength}`,
      );
    }
    return length;
  }
}

/** Fills `bytes` with the pieces. */
export function joined(pieces: readonly Uint8Array[], bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
