import type { Memory } from '../../base/memory.ts';
import { Slab } from '../../base/slab.ts';
import { padded, readU32 } from '../../base/u32.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { HEAD_AT, type HeadReader, SAME } from '../../message/codec/records.ts';
import { Head } from '../../message/head.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';
import { ProtocolError } from '../../wire/protocol.ts';

/** So many bytes are copied at once: who keeps a message keeps what lies around it, and no more than twice as much. */
const MIN_COPY_BYTES = 4 * 1024;

/** From this size on, a message is given where it lies. */
const GIVEN_IN_PLACE_BYTES = 16 * 1024;

/**
 * Where messages go that are given to somebody who may keep them: out of the memory that is read to, which is large,
 * and can be read to again then.
 */
export class KeptMemory {
  readonly slab: Slab;
  /** How many were given where they lay. */
  referenced = 0;

  constructor(memory: Memory) {
    this.slab = new Slab(2 * MIN_COPY_BYTES, memory);
  }
}

const NO_HEAD = new Head('', 0);
const MAX_SERIAL = 0xffff_ffff;

/** Messages as they lie side by side in a frame: each becomes an object when it is given. */
export class PrefetchedBatch {
  private readonly heads: HeadReader;
  private readonly kept: KeptMemory;
  private readonly bytes: Uint8Array;
  private readonly from: number;
  private readonly you: number;
  /** Where the next record begins. */
  private at: number;
  /** Where the last one ends. */
  private readonly end: number;
  private head = NO_HEAD;
  private serial: number;
  left: number;

  // The message that was come to last.
  private dataAt = 0;
  private dataLength = 0;
  private idSerial = 0;

  // Memory that may be kept has what lies in `bytes` up to `copiedTo`, `shift` bytes before the place that it has there.
  private copy: Uint8Array;
  private copiedTo = 0;
  private shift = 0;

  /**
   * `count` records from `at` up to `end`, of messages that `from` sent. Their serial numbers begin with `serial`, and
   * their reader sees the flags `you` beside their own. Each is looked at when it is come to: `next` and `show` throw
   * a ProtocolError when the records don't end where they must.
   */
  constructor(
    heads: HeadReader,
    kept: KeptMemory,
    bytes: Uint8Array,
    at: number,
    end: number,
    count: number,
    from: number,
    serial: number,
    you: number,
  ) {
    this.heads = heads;
    this.kept = kept;
    this.bytes = bytes;
    this.copy = bytes;
    this.at = at;
    this.end = end;
    this.left = count;
    this.from = from;
    this.serial = serial;
    this.you = you;
  }

  next(): Message {
    this.advance();
    if (this.at > this.copiedTo) this.keep();
    const { copy, dataAt, dataLength, from, head, idSerial, shift } = this;
    return new ReceivedMessage(head, from, idSerial, copy, dataAt - shift, dataLength);
  }

  /** The next one is shown by `borrowed`. */
  show(borrowed: BorrowedMessage): void {
    this.advance();
    const { bytes, dataAt, dataLength, from, head, idSerial } = this;
    borrowed.show(head, from, idSerial, bytes, dataAt, dataLength);
  }

  /** Copies the message, and what comes next with it, to memory that may be kept. */
  private keep(): void {
    const { at, bytes, dataAt, end, kept } = this;
    if (at - dataAt >= GIVEN_IN_PLACE_BYTES) {
      kept.referenced++;
      this.copy = bytes;
      this.copiedTo = at;
      this.shift = 0;
      return;
    }
    const { slab } = kept;
    const length = Math.min(end - dataAt, Math.max(at - dataAt, MIN_COPY_BYTES));
    slab.keep(bytes, dataAt, length, 0);
    this.copy = slab.bytes;
    this.copiedTo = dataAt + length;
    this.shift = dataAt - slab.at;
  }

  private advance(): void {
    const { at, bytes, end } = this;
    if (at + HEAD_AT > end) throw outside();
    const word = readU32(bytes, at);
    this.left--;
    this.idSerial = this.serial++;
    let dataAt = at + HEAD_AT;
    let dataLength = word;
    if (word >= SAME) {
      dataLength -= SAME;
      if (this.head.isReply) this.head = nextReply(this.head);
      else if (this.head === NO_HEAD) throw outside();
    } else {
      const { heads } = this;
      const head = heads.read(bytes, dataAt, end, this.you);
      if (head === null) throw outside();
      if (head.idNetwork !== 0) this.idSerial = heads.idSerial;
      this.head = head;
      dataAt = heads.end;
    }
    const next = dataAt + padded(dataLength);
    if (next > end || (this.left === 0) !== (next === end)) throw outside();
    this.dataAt = dataAt;
    this.dataLength = dataLength;
    this.at = next;
  }
}

/** The head of the Reply to the next Request. */
function nextReply(head: Head): Head {
  if (head.replySerial < MAX_SERIAL) return head.further(1);
  throw new ProtocolError('more Replies than there are serial numbers');
}

function outside(): ProtocolError {
  return new ProtocolError(
    "the messages of a frame are malformed, or don't end where the frame does",
  );
}
