import { type Memory, plainMemory } from '../base/memory.ts';
import {
  Bytes,
  ENCODING,
  MAGIC,
  MESSAGE_HEAD,
  type Nanoseconds,
  Opcode,
  PROFILE,
  RECORD_HEAD,
} from './mcap-format.ts';
import { Chunked, MessagePlaces } from './message-places.ts';
import { PAGE_BYTES } from './page-memory.ts';

/** A chunk is closed when its records have so many bytes. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Memory for a chunk: its records, their indexes, and a last message that is not too long. */
const CHUNK_MEMORY = CHUNK_BYTES + CHUNK_BYTES / 2;

/** Memory of so many chunks is kept for the next ones. */
const MAX_SPARE = 3;

/** A chunk before its records: opcode and length, two times, two sizes, the CRC, and no name of a compression. */
const CHUNK_HEAD = RECORD_HEAD + 8 + 8 + 8 + 4 + 4 + 8;

/** Computes the CRC-32 of some bytes. */
export type Crc32 = (bytes: Uint8Array) => number;

/** How the messages of a file are encoded. */
export interface Content {
  readonly profile: string;
  readonly encoding: string;
  /** A JSON schema of all messages, and its name. */
  readonly schema?: { readonly name: string; readonly json: object };
}

/** A recording. */
export const EVENTS: Content = { profile: PROFILE, encoding: ENCODING };

/** The number of the schema, if there is one; 0: none. */
const SCHEMA_ID = 1;

/** A channel of a file, to which messages are added. */
export interface Channel {
  readonly id: number;
  readonly topic: string;
  /** Its record. */
  readonly record: Uint8Array;
  messages: number;
  /** Its messages in the open chunk. */
  readonly chunked: Chunked;
}

interface ChunkIndex {
  readonly first: Nanoseconds;
  readonly last: Nanoseconds;
  readonly at: number;
  readonly length: number;
  readonly indexLength: number;
  readonly uncompressed: number;
  /** Channel and place of each of its indexes. */
  readonly places: readonly (readonly [channel: number, at: number])[];
}

/**
 * Writes an MCAP file: channels without a schema, messages in chunks with a CRC and an index, and a summary at the end. It
 * does no I/O: its caller writes the bytes that it gives, one after the other.
 *
 * `@mcap/core` writes such files, too, but can't close a chunk before it is full: what a crash costs would depend on how
 * much there is to record.
 */
export class McapWriter {
  private readonly library: string;
  private readonly content: Content;
  private readonly crc32: Crc32;
  private readonly channels: Channel[] = [];
  private readonly chunks: ChunkIndex[] = [];
  /** Memory of chunks that are on the disk. */
  private readonly spare: Uint8Array[] = [];
  private readonly memory: Memory;
  private chunk: Bytes;
  /** Where the messages of the open chunk are. */
  private readonly places = new MessagePlaces();
  private first: Nanoseconds | null = null;
  private readonly last: Nanoseconds = { high: 0, low: 0 };
  private firstOfAll: Nanoseconds | null = null;
  private readonly lastOfAll: Nanoseconds = { high: 0, low: 0 };
  /** Bytes that were given. */
  private at = 0;
  private messages = 0;
  private summaryBytes = 0;
  /** Where the message that was begun last begins. */
  private begun = 0;

  /** `memory` allocates the memory of chunks. */
  constructor(
    library: string,
    crc32: Crc32,
    content: Content = EVENTS,
    memory: Memory = plainMemory,
  ) {
    this.library = library;
    this.crc32 = crc32;
    this.content = content;
    this.memory = memory;
    this.chunk = this.newChunk();
  }

  /** Bytes of the file so far, with what is in the open chunk. */
  get size(): number {
    return this.at + this.chunk.at - CHUNK_HEAD;
  }

  /** The chunk is as long as it should be. */
  get isFull(): boolean {
    return this.chunk.at >= CHUNK_BYTES + CHUNK_HEAD;
  }

  /** Nothing is in the open chunk. */
  get isEmpty(): boolean {
    return this.chunk.at === CHUNK_HEAD;
  }

  /** About how many bytes of memory the summary takes, which grows with the file. */
  get summarySize(): number {
    return this.summaryBytes;
  }

