import { FileError } from './file-error.ts';
import { MAGIC, MESSAGE_HEAD, Opcode, RECORD_HEAD } from './mcap-format.ts';

/** A record of more bytes is none that can be read: its length is damaged. */
const MAX_RECORD_BYTES = 1024 * 1024 * 1024;

/** A file is read in pieces of this size. */
const READ_BYTES = 1024 * 1024;

/** A file, wherever it is. */
export interface McapSource {
  readonly path: string;
  /** Bytes of the file. */
  readonly size: number;
  /** The bytes from `at` on, up to `length` of them, or to the end of the file. They must not change. */
  read(at: number, length: number): Promise<Uint8Array>;
  /** The CRC-32 of some bytes. */
  crc32(bytes: Uint8Array): number;
  close(): Promise<void>;
}

export interface McapMessage {
  readonly topic: string;
  readonly encoding: string;
  readonly metadata: ReadonlyMap<string, string>;
  /** Log time, in nanoseconds since 1970: two words. */
  readonly high: number;
  readonly low: number;
  readonly data: Uint8Array;
}

interface Channel {
  readonly topic: string;
  readonly encoding: string;
  readonly metadata: ReadonlyMap<string, string>;
}

const UNKNOWN: Channel = { topic: '', encoding: '', metadata: new Map() };

/**
 * Reads an MCAP file from front to back. Whatever is wrong with it, the reader gives what is whole: a file that was cut off,
 * or that has damaged chunks, is read without these, and `faults` says what is missing. It needs no summary.
 */
export class McapReader {
  /** What is wrong with the file, in sentences. */
  readonly faults: string[] = [];
  /** The file has an end: nothing was cut off. */
  isComplete = false;
  chunks = 0;
  private readonly source: McapSource;
  private readonly channels = new Map<number, Channel>();
  private buffer: Uint8Array = new Uint8Array(0);
  /** Where the buffer begins in the file. */
  private bufferAt = 0;

  private constructor(source: McapSource) {
    this.source = source;
  }

  /** Throws a {@link FileError} for a file that is no MCAP file. */
  static async over(source: McapSource): Promise<McapReader> {
    const reader = new McapReader(source);
    const magic = await reader.bytes(0, MAGIC.length);
    if (!MAGIC.every((byte, at) => magic[at] === byte)) {
      const why = source.size === 0 ? 'it is empty' : 'it does not begin with the bytes of MCAP';
      throw new FileError(source.path, `this is no recording: ${why}`, undefined);
    }
    return reader;
  }

  get path(): string {
    return this.source.path;
  }

