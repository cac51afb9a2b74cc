import { appended } from '../message/append.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Head } from '../message/head.ts';
import { type Message, ReceivedMessage } from '../message/message.ts';
import {
  Field,
  faultOfHead,
  fieldsAt,
  HEAD_AT,
  type HeadReader,
  headLengthAt,
  LEAST_HEAD,
  SAME,
} from '../message/records.ts';
import { padded, readU32 } from '../message/u32.ts';
import { type Memory, ProtocolError } from '../wire/frames.ts';
import { Slab } from '../wire/slab.ts';

/** So many bytes of messages are kept together: who keeps one of them keeps all, and no more. */
const KEPT_TOGETHER = 4 * 1024;

/** From this size on, a message is given where it lies. */
const BY_REFERENCE = 16 * 1024;

/**
 * Where messages go that are given to somebody who may keep them: out of the memory that is read to, which is large,
 * and can be read to again then.
 */
export class KeptMemory {
  readonly slab: Slab;
  /** How many were given where they lay. */
  referenced = 0;

  constructor(memory: Memory) {
    this.slab = new Slab(2 * KEPT_TOGETHER, memory);
  }
}

const NO_HEAD = new Head('', 0);
const MAX_SERIAL = 0xffff_ffff;

/** Messages as they lie side by side in a frame: objects are made when they are handed. */
export class LentBatch {
  private readonly heads: HeadReader;
  private readonly kept: KeptMemory;
  /** What was read; `bytes` is that, or memory to keep. */
  private readonly source: Uint8Array;
  private bytes: Uint8Array;
  /** How far the same place is behind in `source`. */
  private shift = 0;
  /** How many may be given from where they are now. */
  private keptLeft = 0;
  private readonly from: number;
  private readonly you: number;
  private at: number;
  /** Where the last record ends, in `source`. */
  private readonly end: number;
  private head = NO_HEAD;
  private serial: number;
  left: number;

  // The message that was come to last.
  private dataAt = 0;
  private dataLength = 0;
  private idSerial = 0;

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
    this.source = bytes;
    this.bytes = bytes;
    this.at = at;
    this.end = end;
    this.left = count;
    this.from = from;
    this.serial = serial;
    this.you = you;
  }

  next(): Message {
    if (this.keptLeft === 0) this.keep();
    this.keptLeft--;
    this.advance();
    return new ReceivedMessage(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
  }

  /** The next one is shown by `borrowed`. */
  show(borrowed: BorrowedMessage): void {
    if (this.keptLeft > 0) this.keptLeft--;
    else this.goBack();
    this.advance();
    borrowed.show(this.head, this.idSerial, this.bytes, this.dataAt, this.dataLength);
  }

  /** Copies the next few to memory that may be kept. */
  private keep(): void {
    this.goBack();
    const { at, kept, source } = this;
    let end = this.endOf(at);
    let count = 1;
    for (; count < this.left; count++) {
      const next = this.endOf(end);
      if (next - at > KEPT_TOGETHER) break;
      end = next;
    }
    if (count === this.left && end !== this.end) throw outside();
    this.keptLeft = count;
    if (end - at >= BY_REFERENCE) {
      kept.referenced++;
      return;
    }
    const { slab } = kept;
    slab.keep(source, at, end - at, 0);
    this.bytes = slab.bytes;
    this.at = slab.at;
    this.shift = at - slab.at;
  }

  /** The next one lies where it was read. */
  private goBack(): void {
    if (this.bytes === this.source) return;
    this.bytes = this.source;
    this.at += this.shift;
  }

  /** Where the record ends that begins there in `source`. */
  private endOf(at: number): number {
    const { end, source } = this;
    if (at + HEAD_AT > end) throw outside();
    const word = readU32(source, at);
    const dataAt = at + HEAD_AT + (word < SAME ? this.headLength(source, at + HEAD_AT, end) : 0);
    const next = dataAt + padded(word < SAME ? word : word - SAME);
    if (next > end) throw outside();
    return next;
  }

  /** Bytes of the head that begins there, in memory that has no more than up to `end`. */
  private headLength(bytes: Uint8Array, at: number, end: number): number {
    if (at + LEAST_HEAD > end) throw outside();
    const fault = faultOfHead(bytes, at);
    if (fault !== '') throw new ProtocolError(fault);
    const length = headLengthAt(bytes, at);
    if (at + length > end) throw outside();
    return length;
  }

  private advance(): void {
    const { at, bytes } = this;
    // In memory to keep lie whole records only, which were looked at.
    const end = bytes === this.source ? this.end : bytes.length;
    if (at + HEAD_AT > end) throw outside();
    const word = readU32(bytes, at);
    this.left--;
    this.idSerial = this.serial++;
    if (word >= SAME) {
      this.dataLength = word - SAME;
      this.dataAt = at + HEAD_AT;
      if (this.head.isReply) this.head = nextReply(this.head);
      else if (this.head === NO_HEAD) throw outside();
    } else {
      const headAt = at + HEAD_AT;
      this.dataLength = word;
      this.dataAt = headAt + this.headLength(bytes, headAt, end);
      this.head = this.heads.read(bytes, headAt, this.from, this.you);
      if ((fieldsAt(bytes, headAt) & Field.ID) !== 0) {
        this.idSerial = this.heads.serial(bytes, headAt);
      }
    }
    const next = this.dataAt + padded(this.dataLength);
    if (next > end || (this.left === 0 && bytes === this.source && next !== end)) throw outside();
    this.at = next;
  }
}

