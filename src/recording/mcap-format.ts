import { copyBytes } from '../base/copy-bytes.ts';
import { type Memory, plainMemory } from '../base/memory.ts';

// The parts of MCAP (mcap.dev/spec, version 0) that recordings use. All numbers are little-endian.

/** The first and the last bytes of a file: 0x89 "MCAP0" CR LF. */
export const MAGIC = Uint8Array.of(0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a);

export const Opcode = {
  HEADER: 0x01,
  FOOTER: 0x02,
  SCHEMA: 0x03,
  CHANNEL: 0x04,
  MESSAGE: 0x05,
  CHUNK: 0x06,
  MESSAGE_INDEX: 0x07,
  CHUNK_INDEX: 0x08,
  ATTACHMENT: 0x09,
  ATTACHMENT_INDEX: 0x0a,
  STATISTICS: 0x0b,
  METADATA: 0x0c,
  METADATA_INDEX: 0x0d,
  SUMMARY_OFFSET: 0x0e,
  DATA_END: 0x0f,
  /** Bytes that mean nothing. Readers of MCAP skip opcodes from 0x80 on, which are left to applications. */
  FILLER: 0x80,
} as const;

/** A record begins with its opcode, and the length of the rest as u64. */
export const RECORD_HEAD = 9;

/** Bytes of a MESSAGE before its data: channel, sequence, log time, publish time. */
export const MESSAGE_HEAD = 2 + 4 + 8 + 8;

/** How the messages of a recording are encoded: an event of a tap, its code and its fields (docs/protocol.md). */
export const ENCODING = 'x-kbus-event';

/** The profile in the header of a recording. */
export const PROFILE = 'kbus';

/** The channel of all events but messages. No message has this name: it has a space. */
export const EVENTS_TOPIC = 'kbus events';

/** The key of a channel's metadata that says from which of several recordings its events are. */
export const SOURCE_KEY = 'kbus.source';

/** The channel of the messages of all names that have no channel of their own. */
export const OTHERS_TOPIC = 'kbus other names';

/** How many names have a channel of their own: channel numbers are u16, and each takes memory in every reader. */
export const MAX_CHANNELS = 4000;

/** A time as nanoseconds since 1970, in two words: a number has not enough bits for it. */
export interface Nanoseconds {
  high: number;
  low: number;
}

/** Sets `time` to so many microseconds since 1970. */
export function setMicroseconds(time: Nanoseconds, microseconds: number): void {
  const upper = Math.floor(microseconds / 2 ** 32);
  const lower = (microseconds % 2 ** 32) * 1000;
  time.low = lower % 2 ** 32;
  time.high = upper * 1000 + Math.floor(lower / 2 ** 32);
}

/** The same time in microseconds. */
export function microsecondsOf(high: number, low: number): number {
  const upper = Math.floor(high / 1000);
  const rest = (high % 1000) * 2 ** 32 + low;
  return upper * 2 ** 32 + Math.floor(rest / 1000);
}

/** Bytes that grow, and the writing of MCAP's fields. */
export class Bytes {
  bytes: Uint8Array;
  private readonly memory: Memory;
  private view: DataView;
  at = 0;
  // The bytes that were copied last, and a view of them.
  private source: Uint8Array | null = null;
  private sourceView: DataView = new DataView(new ArrayBuffer(0));

  /** Grows in memory that `memory` allocates. */
  constructor(bytes: Uint8Array, memory: Memory = plainMemory) {
    this.bytes = bytes;
    this.memory = memory;
    this.view = new DataView(bytes.buffer, bytes.byteOffset);
  }

  get written(): Uint8Array {
    return this.bytes.subarray(0, this.at);
  }

  /** Makes room for so many bytes more, and for some numbers behind them. */
  reserve(length: number): void {
    const needed = this.at + length + RESERVED;
    if (needed <= this.bytes.length) return;
    const bytes = this.memory(Math.max(needed, 2 * this.bytes.length));
    bytes.set(this.written);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset);
  }

  u8(value: number): void {
    this.bytes[this.at++] = value;
  }

  u16(value: number): void {
    this.view.setUint16(this.at, value, true);
    this.at += 2;
  }

  u32(value: number): void {
    this.view.setUint32(this.at, value, true);
    this.at += 4;
  }

  /** A whole number up to 2^53. */
  u64(value: number): void {
    this.u32(value % 2 ** 32);
    this.u32(Math.floor(value / 2 ** 32));
  }

  time({ high, low }: Nanoseconds): void {
    this.u32(low);
    this.u32(high);
  }

  raw(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** Copies `bytes` from `from` up to `to`. */
  copy(bytes: Uint8Array, from: number, to: number): void {
    if (to - from > MAX_LOOP_COPY_BYTES) {
      copyBytes(bytes, from, to, this.bytes, this.at);
      this.at += to - from;
      return;
    }
    if (bytes !== this.source) {
      this.source = bytes;
      this.sourceView = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    }
    const { sourceView, view } = this;
    let { at } = this;
    let next = from;
    for (; next + 8 <= to; next += 8, at += 8) {
      view.setInt32(at, sourceView.getInt32(next, true), true);
      view.setInt32(at + 4, sourceView.getInt32(next + 4, true), true);
    }
    for (; next < to; next++, at++) this.bytes[at] = bytes[next] as number;
    this.at = at;
  }

  /** Begins a MESSAGE, all but its length. */
  message(channel: number, sequence: number, { high, low }: Nanoseconds): void {
    const { at, view } = this;
    view.setUint8(at, Opcode.MESSAGE);
    view.setUint16(at + RECORD_HEAD, channel, true);
    view.setUint32(at + RECORD_HEAD + 2, sequence, true);
    for (let time = at + RECORD_HEAD + 6; time < at + RECORD_HEAD + MESSAGE_HEAD; time += 8) {
      view.setUint32(time, low, true);
      view.setUint32(time + 4, high, true);
    }
    this.at = at + RECORD_HEAD + MESSAGE_HEAD;
  }

  /** A message in an index. */
  indexEntry(place: number, low: number, high: number): void {
    const { at, view } = this;
    view.setInt32(at, low, true);
    view.setInt32(at + 4, high, true);
    view.setInt32(at + 8, place, true);
    view.setInt32(at + 12, 0, true);
    this.at = at + 16;
  }

  text(text: string): void {
    const encoded = encoder.encode(text);
    this.reserve(4 + encoded.length);
    this.u32(encoded.length);
    this.raw(encoded);
  }

  map(entries: Readonly<Record<string, string>>): void {
    const lengthAt = this.at;
    this.reserve(4);
    this.at += 4;
    for (const [key, value] of Object.entries(entries)) {
      this.text(key);
      this.text(value);
    }
    this.view.setUint32(lengthAt, this.at - lengthAt - 4, true);
  }

  /** Begins a record; `end` it with what this gives. Fields of numbers need no room of their own. */
  begin(opcode: number): number {
    this.reserve(RECORD_HEAD);
    this.u8(opcode);
    this.at += 8;
    return this.at;
  }

  end(begun: number): void {
    const length = this.at - begun;
    this.view.setUint32(begun - 8, length, true);
    this.view.setUint32(begun - 4, 0, true);
  }
}

const encoder = new TextEncoder();

/** Up to this length a loop over words takes less time than a view of the bytes, which `set` needs. */
const MAX_LOOP_COPY_BYTES = 512;

/** Room for the numbers of any record. */
const RESERVED = 128;