  begin(): Uint8Array {
    const head = new Bytes(new Uint8Array(256));
    head.raw(MAGIC);
    const begun = head.begin(Opcode.HEADER);
    head.text(this.content.profile);
    head.text(this.library);
    head.end(begun);
    return this.given(head.written);
  }

  get channelCount(): number {
    return this.channels.length;
  }

  addChannel(topic: string, metadata: Readonly<Record<string, string>>): Channel {
    const id = this.channels.length;
    const record = this.channelRecord(id, topic, metadata);
    const channel = { id, topic, record, messages: 0, chunked: new Chunked(id) };
    this.channels.push(channel);
    return channel;
  }

  /** Begins a message of at most `length` bytes, which the caller writes to what this gives, and then calls `endMessage`. */
  beginMessage(channel: Channel, time: Nanoseconds, length: number): Bytes {
    const { chunk, places } = this;
    // Each chunk has the channels of its messages: it can be read if those before it are damaged.
    if (chunk.at === CHUNK_HEAD) this.writeSchema(chunk);
    if (channel.chunked.count === 0) writeChannel(chunk, channel);
    channel.messages++;
    this.messages++;
    chunk.reserve(RECORD_HEAD + MESSAGE_HEAD + length);
    this.noteTime(time);
    places.add(channel.chunked, chunk.at - CHUNK_HEAD, time);
    this.begun = chunk.at + RECORD_HEAD;
    chunk.message(channel.id, this.messages, time);
    return chunk;
  }

  endMessage(): void {
    this.chunk.end(this.begun);
  }

  private noteTime(time: Nanoseconds): void {
    const { last } = this;
    // Mostly the same event.
    if (time.low === last.low && time.high === last.high) return;
    if (this.first === null || isBefore(time, this.first)) this.first = { ...time };
    if (isBefore(last, time)) Object.assign(last, time);
  }

  private writeSchema(to: Bytes): void {
    const { schema } = this.content;
    if (schema === undefined) return;
    const begun = to.begin(Opcode.SCHEMA);
    to.u16(SCHEMA_ID);
    to.text(schema.name);
    to.text('jsonschema');
    to.text(JSON.stringify(schema.json));
    to.end(begun);
  }

  private channelRecord(
    id: number,
    topic: string,
    metadata: Readonly<Record<string, string>>,
  ): Uint8Array {
    const to = new Bytes(new Uint8Array(256));
    const begun = to.begin(Opcode.CHANNEL);
    to.u16(id);
    to.u16(this.content.schema === undefined ? 0 : SCHEMA_ID);
    to.text(topic);
    to.text(this.content.encoding);
    to.map(metadata);
    to.end(begun);
    return to.written.slice();
  }

  /** Closes the open chunk: its record, and the indexes of its messages. */
  endChunk(): Uint8Array {
    const { chunk, last } = this;
    const first = this.first ?? { high: 0, low: 0 };
    const end = chunk.at;
    const records = chunk.bytes.subarray(CHUNK_HEAD, end);
    chunk.at = 0;
    const begun = chunk.begin(Opcode.CHUNK);
    chunk.time(first);
    chunk.time(last);
    chunk.u64(records.length);
    chunk.u32(this.crc32(records));
    chunk.u32(0);
    chunk.u64(records.length);
    chunk.at = end;
    chunk.end(begun);
    const places = this.places.write(chunk, this.at);
    const indexLength = chunk.at - end;
    if (records.length >= CHUNK_BYTES) this.fillPage(chunk);
    this.chunks.push({
      first,
      last: { ...last },
      at: this.at,
      length: end,
      indexLength,
      uncompressed: records.length,
      places,
    });
    this.summaryBytes += 128 + places.length * 10;
    if (this.firstOfAll === null || isBefore(first, this.firstOfAll)) this.firstOfAll = first;
    if (isBefore(this.lastOfAll, last)) Object.assign(this.lastOfAll, last);
    this.chunk = this.newChunk();
    this.first = null;
    Object.assign(last, { high: 0, low: 0 });
    return this.given(chunk.written);
  }

  /** Memory for a chunk of its own: the last one may still be on its way to the disk. */
  private newChunk(): Bytes {
    const { memory, spare } = this;
    const chunk = new Bytes(spare.pop() ?? memory(CHUNK_MEMORY), memory);
    chunk.at = CHUNK_HEAD;
    return chunk;
  }

