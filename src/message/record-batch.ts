import { padded, readU32, writeU32 } from '../base/u32.ts';
import { carriedHead } from './carried-head.ts';
import { ByNumber } from './codec/by-number.ts';
import { spelledLength } from './codec/known-records.ts';
import { hashOfName } from './codec/name-hash.ts';
import {
  Field,
  fieldsAt,
  flagsAt,
  HEAD_AT,
  HeadReader,
  headFault,
  headLengthAt,
  isKnownAt,
  NUMBER_AT,
  nameAt,
  numberAt,
  RecordCursor,
  SAME,
  WORDS_AT,
} from './codec/records.ts';
import { Flag, KBUS_FLAGS } from './flags.ts';
import type { Head } from './head.ts';
import { type Message, ReceivedMessage } from './message.ts';

/** No message of a batch has so much data, in bytes: it would be written from where it lies. */
export const MAX_BATCHED_DATA = 16 * 1024;

/** Nor has a batch of several messages more bytes: with half as many, each message takes 4 % more of all processes' time. */
export const MAX_BATCH_BYTES = 64 * 1024;

/** With one of these flags, a message is no Announcement of a program. */
const NOT_OF_PROGRAMS = Flag.WANT_A_REPLY | KBUS_FLAGS;

const heads = new HeadReader(false);

/**
 * Announcements that one Ksock has sent one after the other, as records (codec/records.ts) with nothing but flags, name and
 * data. A Limpet passes them on as they are: objects for each of them would take most of its time.
 */
export class RecordBatch {
  readonly bytes: Uint8Array;
  /** Where the first record begins, where its head is (before it, if it is SAME), and where the last record ends. */
  readonly at: number;
  readonly headAt: number;
  readonly end: number;
  readonly count: number;
  /** The network id of the Limpet of their bus; 0 on that bus. */
  readonly network: number;
  /** The serial number of the first: those of the others follow. */
  readonly serial: number;
  /** The id of the Ksock on their bus. */
  readonly sender: number;
  /** All of them have ALL_OR_WAIT; otherwise none. */
  readonly waits: boolean;

  constructor(
    bytes: Uint8Array,
    at: number,
    headAt: number,
    end: number,
    count: number,
    network: number,
    serial: number,
    sender: number,
    waits: boolean,
  ) {
    this.bytes = bytes;
    this.at = at;
    this.headAt = headAt;
    this.end = end;
    this.count = count;
    this.network = network;
    this.serial = serial;
    this.sender = sender;
    this.waits = waits;
  }

  /** Bytes of the records. */
  get size(): number {
    return this.end - this.at;
  }

  /** The batch on other buses. */
  carriedBy(network: number): RecordBatch {
    const { bytes, at, headAt, end, count, serial, sender, waits } = this;
    return new RecordBatch(bytes, at, headAt, end, count, network, serial, sender, waits);
  }

  /** The batch without its first `index` messages; some must be left. */
  from(index: number): RecordBatch {
    if (index === 0) return this;
    const cursor = this.cursor();
    for (let passed = 0; passed < index; passed++) cursor.next();
    const { at, headAt } = cursor;
    const { bytes, end, network, sender, waits } = this;
    const count = this.count - index;
    const serial = this.serial + index;
    return new RecordBatch(bytes, at, headAt, end, count, network, serial, sender, waits);
  }

  /** A cursor at the first record. */
  cursor(): RecordCursor {
    return new RecordCursor(this.bytes, this.at, this.headAt, 0);
  }

  /** Whether the names of all pass. */
  everyName(passes: (name: string) => boolean): boolean {
    const cursor = this.cursor();
    for (let index = 0; index < this.count; index++) {
      if (index > 0) cursor.next();
      if (index > 0 && cursor.isSame) continue;
      if (!passes(nameAt(this.bytes, cursor.headAt))) return false;
    }
    return true;
  }

  /** Bytes of data. */
  get dataBytes(): number {
    const cursor = this.cursor();
    let sum = cursor.dataLength;
    for (let index = 1; index < this.count; index++) {
      cursor.next();
      sum += cursor.dataLength;
    }
    return sum;
  }

  /** The messages as they are on other buses. */
  *messages(): Generator<Message> {
    const { bytes, count, end, network, sender, serial } = this;
    const cursor = this.cursor();
    for (let index = 0; index < count; index++) {
      if (index > 0) cursor.next();
      const { dataAt, dataLength } = cursor;
      const plain = heads.read(bytes, cursor.headAt, end, 0) as Head;
      const head = carriedHead(plain, network, sender);
      yield new ReceivedMessage(head, 0, serial + index, bytes, dataAt, dataLength);
    }
  }
}

/** Records at the front of others that may be in one batch. */
export interface Stretch {
  readonly count: number;
  /** Where the last one ends, and where its head is. */
  readonly end: number;
  readonly headAt: number;
  /** Bytes of the records with all names, but without the head of the first if that is SAME. */
  readonly length: number;
  readonly waits: boolean;
}

