import { appended } from '../base/appended.ts';
import { copyBytes } from '../base/copy-bytes.ts';
import type { Slab } from '../base/slab.ts';
import { writeU32 } from '../base/u32.ts';
import {
  type Carried,
  type MemoryOfBatches,
  type MessageBatch,
  NO_ROOM,
  ROOM,
  type Span,
  wordsOf,
} from '../bus/message-batch.ts';
import { knownNames, type ToldNumbers } from '../message/codec/known-names.ts';
import { spelled, untoldOf } from '../message/codec/known-records.ts';
import {
  copyWithHead,
  HEAD_AT,
  headLength,
  headLengthAt,
  RecordCursor,
  RecordWords,
  writeRecord,
} from '../message/codec/records.ts';
import type { Channel } from '../transport/channel.ts';
import { bytesByMemory, isWasteful } from '../transport/stalled-writes.ts';
import { MAX_JOINED_BYTES, wordsFrame, writeFrameHeader } from '../wire/frame.ts';
import {
  CARRIED,
  CARRIED_RECORDS_AT,
  FRAME_AT,
  FRAME_HEADER,
  FrameKind,
  RECORDS_AT,
  YOU,
} from '../wire/protocol.ts';

/** Up to this length, records are copied behind the head of their frame; longer ones are sent from where they lie. */
export const MAX_COPIED_BYTES = 4096;

/** At most so many names are in one NAMES, which so is shorter than any client's longest frame. */
const MAX_TOLD = 256;

const NO_BYTES = new Uint8Array(0);

const words = new RecordWords();

/** A frame of messages: what its head says, and where its records lie side by side. */
class MessagesFrame {
  /** 0: there is no frame. */
  kind = 0;
  detail = 0;
  token = 0;
  count = 0;
  sender = 0;
  /** Serial number of the first message; 0 if its record has the id of a Limpet. */
  serial = 0;
  /** With CARRIED: the network, and the Ksock there; otherwise 0. */
  network = 0;
  origLocal = 0;
  records: Uint8Array = NO_BYTES;
  from = 0;
  to = 0;
  /** Where the head of the first record is: elsewhere if the record is SAME, `repeats` records before it. */
  headAt = 0;
  repeats = 0;

  copy(frame: MessagesFrame): void {
    this.kind = frame.kind;
    this.detail = frame.detail;
    this.token = frame.token;
    this.count = frame.count;
    this.sender = frame.sender;
    this.serial = frame.serial;
    this.network = frame.network;
    this.origLocal = frame.origLocal;
    this.records = frame.records;
    this.from = frame.from;
    this.to = frame.to;
    this.headAt = frame.headAt;
    this.repeats = frame.repeats;
  }

  /** Makes the record at the cursor the first. */
  startAt({ at, headAt, repeats }: RecordCursor): void {
    this.from = at;
    this.headAt = headAt;
    this.repeats = repeats;
  }

  /** Whether the messages of `next` continue this frame: their records follow, and so do their numbers. */
  isContinuedBy(next: MessagesFrame): boolean {
    const { kind } = this;
    return (
      kind === next.kind &&
      // Frames of the other kinds have one message each.
      (kind === FrameKind.PREFETCH ||
        (kind === FrameKind.ANSWER && next.token === this.token + this.count)) &&
      next.detail === this.detail &&
      next.records === this.records &&
      next.from === this.to &&
      next.sender === this.sender &&
      next.network === this.network &&
      next.origLocal === this.origLocal &&
      next.serial === this.serial + this.count &&
      this.serial !== 0 &&
      next.to - this.from <= MAX_JOINED_BYTES
    );
  }

  /** Where the records begin. */
  get recordsAt(): number {
    return this.network === 0 ? RECORDS_AT : CARRIED_RECORDS_AT;
  }
}

/** The messages that an outbox is adding. One for all outboxes, since every message passes through it. */
const next = new MessagesFrame();

/**
 * What one connection is sent at the next flush: stretches of buffers, most of which are shared with other
 * connections, joined where they lie side by side.
 */
export class Outbox {
  private readonly channel: Channel;
  private readonly slab: Slab;
  /** The names that the client knows by number; null: its records must have all names. */
  told: ToldNumbers | null = null;
  private pieces: Uint8Array[] = [];
  /** Bytes of the pieces. */
  private pieceBytes = 0;
  private bytes: Uint8Array | null = null;
  private from = 0;
  private to = 0;
  /** The memory in which batches lie that were added. */
  private pinned: MemoryOfBatches[] = [];
  /** The frame that more messages may be added to. */
  private readonly open = new MessagesFrame();