  /** The bytes of a chunk are on the disk: their memory may serve another one. */
  reuse(bytes: Uint8Array): void {
    const { buffer } = bytes;
    if (buffer.byteLength !== CHUNK_MEMORY || this.spare.length >= MAX_SPARE) return;
    this.spare.push(new Uint8Array(buffer as ArrayBuffer));
  }

  /** Writes a record that fills the last page of the file: so the next chunk can pass the page cache. */
  private fillPage(chunk: Bytes): void {
    const used = (this.at + chunk.at + RECORD_HEAD) % PAGE_BYTES;
    const length = (PAGE_BYTES - used) % PAGE_BYTES;
    chunk.reserve(RECORD_HEAD + length);
    const begun = chunk.begin(Opcode.FILLER);
    chunk.bytes.fill(0, chunk.at, chunk.at + length);
    chunk.at += length;
    chunk.end(begun);
  }

  /** The end of the file; the open chunk must be closed. */
  end(): Uint8Array {
    const out = new Bytes(new Uint8Array(4096 + this.summaryBytes + this.channels.length * 128));
    const dataEnd = out.begin(Opcode.DATA_END);
    out.u32(0);
    out.end(dataEnd);
    const summaryAt = this.at + out.at;
    const groups: [opcode: number, at: number, length: number][] = [];
    const group = (opcode: number, write: () => void): void => {
      const at = this.at + out.at;
      write();
      const length = this.at + out.at - at;
      if (length > 0) groups.push([opcode, at, length]);
    };
    group(Opcode.SCHEMA, () => this.writeSchema(out));
    group(Opcode.CHANNEL, () => {
      for (const channel of this.channels) {
        if (channel.messages > 0) writeChannel(out, channel);
      }
    });
    group(Opcode.STATISTICS, () => this.writeStatistics(out));
    group(Opcode.CHUNK_INDEX, () => {
      for (const chunk of this.chunks) writeChunkIndex(out, chunk);
    });
    const offsetsAt = this.at + out.at;
    for (const [opcode, at, length] of groups) {
      const begun = out.begin(Opcode.SUMMARY_OFFSET);
      out.u8(opcode);
      out.u64(at);
      out.u64(length);
      out.end(begun);
    }
    const begun = out.begin(Opcode.FOOTER);
    out.u64(summaryAt);
    out.u64(offsetsAt);
    out.u32(0);
    out.end(begun);
    out.reserve(MAGIC.length);
    out.raw(MAGIC);
    return this.given(out.written);
  }

  private writeStatistics(out: Bytes): void {
    const written = this.channels.filter(({ messages }) => messages > 0);
    const begun = out.begin(Opcode.STATISTICS);
    out.u64(this.messages);
    out.u16(this.content.schema === undefined ? 0 : 1);
    out.u32(written.length);
    out.u32(0);
    out.u32(0);
    out.u32(this.chunks.length);
    out.time(this.firstOfAll ?? { high: 0, low: 0 });
    out.time(this.lastOfAll);
    out.reserve(written.length * 10 + 64);
    out.u32(written.length * 10);
    for (const { id, messages } of written) {
      out.u16(id);
      out.u64(messages);
    }
    out.end(begun);
  }

  private given(bytes: Uint8Array): Uint8Array {
    this.at += bytes.length;
    return bytes;
  }
}

function writeChannel(to: Bytes, { record }: Channel): void {
  to.reserve(record.length);
  to.raw(record);
}

function writeChunkIndex(out: Bytes, chunk: ChunkIndex): void {
  const begun = out.begin(Opcode.CHUNK_INDEX);
  out.time(chunk.first);
  out.time(chunk.last);
  out.u64(chunk.at);
  out.u64(chunk.length);
  out.reserve(chunk.places.length * 10 + 128);
  out.u32(chunk.places.length * 10);
  for (const [channel, at] of chunk.places) {
    out.u16(channel);
    out.u64(at);
  }
  out.u64(chunk.indexLength);
  out.text('');
  out.u64(chunk.uncompressed);
  out.u64(chunk.uncompressed);
  out.end(begun);
}

function isBefore(a: Nanoseconds, b: Nanoseconds): boolean {
  return a.high < b.high || (a.high === b.high && a.low < b.low);
}
