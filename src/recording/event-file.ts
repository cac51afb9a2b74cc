import type { Memory } from '../base/memory.ts';
import { padded, readU32, writeU32 } from '../base/u32.ts';
import { ByNumber } from '../message/codec/by-number.ts';
import {
  copyHead,
  HEAD_AT,
  headLengthAt,
  nameAt,
  numberAt,
  RecordCursor,
  removeNumber,
  WORDS_AT,
} from '../message/codec/records.ts';
import { EventError } from '../tap/event-reader.ts';
import type { EventWalker } from '../tap/event-walker.ts';
import { Code } from '../tap/events.ts';
import {
  EVENTS_TOPIC,
  MAX_CHANNELS,
  type Nanoseconds,
  OTHERS_TOPIC,
  SOURCE_KEY,
  setMicroseconds,
} from './mcap-format.ts';
import { type Channel, type Crc32, EVENTS, McapWriter } from './mcap-writer.ts';

/** Written to the header: a reader may want to know. */
const LIBRARY = 'kbus';

/** Bytes of a message's event beside its record. */
const MOST_BESIDE = 64;

/** The milliseconds of a BEGIN are its third number. */
const STARTED_AT_FIELD = 2;

/** The least bytes of a record's head. */
const LEAST_HEAD = WORDS_AT;

const bad = (): EventError => new EventError('records that are none');

/** Whether the record at the cursor ends before `end`, and its head can be copied. A length that is none is not. */
function isWithin({ bytes, end: itsEnd, headAt }: RecordCursor, end: number): boolean {
  return itsEnd <= end && headLengthAt(bytes, headAt) <= MOST_HEAD;
}

/** A name of 1000 bytes, and all words. */
const MOST_HEAD = WORDS_AT + 36 + 1000;

/**
 * Turns blocks of events into an MCAP file: a message of the file for each message of the bus, in the channel of its name,
 * and one for each other event, in a channel of their own. The data of each is the event as a tap tells it: its code and
 * its fields. It does no I/O.
 */
export class EventFile {
  readonly mcap: McapWriter;
  /** What is in the file. */
  messages = 0;
  lostMessages = 0;
  lostEvents = 0;
  /** Microseconds since 1970 of the last event. */
  lastTime = 0;
  private readonly walker: EventWalker;
  private readonly channels = new Map<string, Channel>();
  /** The channels by the numbers of their names. */
  private byNumber = new ByNumber<Channel>();
  private readonly time: Nanoseconds = { high: 0, low: 0 };
  /** In a merged file: from which recording the events are. Each source has channels of its own. */
  source = 0;

  constructor(walker: EventWalker, crc32: Crc32, memory?: Memory) {
    this.walker = walker;
    this.mcap = new McapWriter(LIBRARY, crc32, EVENTS, memory);
  }

  /** Adds the event at which the walker stands; the tap began at `startedAt`, in milliseconds since 1970. */
  add(startedAt: number): void {
    const { walker } = this;
    this.addAt(walker.code, startedAt * 1000 + walker.time, walker.bytes, walker.from, walker.to);
  }

  /** Adds the event of this code, at so many microseconds since 1970, with the fields in `bytes`. */
  addAt(code: number, time: number, bytes: Uint8Array, from: number, to: number): void {
    this.lastTime = time;
    setMicroseconds(this.time, time);
    if (code === Code.MESSAGES) {
      this.addMessages(bytes, from, to);
      return;
    }
    // The numbers of names are those of the daemon, which may be another one now.
    if (code === Code.BEGIN) this.byNumber = new ByNumber();
    if (code === Code.LOST) this.noteLost(bytes, from);
    const channel = this.channelOf(EVENTS_TOPIC);
    const out = this.mcap.beginMessage(channel, this.time, 1 + to - from);
    out.u8(code);
    out.copy(bytes, from, to);
    this.mcap.endMessage();
  }

  private noteLost(bytes: Uint8Array, from: number): void {
    const numbers = new Numbers(bytes, from);
    this.lostEvents += numbers.next();
    this.lostMessages += numbers.next();
  }

