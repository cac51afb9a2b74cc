import { entireLength } from '../message/codec/device.ts';
import { spelled } from '../message/codec/known-records.ts';
import {
  copyWithHead,
  Field,
  fieldsAt,
  flagsAt,
  HEAD_AT,
  headLengthAt,
  nameAt,
  RecordCursor,
  RecordWords,
  type Sums,
} from '../message/codec/records.ts';
import { Flag } from '../message/flags.ts';
import type { Message } from '../message/message.ts';
import type { RequestRecord } from './requests.ts';
import { COSTS } from './settings.ts';

const NO_BYTES = new Uint8Array(0);

/** The fields orig_from and final_to (spec 1 §4.1). */
export interface Carried {
  readonly origNetwork: number;
  readonly origLocal: number;
  readonly finalNetwork: number;
  readonly finalLocal: number;
}

/** The memory before the first record is somebody else's, or is free: see {@link Span.front}. */
export const NO_ROOM = -1;
export const ROOM = 0;

/** Where the records of a batch's messages lie, side by side. */
export class Span {
  /** Where the first record begins, and where its head lies: in it, or in the record `repeats` places before it. */
  readonly at: number;
  readonly headAt: number;
  readonly repeats: number;
  /** Where the last record ends; for large data in pieces, where it would end. */
  readonly end: number;
  /** Bytes of the data; the sum of the sizes (spec 1 §4.4), and the largest size or a little more. */
  readonly data: number;
  readonly size: number;
  readonly largest: number;
  /** All records but the first are SAME. */
  readonly isRun: boolean;
  /** Some records leave out the name. */
  readonly hasKnown: boolean;
  /**
   * The driver's: what stands before the first record, where the head of a frame with just these records would. NO_ROOM,
   * ROOM, or a number for the head that has been written there.
   */
  front = NO_ROOM;

  constructor(
    at: number,
    headAt: number,
    repeats: number,
    end: number,
    data: number,
    size: number,
    largest: number,
    isRun: boolean,
    hasKnown: boolean,
  ) {
    this.at = at;
    this.headAt = headAt;
    this.repeats = repeats;
    this.end = end;
    this.data = data;
    this.size = size;
    this.largest = largest;
    this.isRun = isRun;
    this.hasKnown = hasKnown;
  }

  /** The same records in other memory, the first with its own head. */
  moved(at: number, end: number, hasKnown = this.hasKnown): Span {
    const { data, size, largest, isRun } = this;
    return new Span(at, at + HEAD_AT, 0, end, data, size, largest, isRun, hasKnown);
  }
}

/** A mark stands at each record whose index is a multiple of this. Usual batches have fewer: to make marks would cost more. */
const MARK_EVERY = 512;

/**
 * Where some of many records lie, so that to find one takes as long, however many come before it: for each mark, the three
 * places that a cursor needs.
 */
class Marks {
  /** Few batches have marks: a field would make each larger. */
  static readonly of = new WeakMap<Span, Marks>();

  private readonly places: Float64Array;

  constructor(cursor: RecordCursor, count: number) {
    this.places = new Float64Array(3 * Math.ceil(count / MARK_EVERY));
    for (let index = 0; index < count; index++) {
      if (index > 0) cursor.next();
      if (index % MARK_EVERY > 0) continue;
      this.places.set([cursor.at, cursor.headAt, cursor.repeats], (3 * index) / MARK_EVERY);
    }
  }

  /** A cursor at the record at `index`. */
  cursor(bytes: Uint8Array, index: number): RecordCursor {
    const from = 3 * Math.floor(index / MARK_EVERY);
    const [at, headAt, repeats] = this.places.subarray(from, from + 3);
    const cursor = new RecordCursor(bytes, at as number, headAt as number, repeats as number);
    for (let passed = index % MARK_EVERY; passed > 0; passed--) cursor.next();
    return cursor;
  }
}

/** A stretch of memory in which batches lie. It learns which of them are in queues. */
export interface MemoryOfBatches {
  hold(batch: MessageBatch): void;
  letGo(batch: MessageBatch): void;
  /** The batch has moved out. */
  leave(batch: MessageBatch): void;
  /** It may be used again once nobody needs its batches: who writes bytes of it must pin it until then. */
  readonly mayBeReused: boolean;
  /** A driver is to write bytes of it (1), or has written them, or never will (-1). */
  pin(by: 1 | -1): void;
  /** Somebody got a batch that lies in it, and may keep that for ever. */
  giveAway(): void;
}

