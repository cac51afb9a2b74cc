import type { Memory } from '../../base/memory.ts';
import { Slab } from '../../base/slab.ts';
import { padded, readU32 } from '../../base/u32.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { HEAD_AT, type HeadReader, type RecordWords, SAME } from '../../message/codec/records.ts';
import { Head } from '../../message/head.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';
import { ProtocolError } from '../../wire/protocol.ts';

/** So much of a frame is copied at once. It is the most that a message retains if the program keeps it. */
const MAX_COPY_BYTES = 32 * 1024;

/** Frames share memory of this size if they are shorter: a message of little traffic retains no more. */
const SHARED_BYTES = 8 * 1024;

/** Messages from this size on are not copied: the program gets them in the receive buffer. */
const GIVEN_IN_PLACE_BYTES = 16 * 1024;

/**
 * Memory for messages that a program may keep. They are copied out of the receive buffer, which is large, so that it can
 * be reused.
 */
export class KeptMemory {
  readonly slab: Slab;
  /** The number of messages that programs got in the receive buffer. */
  referenced = 0;

  constructor(memory: Memory) {
    this.slab = new Slab(SHARED_BYTES, memory);
  }
}

const NO_HEAD = new Head('', 0);
const MAX_SERIAL = 0xffff_ffff;

/** The messages of a frame, as bytes: each becomes an object when the program reads it. */
export class PrefetchedBatch {
  readonly heads: HeadReader;
  readonly kept: KeptMemory;
  readonly bytes: Uint8Array;
  /** The Ksock that sent them. */
  readonly from: number;
  /** If it is not 0, they are Requests for the reader to answer. */
  readonly you: number;
  /** The words that the messages have instead of their records: they came from another bus. */
  sharedWords: RecordWords | undefined = undefined;
  /** Where the next record begins. */
  at: number;
  /** Where the last record ends. */
  readonly end: number;
  head = NO_HEAD;
  serial: number;
  /** The number of messages that are left. */
  left: number;

  // The current message.
  private dataAt = 0;
  private dataLength = 0;
  private idSerial = 0;

  // `copy` has the bytes of `bytes` up to `copiedTo`, `shift` bytes further to the front. Programs may keep it.
  private copy: Uint8Array;
  private copiedTo = 0;
  private shift = 0;

  /**
   * `count` records from `at` up to `end`, of messages that the Ksock `from` sent. Their serial numbers begin with
   * `serial`; `you` are flags to set beside their own. `next` and `show` check each record when they reach it, and throw
   * a ProtocolError if the records don't end where the frame does.
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

  /** Lets `borrowed` show the next message. */
  show(borrowed: BorrowedMessage): void {
    this.advance();
    const { bytes, dataAt, dataLength, from, head, idSerial } = this;
    borrowed.show(head, from, idSerial, bytes, dataAt, dataLength);
  }

  /** Copies the message, and the bytes after it up to MAX_COPY_BYTES, to memory that the program may keep. */
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
    const length = Math.min(end - dataAt, MAX_COPY_BYTES);
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
      const head = heads.read(bytes, dataAt, end, this.you, this.sharedWords);
      if (head === null) throw outside();
      if (head.idNetwork !== 0 && this.sharedWords === undefined) this.idSerial = heads.idSerial;
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
  return new ProtocolError('malformed messages, or bytes behind the last');
}