/**
 * The Announcements, of `left` records from `start` up to `limit`, that may be passed on together; null if the first may not.
 * `firstHeadAt`: where the head of the first is, if that is SAME; -1: then it may not. `mayBeKnown`: this process has the names
 * that records leave out.
 */
export function stretchOf(
  bytes: Uint8Array,
  start: number,
  firstHeadAt: number,
  limit: number,
  left: number,
  names: BatchedNames,
  mayBeKnown = false,
): Stretch | null {
  let end = start;
  let count = 0;
  let headAt = firstHeadAt;
  let length = 0;
  let waits = false;
  while (count < left && end + HEAD_AT <= limit) {
    const word = readU32(bytes, end);
    const isSame = word >= SAME;
    const head = isSame ? headAt : end + HEAD_AT;
    if (!isSame || count === 0) {
      if (head < 0 || !isAnnouncement(bytes, head, limit, mayBeKnown) || !names.has(bytes, head))
        break;
      const isWaiting = waitsAt(bytes, head);
      if (count > 0 && isWaiting !== waits) break;
      waits = isWaiting;
    }
    const dataLength = isSame ? word - SAME : word;
    const dataAt = isSame ? end + HEAD_AT : head + headLengthAt(bytes, head);
    const more = (isSame ? HEAD_AT : HEAD_AT + spelledLength(bytes, head)) + padded(dataLength);
    const next = dataAt + padded(dataLength);
    const isLast = count + 1 === left;
    if (dataLength >= MAX_BATCHED_DATA || next > limit || isLast !== (next === limit)) break;
    if (count > 0 && length + more > MAX_BATCH_BYTES) break;
    length += more;
    headAt = head;
    end = next;
    count++;
  }
  return count === 0 ? null : { count, end, headAt, length, waits };
}

/** What is wrong with records that a peer has sent as a batch: exactly `count`, from `from` up to `end`; '' if nothing is. */
export function batchFault(
  bytes: Uint8Array,
  from: number,
  end: number,
  count: number,
  waits: boolean,
): string {
  let at = from;
  for (let index = 0; index < count; index++) {
    if (at + HEAD_AT > end) return `a batch that ends before message ${index + 1} of ${count}`;
    let length = readU32(bytes, at);
    at += HEAD_AT;
    if (length < SAME) {
      if (!isAnnouncement(bytes, at, end)) return 'a batch of other messages than Announcements';
      if (waitsAt(bytes, at) !== waits) return 'a batch of which only some messages wait';
      at += headLengthAt(bytes, at);
    } else if (index === 0) {
      return 'a batch whose first message has no head';
    } else {
      length -= SAME;
    }
    if (length >= MAX_BATCHED_DATA) return `a message of ${length} bytes in a batch`;
    at += padded(length);
  }
  return at === end ? '' : `a batch that ends in or behind message ${count}`;
}

/** Whether a head is there, up to `end`, which is that of an Announcement of a program, and says nothing but flags and name. */
export function isAnnouncement(
  bytes: Uint8Array,
  headAt: number,
  end: number,
  mayBeKnown = false,
): boolean {
  return (
    headAt + WORDS_AT <= end &&
    ((mayBeKnown && isKnownAt(bytes, headAt)) || headFault(bytes, headAt) === '') &&
    headAt + headLengthAt(bytes, headAt) <= end &&
    (fieldsAt(bytes, headAt) & ~Field.KNOWN) === 0 &&
    (flagsAt(bytes, headAt) & NOT_OF_PROGRAMS) === 0
  );
}

function waitsAt(bytes: Uint8Array, headAt: number): boolean {
  return (flagsAt(bytes, headAt) & Flag.ALL_OR_WAIT) !== 0;
}

/** What is known of a name: whether messages with it may be in batches, and a number for those who read it (codec/records.ts). */
interface KnownName {
  readonly passes: boolean;
  readonly number: number;
}

/** The names of the messages that may be in batches, for records of one daemon, which has numbered the names. */
export class BatchedNames {
  private readonly passes: (name: string) => boolean;
  private readonly known = new ByNumber<KnownName>();

  /** `passes` always says the same of a name. */
  constructor(passes: (name: string) => boolean) {
    this.passes = passes;
  }

  /** Whether the name of the head passes. */
  has(bytes: Uint8Array, headAt: number): boolean {
    return this.of(bytes, headAt).passes;
  }

  /** Replaces the daemon's numbers, which mean nothing to others, by others that are the same each time. */
  renumber(batch: RecordBatch): void {
    const { bytes, count } = batch;
    const cursor = batch.cursor();
    for (let index = 0; index < count; index++) {
      if (index > 0) cursor.next();
      const { headAt, isSame } = cursor;
      if (!isSame) writeU32(bytes, headAt + NUMBER_AT, this.of(bytes, headAt).number);
    }
  }

  private of(bytes: Uint8Array, headAt: number): KnownName {
    const number = numberAt(bytes, headAt);
    return this.known.get(number) ?? this.learn(nameAt(bytes, headAt), number);
  }

  private learn(name: string, number: number): KnownName {
    const known = { passes: this.passes(name), number: hashOfName(name) >>> 0 };
    if (number !== 0) this.known.set(number, known);
    return known;
  }
}
