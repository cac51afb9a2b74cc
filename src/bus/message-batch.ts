import { entireLength } from '../message/codec/device.ts';
import { flagsAt, nameAt, RecordCursor, RecordWords, type Sums } from '../message/codec/records.ts';
import { Flag } from '../message/flags.ts';
import type { Message } from '../message/message.ts';
import type { RequestRecord } from './requests.ts';

const NO_BYTES = new Uint8Array(0);

/** The fields orig_from and final_to (spec 1 §4.1). */
export interface Carried {
  readonly origNetwork: number;
  readonly origLocal: number;
  readonly finalNetwork: number;
  readonly finalLocal: number;
}

/** Where the messages of a batch lie as records, side by side. */
export interface Span {
  /** Where the first record begins, and its head; that is `repeats` records of the same head before it. */
  at: number;
  headAt: number;
  repeats: number;
  /** Where the last one ends; of large data in pieces, where it would. */
  readonly end: number;
  /** Bytes of their data; sizes as the maximum counts them, and the largest (or a little more). */
  data: number;
  size: number;
  largest: number;
  /** All but the first are SAME as it. */
  readonly isRun: boolean;
}

const words = new RecordWords();

/**
 * Messages as a bus stores them: once, however many queues hold them. One; or several that came together, and
 * have the sender, flags, recipients and all other words alike, but not names (unless they are Requests or Replies)
 * and data. The fields are plain numbers, and the data is a stretch of a buffer that is never copied and never
 * looked at. What differs between the copies (WANT_YOU_TO_REPLY) is not stored here, but follows from the queue
 * entry.
 */
export class MessageBatch {
  name: string;
  flags: number;
  to: number;
  from = 0;
  idNetwork = 0;
  idSerial = 0;
  replyNetwork = 0;
  replySerial = 0;
  /** What Limpets give a message to carry; null when all of it is 0, as it mostly is. */
  carried: Carried | null = null;
  bytes: Uint8Array;
  dataAt: number;
  dataLength: number;
  /** Bytes of the first message as the maximum size counts them (spec 1 §4.4). */
  firstSize: number;
  /** The pieces of large data behind the end of `bytes`; null when all of it lies there. */
  more: Uint8Array[] | null = null;
  /**
   * How many messages this stands for. Of more than one, all lie in `span`; what numbers them rises by one: ids,
   * tokens and tickets, and the serial number that Replies answer. What is told of the batch is told of its first
   * message.
   */
  count = 1;
  /** Null for a message that didn't come as a record. */
  span: Span | null = null;
  /** How many were given to somebody: entries of queues, and an answer that passed them by. */
  copies = 0;
  /** How many entries of queues hold it now. */
  holders = 0;
  /** The ledger's record, once this is a Request that was accepted; several have one for each. */
  requests: RequestRecord | RequestRecord[] | null = null;
  // The rest is the drivers'.
  /** By which the driver knows this send again, when its outcome is told. */
  ticket = 0;
  /** Its answer is known by the ticket too, and doesn't go into a queue. */
  isAnswered = false;
  /** Its sender waits for room, if need be: ALL_OR_WAIT. */
  waits = false;
  /** It had to wait for room, and others passed it. */
  isAside = false;
  /** It is a Request that waits for a place of its sender's, and for one of its Replier's. */
  awaitsRoom = false;
  /** How the frame it came in wants to be answered. */
  detail = 0;

  constructor(
    name: string,
    flags: number,
    to: number,
    bytes: Uint8Array,
    dataAt: number,
    dataLength: number,
  ) {
    this.name = name;
    this.flags = flags;
    this.to = to;
    this.bytes = bytes;
    this.dataAt = dataAt;
    this.dataLength = dataLength;
    this.firstSize = entireLength(name.length, dataLength);
  }