  /** Bytes of the file. */
  get size(): number {
    return this.source.size;
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  /** The messages of each chunk; a message that is in none comes alone. */
  async *messages(): AsyncGenerator<McapMessage[], void, void> {
    let at = MAGIC.length;
    while (at < this.size) {
      const head = await this.bytes(at, RECORD_HEAD);
      if (head.length < RECORD_HEAD) break;
      const fields = new Fields(head, 0, RECORD_HEAD);
      const opcode = fields.u8();
      const length = fields.u64();
      if (length > Math.min(this.size - at - RECORD_HEAD, MAX_RECORD_BYTES)) break;
      const body = await this.bytes(at + RECORD_HEAD, length);
      if (body.length < length) break;
      if (opcode === Opcode.DATA_END || opcode === Opcode.FOOTER) {
        this.isComplete = true;
        return;
      }
      const messages: McapMessage[] = [];
      try {
        this.record(opcode, body, 0, body.length, messages, at);
      } catch (error) {
        if (!(error instanceof OutOfBounds)) throw error;
        this.faults.push(`the record at byte ${at} is damaged, and was left out`);
      }
      if (messages.length > 0) yield messages;
      at += RECORD_HEAD + length;
    }
    const rest = this.size - at;
    this.faults.push(
      rest > 0
        ? `it is cut off, or damaged, at byte ${at}: the last ${rest} bytes were left out`
        : 'it has no end: whatever wrote it was ended',
    );
  }

  private record(
    opcode: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    messages: McapMessage[],
    at: number,
  ): void {
    const fields = new Fields(bytes, from, to);
    if (opcode === Opcode.CHUNK) this.chunk(fields, messages, at);
    else if (opcode === Opcode.CHANNEL) this.channel(fields);
    else if (opcode === Opcode.MESSAGE) messages.push(this.message(fields));
  }

  private chunk(fields: Fields, messages: McapMessage[], at: number): void {
    this.chunks++;
    fields.skip(16);
    const uncompressed = fields.u64();
    const crc = fields.u32();
    const compression = fields.text();
    const length = fields.u64();
    const records = fields.raw(length);
    if (compression !== '') {
      this.faults.push(
        `the chunk at byte ${at} is compressed (${compression}), which kbus does not read`,
      );
      return;
    }
    if (length !== uncompressed || (crc !== 0 && this.source.crc32(records) !== crc)) {
      this.faults.push(`the chunk at byte ${at} is damaged: its checksum differs; it was left out`);
      return;
    }
    for (let next = 0; next < records.length; ) {
      const head = new Fields(records, next, records.length);
      const opcode = head.u8();
      const size = head.u64();
      const begin = next + RECORD_HEAD;
      if (size > records.length - begin) throw new OutOfBounds();
      if (opcode !== Opcode.CHUNK) {
        this.record(opcode, records, begin, begin + size, messages, at);
      }
      next = begin + size;
    }
  }

  private channel(fields: Fields): void {
    const id = fields.u16();
    fields.skip(2);
    const topic = fields.text();
    const encoding = fields.text();
    const metadata = fields.map();
    this.channels.set(id, { topic, encoding, metadata });
  }

  private message(fields: Fields): McapMessage {
    const { topic, encoding, metadata } = this.channels.get(fields.u16()) ?? UNKNOWN;
    fields.skip(4);
    const low = fields.u32();
    const high = fields.u32();
    fields.skip(MESSAGE_HEAD - 14);
    return { topic, encoding, metadata, high, low, data: fields.rest() };
  }

  /** The bytes of the file from `at` on; fewer, if it ends before. They don't change. */
  private async bytes(at: number, length: number): Promise<Uint8Array> {
    const { buffer, bufferAt } = this;
    if (at >= bufferAt && at + length <= bufferAt + buffer.length) {
      return buffer.subarray(at - bufferAt, at - bufferAt + length);
    }
    const wanted = Math.min(Math.max(length, READ_BYTES), Math.max(this.size - at, 0));
    this.buffer = await this.source.read(at, wanted);
    this.bufferAt = at;
    return this.buffer.subarray(0, length);
  }
}

class OutOfBounds extends Error {}

const decoder = new TextDecoder();

/** Reads the fields of a record, within its bounds. */
class Fields {
  private readonly view: DataView;
  private at: number;
  private readonly to: number;

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.at = from;
    this.to = to;
  }

  private next(length: number): number {
    const { at } = this;
    if (length > this.to - at) throw new OutOfBounds();
    this.at += length;
    return at;
  }

  skip(length: number): void {
    this.next(length);
  }

  u8(): number {
    return this.view.getUint8(this.next(1));
  }

  u16(): number {
    return this.view.getUint16(this.next(2), true);
  }

  u32(): number {
    return this.view.getUint32(this.next(4), true);
  }

  u64(): number {
    const at = this.next(8);
    return this.view.getUint32(at + 4, true) * 2 ** 32 + this.view.getUint32(at, true);
  }

  raw(length: number): Uint8Array {
    const at = this.next(length);
    return new Uint8Array(this.view.buffer, this.view.byteOffset + at, length);
  }

  rest(): Uint8Array {
    return this.raw(this.to - this.at);
  }

  text(): string {
    return decoder.decode(this.raw(this.u32()));
  }

  map(): Map<string, string> {
    const length = this.u32();
    const end = this.at + length;
    if (end > this.to) throw new OutOfBounds();
    const map = new Map<string, string>();
    while (this.at < end) {
      const key = this.text();
      map.set(key, this.text());
    }
    return map;
  }
}
