import { type Memory, plainMemory } from '../base/memory.ts';
import { readU32 } from '../base/u32.ts';
import { MEMORY_IN_USE } from '../transport/channel.ts';
import { FRAME_HEADER, ProtocolError } from './protocol.ts';

/** Pieces up to this size are copied together: an object for each would be larger. */
const MAX_CRUMB_BYTES = 256;

/** What a piece costs beside its bytes: an object. */
const PIECE_BYTES = 256;

/** Pieces up to this size are copied if they are less than half of their memory, of which they would keep all. */
const MAX_SPARSE_BYTES = 32 * 1024;

const NO_BYTES = new Uint8Array(0);

/** A frame may stay in pieces only if the first holds the head of any message, and the pieces are large on average. */
const MIN_FIRST_PIECE_BYTES = 2048;
const MEAN_PIECE_BYTES = 16_384;

/**
 * Cuts the bytes of a connection into frames. A frame that lies in one chunk, or in adjacent chunks, is not copied. Other
 * frames are joined, in memory that grows with the bytes received, or given in large pieces.
 */
export class FrameReader {
  /** The longest valid frame, in bytes. */
  maxLength: number;
  private readonly whole: number;
  private readonly memory: Memory;
  private pieces: Uint8Array[] = [];
  /** The memory of the last piece, if small ones are copied into it; and the bytes of it in use. */
  private crumbs: Uint8Array | null = null;
  private crumbsTo = 0;
  private gathered = 0;
  /** The memory of the last piece that was not copied, and the bytes that all pieces keep in memory. */
  private lastMemory: ArrayBufferLike | null = null;
  private pinned = 0;
  /** The length of the incomplete frame; 0 while it is unknown. */
  private wanted = 0;

  bytes: Uint8Array = NO_BYTES;
  /** Where the frame begins in `bytes`. */
  at = 0;
  /** Its length. */
  length = 0;
  /** The pieces of the frame after the end of `bytes`; null if `bytes` has all of it. */
  more: Uint8Array[] | null = null;
  /** `bytes` has only the head of the frame, and the rest of it was thrown away: see `skip`. */
  isSkipped = false;
  private isSkipping = false;
  // The unread part of `bytes`, and the chunk after it.
  private next = 0;
  private end = 0;
  private rest: Uint8Array | null = null;
  private restFrom = 0;
  private restTo = 0;

