import { type Bytes, type Nanoseconds, Opcode } from './mcap-format.ts';

/** For so many messages there is room at first. */
const FEW = 4096;

/** Fields of a message: its place, the two words of its time, and the number of the next one of its channel. */
const FIELDS = 4;

/** Bytes of a message in an index: its time and its place. */
const ENTRY_BYTES = 16;

/** The messages of a channel in the open chunk, in their order. */
export class Chunked {
  readonly channel: number;
  count = 0;
  /** Numbers of the first and the last of them. */
  first = 0;
  last = 0;

  constructor(channel: number) {
    this.channel = channel;
  }
}

/**
 * Where the messages of a chunk are. They are numbered from 0, and those of a channel are linked: however many channels
 * there are, it takes the same memory again for each chunk.
 */
export class MessagePlaces {
  private fields = new Int32Array(FEW * FIELDS);
  /** Fields in use. */
  private used = 0;
  /** The channels that have messages. */
  private touched: Chunked[] = [];

  add(chunked: Chunked, place: number, { high, low }: Nanoseconds): void {
    const at = this.used;
    if (at === this.fields.length) this.grow();
    const { fields } = this;
    fields[at] = place;
    fields[at + 1] = low;
    fields[at + 2] = high;
    this.used = at + FIELDS;
    if (chunked.count++ === 0) {
      chunked.first = at;
      this.touched.push(chunked);
    } else {
      fields[chunked.last + 3] = at;
    }
    chunked.last = at;
  }

  private grow(): void {
    const fields = new Int32Array(2 * this.fields.length);
    fields.set(this.fields);
    this.fields = fields;
  }

  /**
   * Writes an index for each channel, and forgets the messages; gives where the index of each channel is in the file, in
   * which the chunk begins at `chunkAt`.
   */
  write(chunk: Bytes, chunkAt: number): [channel: number, at: number][] {
    const { fields } = this;
    const indexes: [number, number][] = [];
    for (const chunked of this.touched) {
      const { channel, count } = chunked;
      indexes.push([channel, chunkAt + chunk.at]);
      const length = count * ENTRY_BYTES;
      chunk.reserve(64 + length);
      const begun = chunk.begin(Opcode.MESSAGE_INDEX);
      chunk.u16(channel);
      chunk.u32(length);
      for (let left = count, at = chunked.first; left > 0; left--) {
        chunk.indexEntry(fields[at] as number, fields[at + 1] as number, fields[at + 2] as number);
        at = fields[at + 3] as number;
      }
      chunk.end(begun);
      chunked.count = 0;
    }
    this.touched = [];
    this.used = 0;
    return indexes;
  }
}
