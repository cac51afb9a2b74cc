import { Buffer } from 'node:buffer';
import { LEAST_BYTES } from '../bus/memory.ts';
import { MAX_SEND_BYTES } from '../wire/frame.ts';
import { MAX_GREETING_BYTES } from '../wire/protocol.ts';
import { InboxReader } from './inbox-reader.ts';
import { MAX_COPIED_BYTES } from './outbox.ts';

/** A stretch of bytes. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
}

/** Who handles the frames. */
export interface InboxHost {
  /** Handles the frame that the reader stands at; throws a ProtocolError. */
  handle(frame: InboxReader): void;
  /** No frame may be handled now: the turn is over, or the connection has ended. */
  readonly mustStop: boolean;
  /** Whether there is memory for so many bytes of an incomplete frame, beside those that have come. */
  hasRoomFor(bytes: number): boolean;
  /** Whether there is memory for so many bytes that are soon handled. */
  mayTakeBriefly(bytes: number): boolean;
}

/** What one connection has received, up to the frames that are handled. */
export class Inbox {
  readonly reader = new InboxReader(MAX_GREETING_BYTES, MAX_COPIED_BYTES, Buffer.allocUnsafeSlow);
  private readonly host: InboxHost;
  /** Frames that were received are not handled yet. */
  isBehind = false;
  /** What was received meanwhile. */
  private chunks: Chunk[] = [];

  constructor(host: InboxHost) {
    this.host = host;
  }

  /** Handles the frames in these bytes, if none is left from before. */
  receive(bytes: Uint8Array, from: number, to: number): void {
    if (this.isBehind) {
      this.chunks.push({ bytes, from, to });
      return;
    }
    this.reader.push(bytes, from, to);
    this.isBehind = !this.handle();
  }

  /** Handles the frames that are left. */
  goOn(): void {
    while (this.isBehind) {
      if (!this.handle()) return;
      const chunk = this.chunks.shift();
      if (chunk === undefined) this.isBehind = false;
      else this.reader.push(chunk.bytes, chunk.from, chunk.to);
    }
  }

  /** False when the host must stop before all complete frames are handled. */
  private handle(): boolean {
    const { host, reader } = this;
    for (;;) {
      if (host.mustStop) return false;
      if (!reader.read()) break;
      host.handle(reader);
    }
    if (!reader.isBetweenFrames && !host.hasRoomFor(reader.missing)) this.keepLittle();
    return true;
  }

  /**
   * There is no memory for the rest of an incomplete frame, or for that in which its first bytes lie. The send of a large frame
   * is refused (ENOMEM) when all of it has come. A frame of several messages, which can't be refused one by one, is mostly whole
   * soon.
   */
  private keepLittle(): void {
    const { host, reader } = this;
    const { incomplete, missing } = reader;
    const isLarge = incomplete > MAX_SEND_BYTES || !host.mayTakeBriefly(missing);
    if (incomplete > LEAST_BYTES && isLarge) reader.skip();
    else reader.keepApart();
  }

  /** Throws away all that was received: the connection ends. */
  drop(): void {
    this.reader.drop();
    this.chunks = [];
    this.isBehind = false;
  }

  /** What {@link ChannelEvents.received} gives. */
  get missing(): number {
    const { reader } = this;
    if (this.isBehind) return 0;
    return reader.isDropping ? -reader.missing : reader.missing;
  }

  /** Whether bytes that are not handled lie in this memory. */
  refersTo(memory: ArrayBufferLike): boolean {
    return this.reader.refersTo(memory) || this.chunks.some(({ bytes }) => bytes.buffer === memory);
  }

  /** Bytes in memory. */
  get heldBytes(): number {
    let bytes = this.reader.heldBytes;
    for (const chunk of this.chunks) bytes += chunk.bytes.length;
    return bytes;
  }
}