/** The head of the Reply to the next Request. */
function nextReply(head: Head): Head {
  if (head.replySerial < MAX_SERIAL) return head.further(1);
  throw new ProtocolError('more Replies than there are serial numbers');
}

function outside(): ProtocolError {
  return new ProtocolError("the messages of a frame don't end where the frame does");
}

/** What the daemon has lent, and was not handed to the program yet; the oldest is handed first. */
export class Lent {
  private entries: (Message | LentBatch)[] = [];
  private first = 0;
  /** Those whose messages are being handed: they come before the entries. */
  private batch: LentBatch | null = null;
  /** How many messages they are. */
  length = 0;

  push(message: Message): void {
    this.entries = appended(this.entries, message);
    this.length++;
  }

  /** Urgent messages are handed before all others. */
  pushFirst(urgent: LentBatch): void {
    this.length += urgent.left;
    const { batch } = this;
    this.batch = null;
    if (batch !== null) this.entries.splice(this.first, 0, urgent, batch);
    else this.entries.splice(this.first, 0, urgent);
  }

  pushBatch(batch: LentBatch): void {
    this.entries = appended(this.entries, batch);
    this.length += batch.left;
  }

  /** The oldest, which is then not lent any more. */
  take(): Message | null {
    if (this.length === 0) return null;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) return this.takeEntry() as Message;
    const message = batch.next();
    if (batch.left === 0) this.batch = null;
    return message;
  }

  /** The oldest is shown by `borrowed`, and not lent any more; false when there is none. */
  show(borrowed: BorrowedMessage): boolean {
    if (this.length === 0) return false;
    this.length--;
    const batch = this.batch ?? this.nextBatch();
    if (batch === null) {
      borrowed.showMessage(this.takeEntry() as Message);
      return true;
    }
    batch.show(borrowed);
    if (batch.left === 0) this.batch = null;
    return true;
  }

  /** The batch that comes next, if it is one: its messages are handed from now on. */
  private nextBatch(): LentBatch | null {
    if (!(this.entries[this.first] instanceof LentBatch)) return null;
    this.batch = this.takeEntry() as LentBatch;
    return this.batch;
  }

  private takeEntry(): Message | LentBatch {
    const entry = this.entries[this.first++] as Message | LentBatch;
    if (this.first === this.entries.length) {
      this.entries = [];
      this.first = 0;
    }
    return entry;
  }

  clear(): void {
    this.entries = [];
    this.first = 0;
    this.batch = null;
    this.length = 0;
  }
}