  constructor(channel: Channel, slab: Slab) {
    this.channel = channel;
    this.slab = slab;
  }

  /** About how many bytes there are to send. */
  get unsentBytes(): number {
    return this.pieceBytes + this.to - this.from + this.open.to - this.open.from;
  }

  /** Adds a frame that the caller encoded. */
  frame(frame: Uint8Array): void {
    this.close();
    this.append(frame, 0, frame.length);
  }

  /** Adds a frame of up to four words. */
  words(
    kind: number,
    token: number,
    count: number,
    first = 0,
    second = 0,
    third = 0,
    fourth = 0,
  ): void {
    this.close();
    const length = FRAME_HEADER + count * 4;
    const { slab } = this;
    slab.reserve(length);
    const { view, at } = slab;
    writeFrameHeader(view, at, length, kind, 0, 0, token);
    const body = at + FRAME_AT.body;
    if (count > 0) view.setUint32(body, first);
    if (count > 1) view.setUint32(body + 4, second);
    if (count > 2) view.setUint32(body + 8, third);
    if (count > 3) view.setUint32(body + 12, fourth);
    this.append(slab.bytes, at, at + length);
  }

  /** Tells the client the names with these numbers. */
  tell(numbers: readonly number[]): void {
    const told = this.told as ToldNumbers;
    const news = [...new Set(numbers)];
    for (let from = 0; from < news.length; from += MAX_TOLD) {
      const some = news.slice(from, from + MAX_TOLD);
      for (const number of some) told.add(number);
      const names = some.map((number) => knownNames.name(number)).join(' ');
      this.frame(wordsFrame(FrameKind.NAMES, 0, 0, 0, [some.length, ...some], names));
    }
  }

  /** Adds the Replies of a batch, for Requests whose tokens begin with this one. */
  answer(token: number, batch: MessageBatch): void {
    this.begin(FrameKind.ANSWER, token, false);
    this.add(batch, 0, batch.count);
  }

  /** Adds the first message of a batch, for a TAKE. `you`: it is a Request that the reader is to answer. */
  taken(token: number, batch: MessageBatch, you: boolean): void {
    this.begin(FrameKind.TAKEN, token, you);
    this.add(batch, 0, 1);
  }

  /** Adds `count` messages of a batch, from index `index` on. */
  prefetch(batch: MessageBatch, index: number, count: number, you: boolean): void {
    this.begin(FrameKind.PREFETCH, 0, you);
    this.add(batch, index, count);
  }

  prefetchUrgent(batch: MessageBatch, index: number, you: boolean): void {
    this.begin(FrameKind.PREFETCH_URGENT, 0, you);
    this.add(batch, index, 1);
  }

  private begin(kind: number, token: number, you: boolean): void {
    next.kind = kind;
    next.token = token;
    next.detail = you ? YOU : 0;
  }

  private add(batch: MessageBatch, index: number, count: number): void {
    if (batch.memory?.mayBeReused === true) this.pin(batch.memory);
    next.count = count;
    next.sender = batch.from;
    next.serial = batch.idNetwork === 0 ? batch.idSerial + index : 0;
    next.network = 0;
    next.origLocal = 0;
    const isCarried = batch.hasSharedOrigin;
    const isPassedOn = !isCarried || next.kind === FrameKind.PREFETCH;
    if (batch.span === null || batch.more !== null || !isPassedOn) {
      this.close();
      this.writeMessage(batch);
      return;
    }
    if (isCarried) {
      next.detail = CARRIED;
      next.network = batch.idNetwork;
      next.serial = batch.idSerial + index;
      next.origLocal = (batch.carried as Carried).origLocal;
    }
    const { told } = this;
    const { hasKnown } = batch.span;
    const isSpelled = hasKnown && told === null;
    let cursor: RecordCursor | null = null;
    if (hasKnown && told !== null && !told.hasAll) {
      cursor = batch.cursor(index);
      const untold = untoldOf(cursor, count, told);
      if (untold.length > 0) this.tell(untold);
    }
    if (!isSpelled && count === batch.count && this.passOn(batch.bytes, batch.span)) return;
    cursor ??= batch.cursor(index);
    if (isSpelled) cursor = new RecordCursor(spelled(cursor, count), 0, HEAD_AT, 0);
    next.records = cursor.bytes;
    next.startAt(cursor);
    next.to = isSpelled ? cursor.bytes.length : batch.startOf(index + count);
    if (count === 1 || next.to - next.from <= MAX_JOINED_BYTES) this.join();
    else this.split(cursor);
  }