  private addMessages(bytes: Uint8Array, from: number, to: number): void {
    const numbers = new Numbers(bytes, from);
    const [sender, network, serial, count] = [
      numbers.next(),
      numbers.next(),
      numbers.next(),
      numbers.next(),
    ];
    const isCut = ((bytes[numbers.at] as number) & 1) !== 0;
    const length = readU32(bytes, numbers.at + 1);
    const start = numbers.at + 5;
    if (start + length > to) throw bad();
    const wholes = isCut ? new Numbers(bytes, start + length) : null;
    const end = start + length;
    // The first record has a head.
    if (count === 0 || end - start < HEAD_AT + LEAST_HEAD || (bytes[start] as number) >= 0x80)
      throw bad();
    const cursor = new RecordCursor(bytes, start, start, 0);
    for (let index = 0; index < count; index++) {
      if (index > 0) {
        if (end - cursor.end < HEAD_AT) throw bad();
        cursor.next();
      }
      if (!isWithin(cursor, end)) throw bad();
      this.addMessage(cursor, sender, network, serial === 0 ? 0 : serial + index, wholes);
    }
  }

  private addMessage(
    cursor: RecordCursor,
    sender: number,
    network: number,
    serial: number,
    wholes: Numbers | null,
  ): void {
    const { bytes, dataAt, dataLength, headAt, repeats } = cursor;
    const head = headLengthAt(bytes, headAt);
    const length = HEAD_AT + head + padded(dataLength);
    const channel = this.channelAt(bytes, headAt);
    const out = this.mcap.beginMessage(channel, this.time, MOST_BESIDE + length);
    const target = out.bytes;
    let at = out.at;
    target[at++] = Code.MESSAGES;
    at = putNumber(target, at, sender);
    at = putNumber(target, at, network);
    at = putNumber(target, at, serial);
    target[at++] = 1;
    target[at++] = wholes === null ? 0 : 1;
    writeU32(target, at, length);
    writeU32(target, at + 4, dataLength);
    at += 4 + HEAD_AT;
    out.at = at;
    if (headAt + head === dataAt) {
      out.copy(bytes, headAt, dataAt + padded(dataLength));
    } else {
      copyHead(bytes, headAt, repeats, target, at);
      out.at += head;
      out.copy(bytes, dataAt, dataAt + padded(dataLength));
    }
    removeNumber(target, at);
    if (wholes !== null) out.at = putNumber(target, out.at, wholes.next());
    this.mcap.endMessage();
    this.messages++;
  }

  /** The channel of the name in the head at `headAt`. */
  private channelAt(bytes: Uint8Array, headAt: number): Channel {
    const number = numberAt(bytes, headAt);
    const known = this.byNumber.get(number);
    if (known !== undefined) return known;
    const channel = this.channelOf(nameAt(bytes, headAt));
    if (number !== 0) this.byNumber.set(number, channel);
    return channel;
  }

  private channelOf(topic: string): Channel {
    const { channels, mcap, source } = this;
    const key = source === 0 ? topic : `${source} ${topic}`;
    const known = channels.get(key);
    if (known !== undefined) return known;
    const isFew = mcap.channelCount < MAX_CHANNELS;
    if (!isFew && topic !== EVENTS_TOPIC && topic !== OTHERS_TOPIC)
      return this.channelOf(OTHERS_TOPIC);
    const channel = mcap.addChannel(topic, source === 0 ? {} : { [SOURCE_KEY]: String(source) });
    channels.set(key, channel);
    return channel;
  }
}

/** The milliseconds since 1970 in the fields of a BEGIN. */
export function startOf(bytes: Uint8Array, from: number): number {
  const numbers = new Numbers(bytes, from);
  for (let field = 0; field < STARTED_AT_FIELD; field++) numbers.next();
  return numbers.next();
}

/** Reads numbers, one after the other; a walker has passed them. */
class Numbers {
  at: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  next(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }
}

/** Writes a number as LEB128; gives where it ends. */
function putNumber(to: Uint8Array, from: number, value: number): number {
  let at = from;
  let left = value;
  while (left > 0x7fff_ffff) {
    to[at++] = (left & 0x7f) | 0x80;
    left = Math.floor(left / 128);
  }
  while (left > 0x7f) {
    to[at++] = (left & 0x7f) | 0x80;
    left >>>= 7;
  }
  to[at++] = left;
  return at;
}