/** What a driver notes of a batch, in bits: each field makes every message larger. */
const Driver = { ANSWERED: 1, WAITS: 2, AWAITS_ROOM: 4, ASIDE: 8, KEPT: 16 } as const;

const words = new RecordWords();

/**
 * Messages as a bus stores them: once, however many queues hold them. A batch is one message, or several that came
 * together in one frame and share sender, flags and all other words, but not data, and not names unless they are
 * Requests or Replies. The fields are plain numbers. The data is a stretch of a buffer, which the bus neither copies
 * nor reads. WANT_YOU_TO_REPLY differs between the copies of a message, so it follows from the queue entry.
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
  /** The fields that Limpets set; null when all of them are 0, as they mostly are. */
  carried: Carried | null = null;
  bytes: Uint8Array;
  dataAt: number;
  dataLength: number;
  /** Size in bytes of the first message (spec 1 §4.4). */
  firstSize: number;
  /** The pieces of large data that follow `bytes`; null when all of the data lies in `bytes`. */
  more: Uint8Array[] | null = null;
  /**
   * How many messages the batch holds. If more than one, all lie in `span`, and ids, tokens, tokens and the serial
   * numbers in in_reply_to rise by one from message to message. The fields of the batch are those of its first message.
   */
  count = 1;
  /** Null for a message that did not come as a record. */
  span: Span | null = null;
  /** How many copies the bus has given out: to queues, and to a driver as the answer to a Request. */
  copies = 0;
  /** How many queue entries hold the batch now. */
  holders = 0;
  /** The memory in which it was received; null when it has memory of its own. */
  memory: MemoryOfBatches | null = null;
  /** The ledger's record of an accepted Request; an array when the batch holds several. */
  requests: RequestRecord | RequestRecord[] | null = null;
  // The bus does not look at the rest: it belongs to the driver.
  /** Identifies the send to its driver, when its outcome is known. */
  token = 0;
  /** When it was put into queues, as `Work.now` says. */
  queuedAt = -1;
  /** The Driver bits. */
  private driverBits = 0;
  /** SendDetail bits of the frame that it came in: how to acknowledge it. */
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

  /** The answer goes to the driver with the token, not into a queue. */
  get answersByToken(): boolean {
    return (this.driverBits & Driver.ANSWERED) !== 0;
  }

  set answersByToken(is: boolean) {
    this.setDriverBit(Driver.ANSWERED, is);
  }

  /** The sender waits for room if necessary: ALL_OR_WAIT. */
  get waits(): boolean {
    return (this.driverBits & Driver.WAITS) !== 0;
  }

  set waits(is: boolean) {
    this.setDriverBit(Driver.WAITS, is);
  }

  /** The Request may wait for a place in its sender's queue, and for one in its Replier's. */
  get awaitsRoom(): boolean {
    return (this.driverBits & Driver.AWAITS_ROOM) !== 0;
  }

  set awaitsRoom(is: boolean) {
    this.setDriverBit(Driver.AWAITS_ROOM, is);
  }

  /** The Request waits for room, and later sends overtake it. */
  get isAside(): boolean {
    return (this.driverBits & Driver.ASIDE) !== 0;
  }

  set isAside(is: boolean) {
    this.setDriverBit(Driver.ASIDE, is);
  }

  /** It waits to be sent. */
  get isKept(): boolean {
    return (this.driverBits & Driver.KEPT) !== 0;
  }

  set isKept(is: boolean) {
    this.setDriverBit(Driver.KEPT, is);
  }

  /** How many times its memory is held: by queues, and by its sender. */
  get timesKept(): number {
    return (this.holders > 0 ? 1 : 0) + (this.isKept ? 1 : 0);
  }

  private setDriverBit(bit: number, is: boolean): void {
    this.driverBits = is ? this.driverBits | bit : this.driverBits & ~bit;
  }

  /** A copy of the data. For small data, a copy costs less than a view. */
  copyData(): Uint8Array {
    const { bytes, dataAt, dataLength, more } = this;
    if (more !== null) {
      const data = new Uint8Array(dataLength);
      this.writeData(data, 0);
      return data;
    }
    // The fastest way, if the data is all there is.
    if (dataLength === bytes.length) return new Uint8Array(bytes);
    // Buffer's own `slice` gives a view.
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

  /** Sum of the sizes of all its messages. */
  get size(): number {
    return this.span === null ? this.firstSize : this.span.size;
  }

  /** What it costs to keep it, however many queues hold it. */
  get cost(): number {
    return this.size + COSTS.message;
  }

  /** What it costs to keep it while it waits to be sent. */
  get waitingCost(): number {
    return this.cost + COSTS.waiting;
  }

  /** Size of its largest message; a batch that was split may give a little more. */
  get largest(): number {
    return this.span === null || this.count === 1 ? this.firstSize : this.span.largest;
  }

  /** Bytes of the data of all its messages. */
  get dataBytes(): number {
    return this.span === null ? this.dataLength : this.span.data;
  }

  /** How many bytes `moveTo` takes. */
  get movedLength(): number {
    const { at, end } = this.span as Span;
    return this.ownHeadLength + end - at;
  }

  /** A first record that is SAME gets its own head when it moves: the record that has it stays behind. */
  private get ownHeadLength(): number {
    const { at, headAt } = this.span as Span;
    return headAt === at + HEAD_AT ? 0 : headLengthAt(this.bytes, headAt);
  }

  /** Copies the records to `to`, out of the memory in which they were received; they lie in `memory` then. */
  moveTo(to: Uint8Array, start: number, memory: MemoryOfBatches | null): void {
    const span = this.span as Span;
    const { ownHeadLength } = this;
    const end = this.copyTo(to, start);
    this.more = null;
    this.span = span.moved(start, end);
    this.dataAt += start + ownHeadLength - span.at;
    this.bytes = to;
    this.memory = memory;
  }

  /** Copies the records to `to`, of which they take `movedLength` bytes from `start` on; gives where they end. */
  copyTo(to: Uint8Array, start: number): number {
    const { at, headAt, repeats, end } = this.span as Span;
    const { bytes, more } = this;
    const isWhole = headAt === at + HEAD_AT;
    const from = isWhole ? at : at + HEAD_AT;
    let next = isWhole ? start : copyWithHead(bytes, at, headAt, repeats, to, start);
    for (const piece of [bytes.subarray(from, end), ...(more ?? [])]) {
      to.set(piece, next);
      next += piece.length;
    }
    return next;
  }

  /** The batch with all names in its records. */
  spelled(): MessageBatch {
    const { count, span } = this;
    if (span === null || !span.hasKnown) return this;
    const copy = this.stretch(0, count);
    if (this.more !== null) {
      copy.span = null;
      copy.more = this.more;
      return copy;
    }
    const bytes = spelled(this.cursor(), count);
    const { dataAt } = new RecordCursor(bytes, 0, HEAD_AT, 0);
    copy.span = span.moved(0, bytes.length, false);
    copy.bytes = bytes;
    copy.dataAt = dataAt;
    copy.memory = null;
    return copy;
  }

  /** A cursor at the message at `index`. */
  cursor(index = 0): RecordCursor {
    if (index >= MARK_EVERY) return this.farCursor(index);
    const { at, headAt, repeats } = this.span as Span;
    const cursor = new RecordCursor(this.bytes, at, headAt, repeats);
    for (let passed = 0; passed < index; passed++) cursor.next();
    return cursor;
  }

  private farCursor(index: number): RecordCursor {
    const span = this.span as Span;
    let marks = Marks.of.get(span);
    if (marks === undefined) {
      marks = new Marks(this.cursor(), this.count);
      Marks.of.set(span, marks);
    }
    return marks.cursor(this.bytes, index);
  }

  /** Where the record of the message at `index` begins; for `count`, where the last record ends. */
  startOf(index: number): number {
    const { at, end } = this.span as Span;
    if (index === 0) return at;
    return index === this.count ? end : this.cursor(index).at;
  }

  /** The message at `index` as a batch of its own. */
  one(index: number): MessageBatch {
    return this.part(index, 1, this.cursor(index));
  }

  /** Takes the first `count` messages off a batch that is not sent yet; the batch keeps the others, at least one. */
  split(count: number): MessageBatch {
    const { end, data, size, largest, isRun, hasKnown } = this.span as Span;
    const cursor = this.cursor();
    const taken = this.part(0, count, cursor);
    cursor.next();
    const { at, headAt, repeats } = cursor;
    this.count -= count;
    this.token += count;
    const rest = data - taken.dataBytes;
    const sizes = size - taken.size;
    this.span = new Span(at, headAt, repeats, end, rest, sizes, largest, isRun, hasKnown);
    this.stand(cursor);
    if (taken.hasSharedOrigin) this.shareOrigin(taken, count);
    return taken;
  }

  /** Sets the fields of the first message to those of the record at the cursor. */
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

  /** The `count` messages from `index` on, where the cursor stands; the cursor moves to the last of them. */
  private part(index: number, count: number, cursor: RecordCursor): MessageBatch {
    const part = new MessageBatch(this.name, this.flags, this.to, this.bytes, 0, 0);
    part.stand(cursor);
    if (this.hasSharedOrigin) part.shareOrigin(this, index);
    // The bus gave ids to messages that were sent; their records have none.
    else if (part.idNetwork === 0 && this.idSerial !== 0) part.idSerial = this.idSerial + index;
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
    const { isRun, hasKnown } = this.span as Span;
    part.span = new Span(at, headAt, repeats, end, data, size, largest, isRun, hasKnown);
    part.count = count;
    part.from = this.from;
    part.requests = this.requestOf(index);
    part.token = this.token + index;
    part.driverBits = this.driverBits & ~(Driver.ASIDE | Driver.KEPT);
    part.detail = this.detail;
    part.memory = this.memory;
    return part;
  }

  /** The batch of `count` records from `at` on; `more` has the remaining pieces of a single large message. */
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
    const { data, size, largest, heads, known } = sums;
    batch.span = new Span(at, headAt, repeats, end, data, size, largest, heads === 1, known > 0);
    batch.more = more;
    return batch;
  }

  /**
   * The messages came from another bus, where the Ksock `sender` sent them. Their ids begin with this serial number, and rise by one.
   * The records say nothing of that.
   */
  comeFrom(network: number, sender: number, serial: number): void {
    this.idNetwork = network;
    this.idSerial = serial;
    this.carried = { origNetwork: network, origLocal: sender, finalNetwork: 0, finalLocal: 0 };
  }

  /** Its messages have their ids and their orig_from of {@link comeFrom}, and not of their records. */
  get hasSharedOrigin(): boolean {
    const { bytes, idNetwork, span } = this;
    return idNetwork !== 0 && span !== null && (fieldsAt(bytes, span.headAt) & Field.ID) === 0;
  }

  /** The first message is the one at `index` of `batch`, which has a shared origin. */
  private shareOrigin(batch: MessageBatch, index: number): void {
    this.idNetwork = batch.idNetwork;
    this.idSerial = batch.idSerial + index;
    this.carried = batch.carried;
  }

  /** The batch is all of the frame that it came in, whose head is not needed any more. */
  markRoom(): void {
    (this.span as Span).front = ROOM;
  }

  /** The `count` messages from `from` on as a batch of their own, after they were sent. */
  stretch(from: number, count: number): MessageBatch {
    const stretch = this.part(from, count, this.cursor(from));
    stretch.copies = this.copies;
    stretch.queuedAt = this.queuedAt;
    if (count > 1 && Array.isArray(this.requests)) {
      stretch.requests = this.requests.slice(from, from + count);
    }
    return stretch;
  }

  /** The ledger's record of the message at `index`; null unless that is an accepted Request. */
  requestOf(index: number): RequestRecord | null {
    const { requests } = this;
    return Array.isArray(requests) ? (requests[index] as RequestRecord) : requests;
  }

  /** The token by which the driver knows the answer; -1: the answer goes into the queue. */
  get answerToken(): number {
    return this.answersByToken ? this.token : -1;
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

/** Fills `words` from the first message of a batch; returns the Field bits of those that its record needs. */
export function wordsOf(batch: MessageBatch, words: RecordWords): number {
  const { carried } = batch;
  words.to = batch.to;
  words.replyNetwork = batch.replyNetwork;
  words.replySerial = batch.replySerial;
  words.idNetwork = batch.idNetwork;
  words.idSerial = batch.idSerial;
  words.origNetwork = carried?.origNetwork ?? 0;
  words.origLocal = carried?.origLocal ?? 0;
  words.finalNetwork = carried?.finalNetwork ?? 0;
  words.finalLocal = carried?.finalLocal ?? 0;
  return words.fields;
}

/** A message that KBUS makes; the bus gives it an id. */
export function syntheticMessage(
  name: string,
  flags = 0,
  data: Uint8Array = NO_BYTES,
): MessageBatch {
  return new MessageBatch(name, flags | Flag.SYNTHETIC, 0, data, 0, data.length);
}

/**
 * The batch of one message that a program wrote; `data` is the message's data, or a copy. The serial number counts only
 * beside a network id: without one, the bus gives the id.
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