  /** A copy of the data. Not a view: those of small arrays cost much more. */
  copyData(): Uint8Array {
    const { bytes, dataAt, dataLength, more } = this;
    if (more !== null) {
      const data = new Uint8Array(dataLength);
      this.writeData(data, 0);
      return data;
    }
    // The quickest way there is, when they are all of it.
    if (dataLength === bytes.length) return new Uint8Array(bytes);
    // The `slice` of a Buffer is a view.
    return Uint8Array.prototype.slice.call(bytes, dataAt, dataAt + dataLength);
  }

  /** The pieces in which the data lies. */
  dataPieces(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let left = this.dataLength;
    for (const piece of [this.bytes.subarray(this.dataAt), ...(this.more ?? [])]) {
      if (left === 0) break;
      const some = piece.subarray(0, left);
      pieces.push(some);
      left -= some.length;
    }
    return pieces;
  }

  /** Writes the data into `to`, from `at` on. */
  writeData(to: Uint8Array, at: number): void {
    let next = at;
    for (const piece of this.dataPieces()) {
      to.set(piece, next);
      next += piece.length;
    }
  }

  /** Bytes of all its messages, as {@link firstSize} counts them. */
  get size(): number {
    return this.span === null ? this.firstSize : this.span.size;
  }

  /** The size of its largest message; of several, maybe a little more: of one that was there before. */
  get largest(): number {
    return this.span === null || this.count === 1 ? this.firstSize : this.span.largest;
  }

  /** Bytes of the data of all its messages. */
  get dataBytes(): number {
    return this.span === null ? this.dataLength : this.span.data;
  }

  /** Stands at the message at `index`. */
  cursor(index = 0): RecordCursor {
    const { at, headAt, repeats } = this.span as Span;
    const cursor = new RecordCursor(this.bytes, at, headAt, repeats);
    for (let passed = 0; passed < index; passed++) cursor.next();
    return cursor;
  }

  /** Where the record of the message at `index` begins; of the one behind the last, where that ends. */
  startOf(index: number): number {
    const { at, end } = this.span as Span;
    if (index === 0) return at;
    return index === this.count ? end : this.cursor(index).at;
  }

  /** The message at `index`, by itself. */
  one(index: number): MessageBatch {
    return this.part(index, 1, this.cursor(index));
  }

  /** Takes the first `count` messages off, but not all, before they were sent; this batch keeps the others. */
  split(count: number): MessageBatch {
    const { end, data, size, largest, isRun } = this.span as Span;
    const cursor = this.cursor();
    const taken = this.part(0, count, cursor);
    cursor.next();
    const { at, headAt, repeats } = cursor;
    this.count -= count;
    this.ticket += count;
    this.span = {
      at,
      headAt,
      repeats,
      end,
      data: data - taken.dataBytes,
      size: size - taken.size,
      largest,
      isRun,
    };
    this.stand(cursor);
    return taken;
  }

  /** What it says of its first message is what stands there. */
  private stand(cursor: RecordCursor): void {
    const { bytes, headAt, repeats } = cursor;
    this.name = nameAt(bytes, headAt);
    this.flags = flagsAt(bytes, headAt);
    this.dataAt = cursor.dataAt;
    this.dataLength = cursor.dataLength;
    this.firstSize = cursor.size;
    words.read(bytes, headAt, repeats);
    this.to = words.to;
    this.replyNetwork = words.replyNetwork;
    this.replySerial = words.replySerial;
    this.idNetwork = words.idNetwork;
    this.idSerial = words.idSerial;
    const { origNetwork, origLocal, finalNetwork, finalLocal } = words;
    const isPlain = (origNetwork | origLocal | finalNetwork | finalLocal) === 0;
    this.carried = isPlain ? null : { origNetwork, origLocal, finalNetwork, finalLocal };
  }