  /**
   * Adds `next`, which has all of a batch, as the frame in which the batch came, with another head: neither copied, nor cut
   * off from the frames beside it. False if it has another one there already, or is better copied.
   */
  private passOn(records: Uint8Array, span: Span): boolean {
    const { at, end, front } = span;
    if (front === NO_ROOM || (next.count > 1 && end - at > MAX_JOINED_BYTES)) return false;
    const { kind } = next;
    // Frames of the other kinds have tokens of their own, for each reader.
    if (kind !== FrameKind.PREFETCH && kind !== FrameKind.ANSWER) return false;
    const mark = (kind << 8) | next.detail;
    if (front !== ROOM && front !== mark) return false;
    this.close();
    const from = at - RECORDS_AT;
    const follows = records === this.bytes && from === this.to;
    if (end - at <= MAX_COPIED_BYTES && !follows) return false;
    if (front === ROOM) {
      writeHead(records, from, end - from, next);
      span.front = mark;
    }
    this.append(records, from, end);
    return true;
  }

  /** Adds `next` to the open frame if it continues that, or else opens another. */
  private join(): void {
    const { open } = this;
    if (open.isContinuedBy(next)) {
      open.count += next.count;
      open.to = next.to;
      return;
    }
    this.close();
    open.copy(next);
  }

  /** Divides `next`, whose first record is at the cursor, into frames of up to MAX_JOINED_BYTES. */
  private split(cursor: RecordCursor): void {
    const tokensPerMessage = next.kind === FrameKind.ANSWER ? 1 : 0;
    for (let left = next.count; left > 0; left -= next.count) {
      next.startAt(cursor);
      next.count = 1;
      next.to = cursor.end;
      while (next.count < left) {
        cursor.next();
        if (cursor.end - next.from > MAX_JOINED_BYTES) break;
        next.to = cursor.end;
        next.count++;
      }
      this.join();
      next.token += tokensPerMessage * next.count;
      next.serial += next.count;
    }
  }

  /** Writes `next`, a single message that lies in no record, or whose data lies in pieces. */
  private writeMessage(batch: MessageBatch): void {
    const { slab } = this;
    const { dataLength } = batch;
    const fields = wordsOf(batch, words);
    const dataAt = RECORDS_AT + HEAD_AT + headLength(batch.name.length, fields);
    const byReference = dataLength > MAX_COPIED_BYTES;
    const padding = (4 - (dataLength & 3)) & 3;
    const length = dataAt + dataLength + padding;
    slab.reserve(byReference ? dataAt + 4 : length);
    const { bytes, view, at } = slab;
    writeHead(bytes, at, length, next);
    writeRecord(bytes, at + RECORDS_AT, batch.name, batch.flags, fields, words, dataLength);
    if (!byReference) {
      if (padding > 0) view.setUint32(at + length - 4, 0);
      batch.writeData(bytes, at + dataAt);
      this.append(bytes, at, at + length);
      return;
    }
    this.append(bytes, at, at + dataAt);
    for (const piece of batch.dataPieces()) this.append(piece, 0, piece.length);
    if (padding > 0) {
      view.setUint32(at + dataAt, 0);
      this.append(bytes, at + dataAt, at + dataAt + padding);
    }
  }

  /** Writes the open frame: what follows does not belong to it. */
  private close(): void {
    const { open, slab } = this;
    if (open.kind === 0) return;
    const { headAt, records, recordsAt } = open;
    const isWhole = headAt === open.from + HEAD_AT;
    // A first record that is SAME is written with its head: the record that has it is not in this frame.
    const head = isWhole ? 0 : headLengthAt(records, headAt);
    const length = recordsAt + head + open.to - open.from;
    const isShort = open.to - open.from <= MAX_COPIED_BYTES;
    const own = isShort ? length : isWhole ? recordsAt : recordsAt + HEAD_AT + head;
    slab.reserve(own);
    const { bytes, at } = slab;
    writeHead(bytes, at, length, open);
    let { from } = open;
    let to = at + recordsAt;
    if (!isWhole) {
      to = copyWithHead(records, from, headAt, open.repeats, bytes, to);
      from += HEAD_AT;
    }
    open.kind = 0;
    open.records = NO_BYTES;
    const recordsTo = open.to;
    open.from = 0;
    open.to = 0;
    if (isShort) {
      copyBytes(records, from, recordsTo, bytes, to);
      this.append(bytes, at, at + length);
      return;
    }
    this.append(bytes, at, to);
    this.append(records, from, recordsTo);
  }

