import { crc32 } from 'node:zlib';
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

/** A chunk is closed when it has so many bytes. */
const CHUNK_BYTES = 1024 * 1024;

interface Index {
  /** Log time and place of each message of a chunk: low, high, offset. */
  readonly entries: number[];
}

interface Channel {
  readonly id: number;
  readonly topic: string;
  readonly metadata: Readonly<Record<string, string>>;
  messages: number;
  isWritten: boolean;
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
  private readonly channels = new Map<string, Channel>();
  private readonly byId: Channel[] = [];
  private readonly chunks: ChunkIndex[] = [];
  private chunk = new Bytes(CHUNK_BYTES + CHUNK_BYTES / 8);
  private indexes = new Map<number, Index>();
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

  constructor(library: string) {
    this.library = library;
  }

  /** Bytes of the file so far, with what is in the open chunk. */
  get size(): number {
    return this.at + this.chunk.at;
  }

  /** The chunk is as long as it should be. */
  get isFull(): boolean {
    return this.chunk.at >= CHUNK_BYTES;
  }

  /** Nothing is in the open chunk. */
  get isEmpty(): boolean {
    return this.chunk.at === 0;
  }

  /** About how many bytes of memory the summary takes, which grows with the file. */
  get summarySize(): number {
    return this.summaryBytes;
  }

  begin(): Uint8Array {
    const head = new Bytes(256);
    head.raw(MAGIC);
    const begun = head.begin(Opcode.HEADER);
    head.text(PROFILE);
    head.text(this.library);
    head.end(begun);
    return this.given(head.written);
  }

  /** The number of the channel that was added by this key; undefined while there is none. */
  channel(key: string): number | undefined {
    return this.channels.get(key)?.id;
  }

  get channelCount(): number {
    return this.channels.size;
  }

  addChannel(key: string, topic: string, metadata: Readonly<Record<string, string>>): number {
    const channel = { id: this.byId.length, topic, metadata, messages: 0, isWritten: false };
    this.channels.set(key, channel);
    this.byId.push(channel);
    return channel.id;
  }

  /** Begins a message of at most `length` bytes, which the caller writes to what this gives, and then calls `endMessage`. */
  beginMessage(channel: number, time: Nanoseconds, length: number): Bytes {
    const { chunk } = this;
    const known = this.byId[channel] as Channel;
    if (!known.isWritten) this.writeChannel(chunk, known);
    known.isWritten = true;
    known.messages++;
    this.messages++;
    chunk.reserve(RECORD_HEAD + MESSAGE_HEAD + length + 64);
    this.noteTime(time);
    let index = this.indexes.get(channel);
    if (index === undefined) {
      index = { entries: [] };
      this.indexes.set(channel, index);
    }
    index.entries.push(time.low, time.high, chunk.at);
    this.begun = chunk.begin(Opcode.MESSAGE);
    chunk.u16(channel);
    chunk.u32(this.messages % 2 ** 32);
    chunk.time(time);
    chunk.time(time);
    return chunk;
  }

  endMessage(): void {
    this.chunk.end(this.begun);
  }

  private noteTime(time: Nanoseconds): void {
    const { last } = this;
    if (this.first === null || isBefore(time, this.first)) this.first = { ...time };
    if (isBefore(last, time)) Object.assign(last, time);
  }

  private writeChannel(to: Bytes, { id, topic, metadata }: Channel): void {
    const begun = to.begin(Opcode.CHANNEL);
    to.u16(id);
    to.u16(0);
    to.text(topic);
    to.text(ENCODING);
    to.map(metadata);
    to.end(begun);
  }

  /** Closes the open chunk: its record, and the indexes of its messages. */
  endChunk(): Uint8Array {
    const { chunk, indexes, last } = this;
    const first = this.first ?? { high: 0, low: 0 };
    const records = chunk.written;
    const out = new Bytes(records.length + 256 + this.indexBytes());
    const begun = out.begin(Opcode.CHUNK);
    out.time(first);
    out.time(last);
    out.u64(records.length);
    out.u32(crc32(records));
    out.text('');
    out.u64(records.length);
    out.raw(records);
    out.end(begun);
    const length = out.at;
    const places: (readonly [number, number])[] = [];
    for (const [channel, { entries }] of indexes) {
      places.push([channel, this.at + out.at]);
      const begunIndex = out.begin(Opcode.MESSAGE_INDEX);
      out.u16(channel);
      out.u32((entries.length / 3) * 16);
      for (let at = 0; at < entries.length; at += 3) {
        out.u32(entries[at] as number);
        out.u32(entries[at + 1] as number);
        out.u64(entries[at + 2] as number);
      }
      out.end(begunIndex);
    }
    const indexLength = out.at - length;
    this.chunks.push({
      first,
      last: { ...last },
      at: this.at,
      length,
      indexLength,
      uncompressed: records.length,
      places,
    });
    this.summaryBytes += 128 + places.length * 10;
    if (this.firstOfAll === null || isBefore(first, this.firstOfAll)) this.firstOfAll = first;
    if (isBefore(this.lastOfAll, last)) Object.assign(this.lastOfAll, last);
    // The bytes of the chunk were copied: its memory serves the next one.
    chunk.at = 0;
    indexes.clear();
    this.first = null;
    Object.assign(last, { high: 0, low: 0 });
    return this.given(out.written);
  }

  private indexBytes(): number {
    let bytes = 0;
    for (const { entries } of this.indexes.values()) bytes += 64 + (entries.length / 3) * 16;
    return bytes;
  }

  /** The end of the file; the open chunk must be closed. */
  end(): Uint8Array {
    const out = new Bytes(4096 + this.summaryBytes + this.channels.size * 128);
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
    group(Opcode.CHANNEL, () => {
      for (const channel of this.channels.values()) {
        if (channel.isWritten) this.writeChannel(out, channel);
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
    const written = this.byId.filter(({ isWritten }) => isWritten);
    const begun = out.begin(Opcode.STATISTICS);
    out.u64(this.messages);
    out.u16(0);
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