  /** `count` messages from the one at `index` on, where the cursor stands; it goes on to the last of them. */
  private part(index: number, count: number, cursor: RecordCursor): MessageBatch {
    const part = new MessageBatch(this.name, this.flags, this.to, this.bytes, 0, 0);
    part.stand(cursor);
    // Those that were sent have ids, and flags that the bus has set.
    if (part.idNetwork === 0 && this.idSerial !== 0) part.idSerial = this.idSerial + index;
    const { at, headAt, repeats } = cursor;
    let data = cursor.dataLength;
    let { size } = cursor;
    let largest = size;
    for (let passed = 1; passed < count; passed++) {
      cursor.next();
      data += cursor.dataLength;
      size += cursor.size;
      if (cursor.size > largest) largest = cursor.size;
    }
    const { end } = cursor;
    const { isRun } = this.span as Span;
    part.span = { at, headAt, repeats, end, data, size, largest, isRun };
    part.count = count;
    part.from = this.from;
    part.requests = this.requestOf(index);
    part.ticket = this.ticket + index;
    part.isAnswered = this.isAnswered;
    part.waits = this.waits;
    part.awaitsRoom = this.awaitsRoom;
    part.detail = this.detail;
    return part;
  }

  /** The batch of `count` records from `at` on; `more` has the rest of a single large one. */
  static ofRecords(
    bytes: Uint8Array,
    at: number,
    end: number,
    count: number,
    sums: Readonly<Sums>,
    more: Uint8Array[] | null,
  ): MessageBatch {
    const batch = new MessageBatch('', 0, 0, bytes, 0, 0);
    const cursor = new RecordCursor(bytes, at, at + 4, 0);
    batch.stand(cursor);
    batch.count = count;
    const { headAt, repeats } = cursor;
    const { data, size, largest, heads } = sums;
    batch.span = { at, headAt, repeats, end, data, size, largest, isRun: heads === 1 };
    batch.more = more;
    return batch;
  }

  /** `count` messages from the one at `from` on, by themselves, after they were sent. */
  stretch(from: number, count: number): MessageBatch {
    const stretch = this.part(from, count, this.cursor(from));
    stretch.copies = this.copies;
    if (count > 1 && Array.isArray(this.requests)) {
      stretch.requests = this.requests.slice(from, from + count);
    }
    return stretch;
  }

  /** The record of the message at `index`, once it is a Request that was accepted. */
  requestOf(index: number): RequestRecord | null {
    const { requests } = this;
    return Array.isArray(requests) ? (requests[index] as RequestRecord) : requests;
  }

  /** The token by which an answer is known, or -1; as given to `send`. */
  get token(): number {
    return this.isAnswered ? this.ticket : -1;
  }

  get isReply(): boolean {
    return this.replySerial !== 0 || this.replyNetwork !== 0;
  }

  /** KBUS made it, in place of a Reply. */
  get isStatus(): boolean {
    return this.isReply && (this.flags & Flag.SYNTHETIC) !== 0;
  }

  get isRequest(): boolean {
    return (this.flags & Flag.WANT_A_REPLY) !== 0;
  }
}

/** A message that KBUS itself makes; the bus gives it its id. */
export function syntheticMessage(
  name: string,
  flags = 0,
  data: Uint8Array = NO_BYTES,
): MessageBatch {
  return new MessageBatch(name, flags | Flag.SYNTHETIC, 0, data, 0, data.length);
}

/**
 * A message that a program has written, for the bus, with this data, or a copy of it. Its serial number counts
 * only beside a network id: without one, the bus gives the id.
 */
export function batchOfMessage(message: Message, data: Uint8Array): MessageBatch {
  const { head, idSerial } = message;
  const batch = new MessageBatch(head.name, head.flags, head.to, data, 0, data.length);
  batch.idNetwork = head.idNetwork;
  if (head.idNetwork !== 0) batch.idSerial = idSerial;
  batch.replyNetwork = head.replyNetwork;
  batch.replySerial = head.replySerial;
  const { origFrom, finalTo } = head;
  if (origFrom.isSet || finalTo.isSet) {
    batch.carried = {
      origNetwork: origFrom.networkId,
      origLocal: origFrom.localId,
      finalNetwork: finalTo.networkId,
      finalLocal: finalTo.localId,
    };
  }
  return batch;
}