  private append(bytes: Uint8Array, from: number, to: number): void {
    if (bytes === this.bytes && from === this.to) {
      this.to = to;
      return;
    }
    this.cut();
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  /**
   * Sends all of it, in one system call where the channel can. False if there is nothing to send. `keepsLittle`: a client that
   * does not read may not keep the slab in which its frames lie.
   */
  flush(keepsLittle = false): boolean {
    this.close();
    // An idle connection must not keep a receive buffer.
    next.records = NO_BYTES;
    this.cut();
    if (this.pieces.length === 0) return false;
    const { channel, pieces } = this;
    this.pieces = [];
    this.pieceBytes = 0;
    const isPacked = keepsLittle || channel.backlog > 0;
    channel.write(isPacked ? packed(pieces) : pieces, this.unpinning());
    return true;
  }

  private pin(memory: MemoryOfBatches): void {
    const { pinned } = this;
    if (pinned[pinned.length - 1] === memory) return;
    memory.pin(1);
    this.pinned = appended(pinned, memory);
  }

  /** What is to be called when all that was added is written. */
  private unpinning(): (() => void) | undefined {
    const { pinned } = this;
    if (pinned.length === 0) return undefined;
    this.pinned = [];
    return () => {
      for (const memory of pinned) memory.pin(-1);
    };
  }

  private cut(): void {
    const { bytes, from, to } = this;
    if (bytes === null) return;
    // A view costs time; with one frame from a client, the piece is mostly the whole buffer.
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    this.pieces = appended(this.pieces, piece);
    this.pieceBytes += piece.length;
    this.bytes = null;
    this.from = 0;
    this.to = 0;
  }
}

/**
 * Longer pieces stay where they are: they are at least a quarter of the memory into which a stream is read, and to copy them
 * would take longer.
 */
const MAX_MOVED_BYTES = 64 * 1024;

/**
 * The same bytes, with some pieces in memory of their own. A client that does not read must not keep the memory of
 * others: a short piece lies in a slab with the frames of all connections, and any may lie among much else that was
 * received with it.
 */
function packed(pieces: readonly Uint8Array[]): Uint8Array[] {
  const waiting = bytesByMemory(pieces);
  const mustMove = ({ buffer, length }: Uint8Array): boolean =>
    length <= MAX_COPIED_BYTES ||
    (length <= MAX_MOVED_BYTES && isWasteful(buffer, waiting.get(buffer) as number));
  let total = 0;
  for (const piece of pieces) if (mustMove(piece)) total += piece.length;
  const own = new Uint8Array(total);
  const all: Uint8Array[] = [];
  let from = 0;
  let to = 0;
  for (const piece of pieces) {
    if (mustMove(piece)) {
      own.set(piece, to);
      to += piece.length;
      continue;
    }
    if (from < to) all.push(own.subarray(from, to));
    from = to;
    all.push(piece);
  }
  if (from < to) all.push(own.subarray(from, to));
  return all;
}

/** Without a DataView: to make one for each memory in which frames are passed on would take longer. */
function writeHead(
  bytes: Uint8Array,
  at: number,
  length: number,
  { kind, detail, token, count, sender, serial, network, origLocal }: MessagesFrame,
): void {
  writeU32(bytes, at, length);
  writeU32(bytes, at + FRAME_AT.kind, (kind << 24) | (detail << 16));
  writeU32(bytes, at + FRAME_AT.token, token);
  writeU32(bytes, at + FRAME_HEADER, count);
  writeU32(bytes, at + FRAME_HEADER + 4, sender);
  writeU32(bytes, at + FRAME_HEADER + 8, serial);
  if (network === 0) return;
  writeU32(bytes, at + RECORDS_AT, network);
  writeU32(bytes, at + RECORDS_AT + 4, origLocal);
}
