import type { Memory } from '../base/memory.ts';
import { FrameReader, joined } from '../wire/frame-reader.ts';
import { CountedPieces } from './counted-pieces.ts';

/** A frame may stay in pieces only if the first holds the head of any message, and the pieces are large on average. */
const MIN_FIRST_PIECE_BYTES = 2048;
const MEAN_PIECE_BYTES = 16_384;

/** Reads frames, of which long ones may stay in pieces, and those for which there is no memory are thrown away as they come. */
export class InboxReader extends FrameReader {
  declare protected readonly pieces: CountedPieces;
  private readonly whole: number;
  /** The pieces of the frame after the end of `bytes`; null if `bytes` has all of it. The first has the head of the first message. */
  more: Uint8Array[] | null = null;
  /** `bytes` has only the head of the frame, and the rest of it was thrown away: see `skip`. */
  isSkipped = false;
  private isSkipping = false;

  /** `read` may give frames longer than `whole` bytes in pieces. */
  constructor(maxLength: number, whole: number, memory?: Memory) {
    super(maxLength, memory, new CountedPieces());
    this.whole = whole;
  }

  /** The bytes that the incomplete frame, and what was received and not read, keep in memory. */
  get heldBytes(): number {
    return this.pieces.bytes + this.bytes.length + (this.rest?.length ?? 0);
  }

  /** Whether bytes of the frame, of an incomplete one, or of what follows lie in this memory. */
  refersTo(memory: ArrayBufferLike): boolean {
    return (
      this.bytes.buffer === memory ||
      this.rest?.buffer === memory ||
      this.pieces.list.some(({ buffer }) => buffer === memory)
    );
  }

  override read(): boolean {
    this.more = null;
    this.isSkipped = false;
    if (super.read()) return true;
    if (this.more === null) return false;
    this.at = this.next;
    this.length = this.wanted;
    this.next = this.end;
    this.wanted = 0;
    return true;
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

  /** The length of the incomplete frame; 0 while it is unknown. */
  get incomplete(): number {
    return this.wanted;
  }

  /** Moves the first bytes of the incomplete frame out of the memory in which they were received. */
  keepApart(): void {
    if (this.gathered === 0) this.keepPiece();
  }

  /** Throws away all bytes: nothing follows. */
  drop(): void {
    this.open(new Uint8Array(0), 0, 0);
    this.rest = null;
    this.more = null;
    this.pieces.set([]);
    this.gathered = 0;
  }

  /**
   * Throws away the data of the incomplete frame, also what is still to come: there is no memory for it. `read` then gives
   * the frame with its first bytes, which include the head of its first message.
   */
  skip(): void {
    this.keepApart();
    this.isSkipping = true;
    this.keepHead();
  }

  /** All missing bytes are going to be thrown away. */
  get isDropping(): boolean {
    return this.isSkipping && this.gathered >= MIN_FIRST_PIECE_BYTES;
  }

  protected override add(rest: Uint8Array, from: number, count: number): void {
    if (this.isDropping) return;
    super.add(rest, from, count);
    if (this.isSkipping) this.keepHead();
  }

  private keepHead(): void {
    const { pieces } = this;
    let there = 0;
    for (const { length } of pieces.list) there += length;
    if (there < MIN_FIRST_PIECE_BYTES) return;
    const head = new Uint8Array(MIN_FIRST_PIECE_BYTES);
    let at = 0;
    for (const piece of pieces.list) {
      const some = piece.subarray(0, head.length - at);
      head.set(some, at);
      at += some.length;
    }
    pieces.set([head]);
  }

  protected override openGathered(): void {
    if (!this.isSkipping && !this.mayStayInPieces()) {
      super.openGathered();
      return;
    }
    this.isSkipped = this.isSkipping;
    this.isSkipping = false;
    const [first, ...more] = this.pieces.list as [Uint8Array, ...Uint8Array[]];
    this.more = more;
    this.open(first, 0, first.length);
  }

  private mayStayInPieces(): boolean {
    const { wanted, whole } = this;
    const { list } = this.pieces;
    return (
      wanted > whole &&
      list.length <= 2 + wanted / MEAN_PIECE_BYTES &&
      (list[0] as Uint8Array).length >= MIN_FIRST_PIECE_BYTES
    );
  }
}