  /**
   * `read` may give frames longer than `whole` bytes in pieces; the first piece holds the head of the first message.
   * `memory` allocates memory to join frames in, which need not be cleared.
   */
  constructor(maxLength: number, whole = Number.POSITIVE_INFINITY, memory = plainMemory) {
    this.maxLength = maxLength;
    this.whole = whole;
    this.memory = memory;
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
  private keepPiece(): void {
    this.crumbs = null;
    this.addPiece(this.bytes, this.next, this.end);
    this.gathered = this.end - this.next;
    this.letGo();
  }

  /** An idle connection must not keep what it received last. */
  private letGo(): void {
    this.open(NO_BYTES, 0, 0);
  }

  /** Adds bytes to the pieces, in their memory if they are most of it, or else in memory of their own. */
  private addPiece(bytes: Uint8Array, from: number, to: number): void {
    const length = to - from;
    if (length <= MAX_SPARSE_BYTES && length * 2 < bytes.length) {
      const own = new Uint8Array(bytes.subarray(from, to));
      this.pieces.push(own);
      this.pinned += length + PIECE_BYTES;
      return;
    }
    this.pieces.push(bytes.subarray(from, to));
    this.pinned += PIECE_BYTES;
    if (bytes.buffer === this.lastMemory) return;
    this.lastMemory = bytes.buffer;
    this.pinned += bytes.buffer.byteLength;
  }

  /** Moves to the next complete frame; false if that needs more bytes. */
  read(): boolean {
    this.more = null;
    this.isSkipped = false;
    if (this.next === this.end && this.rest !== null && !this.gather(this.rest)) return false;
    const left = this.end - this.next;
    if (left >= 4) {
      const length = this.checkLength(readU32(this.bytes, this.next));
      if (length <= left || this.more !== null) {
        this.at = this.next;
        this.length = length;
        this.next = this.more === null ? this.at + length : this.end;
        this.wanted = 0;
        return true;
      }
      this.wanted = length;
    } else if (left === 0) {
      this.letGo();
    }
    return false;
  }

  /** Joins the frame, if it is in pieces. */
  join(): void {
    if (this.more === null) return;
    const pieces = [this.bytes.subarray(this.at, this.end), ...this.more];
    const whole = joined(pieces, this.memory(this.length));
    this.more = null;
    this.open(whole, 0, whole.length);
    this.at = 0;
    this.next = this.end;
  }

  /**
   * Throws away the data of the incomplete frame, also what is still to come: there is no memory for it. `read` then gives
   * the frame with its first bytes, which include the head of its first message.
   */
  skip(): void {
    if (this.gathered === 0) this.keepPiece();
    this.isSkipping = true;
    this.keepHead();
  }

  /** All missing bytes are going to be thrown away. */
  get isDropping(): boolean {
    return this.isSkipping && this.gathered >= MIN_FIRST_PIECE_BYTES;
  }

  private keepHead(): void {
    if (this.gathered < MIN_FIRST_PIECE_BYTES || this.pieces.length === 0) return;
    const head = new Uint8Array(MIN_FIRST_PIECE_BYTES);
    let at = 0;
    for (const piece of this.pieces) {
      const some = piece.subarray(0, head.length - at);
      head.set(some, at);
      at += some.length;
    }
    this.pieces = [head];
    this.pinned = head.length;
    this.lastMemory = null;
    this.crumbs = null;
  }

  /** The bytes that the incomplete frame, and what was received and not read, keep in memory. */
  get heldBytes(): number {
    const { bytes, pinned, rest } = this;
    return pinned + bytes.length + (rest === null ? 0 : rest.length);
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

  private open(bytes: Uint8Array, from: number, to: number): void {
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
    let from = this.restFrom;
    if (this.wanted === 0) {
      from += this.add(rest, from, 4);
      if (this.gathered < 4) return false;
      const word = joined(this.pieces, new Uint8Array(4));
      this.pieces = [word];
      this.pinned = word.length;
      this.lastMemory = null;
      this.crumbs = null;
      this.wanted = this.checkLength(readU32(word, 0));
    }
    from += this.add(rest, from, this.wanted);
    if (this.gathered < this.wanted) return false;
    if (this.isSkipping) {
      const [head] = this.pieces as [Uint8Array];
      this.isSkipping = false;
      this.isSkipped = true;
      this.more = [];
      this.open(head, 0, head.length);
    } else if (this.mayStayInPieces()) {
      const [first, ...more] = this.pieces as [Uint8Array, ...Uint8Array[]];
      this.more = more;
      this.open(first, 0, first.length);
    } else {
      this.open(joined(this.pieces, this.memory(this.wanted)), 0, this.wanted);
    }
    this.pieces = [];
    this.crumbs = null;
    this.pinned = 0;
    this.lastMemory = null;
    this.gathered = 0;
    this.wanted = 0;
    if (from < this.restTo) {
      this.rest = rest;
      this.restFrom = from;
    }
    return true;
  }

  private mayStayInPieces(): boolean {
    const { pieces, wanted, whole } = this;
    return (
      wanted > whole &&
      pieces.length <= 2 + wanted / MEAN_PIECE_BYTES &&
      (pieces[0] as Uint8Array).length >= MIN_FIRST_PIECE_BYTES
    );
  }

  /** Adds bytes of the chunk until `length` bytes are gathered; gives their number. */
  private add(rest: Uint8Array, from: number, length: number): number {
    const count = Math.min(this.restTo - from, length - this.gathered);
    if (this.isDropping) {
      this.gathered += count;
      return count;
    }
    if (count > MAX_CRUMB_BYTES) {
      this.crumbs = null;
      this.addPiece(rest, from, from + count);
    } else if (count > 0) {
      this.addCrumb(rest, from, count);
    }
    this.gathered += count;
    if (this.isSkipping) this.keepHead();
    return count;
  }

  private addCrumb(rest: Uint8Array, from: number, count: number): void {
    if (this.crumbs === null || this.crumbsTo + count > this.crumbs.length) {
      this.crumbs = new Uint8Array(MAX_CRUMB_BYTES * 16);
      this.crumbsTo = 0;
      this.pinned += this.crumbs.length;
    } else {
      this.pieces.pop();
    }
    for (let at = 0; at < count; at++) this.crumbs[this.crumbsTo++] = rest[from + at] as number;
    this.pieces.push(this.crumbs.subarray(0, this.crumbsTo));
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
function joined(pieces: readonly Uint8Array[], bytes: Uint8Array): Uint8Array {
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
