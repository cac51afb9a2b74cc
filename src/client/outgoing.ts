import { Flag } from '../message/flags.ts';
import { MessageId, OrigFrom } from '../message/id.ts';
import { AT, layoutDataAt, writeLayout } from '../message/layout.ts';
import type { Message } from '../message/message.ts';
import type { Channel } from '../wire/channel.ts';
import {
  FRAME_AT,
  FRAME_HEADER,
  Kind,
  messageFrameLength,
  SendDetail,
  writeFrameHeader,
} from '../wire/frames.ts';

const SLAB_SIZE = 65_536;

/** From this size on, data is sent from where it lies. */
const BY_REFERENCE = 16_384;

/** Nothing but name, flags and data is set. */
function isPlain(message: Message): boolean {
  return (
    message.to === 0 &&
    message.from === 0 &&
    !message.id.isSet &&
    message.inReplyTo === MessageId.UNSET &&
    message.origFrom === OrigFrom.UNSET &&
    message.finalTo === OrigFrom.UNSET
  );
}

/**
 * What a client is to send: frames are written side by side into slabs, and go out together when the
 * program has done what it does now, or when there is much.
 */
export class Outgoing {
  private readonly channel: Channel;
  private readonly defer: (flush: () => void) => void;
  private readonly beforeFlush: () => void;
  private slab = new Uint8Array(SLAB_SIZE);
  private view = new DataView(this.slab.buffer);
  private from = 0;
  private to = 0;
  private pieces: Uint8Array[] = [];
  private isFlushing = false;
  private readonly flushNow = (): void => this.flush();

  // The last plain message as a frame, and what it is the frame of.
  private likeFrame = new Uint8Array(0);
  private likeName = '';
  private likeFlags = 0;
  private likeLength = -1;
  private likeDetail = 0;

  /** `beforeFlush` may add what is to go out with the rest. */
  constructor(channel: Channel, defer: (flush: () => void) => void, beforeFlush: () => void) {
    this.channel = channel;
    this.defer = defer;
    this.beforeFlush = beforeFlush;
  }

  /** How many bytes went out and are still in this process. */
  get backlog(): number {
    return this.channel.backlog;
  }

  /** A frame that the caller made. */
  frame(frame: Uint8Array): void {
    const at = this.reserve(frame.length);
    this.slab.set(frame, at);
    this.flushSoon();
  }

  /** A frame of one word, or none. */
  word(kind: number, detail: number, handed: number, token: number, word?: number): void {
    const length = word === undefined ? FRAME_HEADER : FRAME_HEADER + 4;
    const at = this.reserve(length);
    writeFrameHeader(this.view, at, length, kind, detail, handed, token);
    if (word !== undefined) this.view.setUint32(at + FRAME_HEADER, word);
    this.flushSoon();
  }

  /** A SEND. Data that is large stays where it lies, and must not change until it is written. */
  message(message: Message, detail: number, handed: number, token: number): void {
    const { dataLength } = message;
    if (dataLength < BY_REFERENCE && this.like(message, detail, token, handed)) return;
    const { name } = message;
    const length = messageFrameLength(name.length, dataLength);
    const byReference = dataLength >= BY_REFERENCE;
    const dataAt = FRAME_HEADER + layoutDataAt(name.length);
    // Behind data that is sent from where it lies come its padding and the last guard.
    const at = this.reserve(byReference ? dataAt + 8 : length);
    const { slab, view } = this;
    writeFrameHeader(view, at, length, Kind.SEND, detail, handed, token);
    const { id, inReplyTo, origFrom, finalTo } = message;
    writeLayout(
      slab,
      view,
      at + FRAME_HEADER,
      id.networkId,
      id.serialNum,
      inReplyTo.networkId,
      inReplyTo.serialNum,
      message.to,
      message.from,
      origFrom.networkId,
      origFrom.localId,
      finalTo.networkId,
      finalTo.localId,
      (detail & SendDetail.WAIT) !== 0 ? (message.flags | Flag.ALL_OR_WAIT) >>> 0 : message.flags,
      name,
      byReference ? 0 : dataLength,
    );
    if (byReference) this.largeData(message.data, at, dataAt);
    else if (dataLength > 0) slab.set(message.data, at + dataAt);
    if (isPlain(message) && !byReference) {
      this.likeName = name;
      this.likeFlags = message.flags;
      this.likeLength = dataLength;
      this.likeDetail = detail;
      this.likeFrame = slab.slice(at, at + length);
    }
    this.flushSoon();
  }

  /** Writes a message that differs from the one before in its data only: most do. */
  private like(message: Message, detail: number, token: number, handed: number): boolean {
    if (
      message.name !== this.likeName ||
      message.dataLength !== this.likeLength ||
      message.flags !== this.likeFlags ||
      detail !== this.likeDetail ||
      !isPlain(message)
    ) {
      return false;
    }
    const { likeFrame } = this;
    const at = this.reserve(likeFrame.length);
    const { slab, view } = this;
    slab.set(likeFrame, at);
    view.setUint32(at + FRAME_AT.kind, (Kind.SEND << 24) | (detail << 16) | handed);
    view.setUint32(at + FRAME_AT.token, token);
    if (this.likeLength > 0)
      slab.set(message.data, at + FRAME_HEADER + layoutDataAt(this.likeName.length));
    this.flushSoon();
    return true;
  }

  /** Behind a header in the slab, at `at`: the data from where it lies, and then the end. */
  private largeData(data: Uint8Array, at: number, dataAt: number): void {
    const { view } = this;
    view.setUint32(at + FRAME_HEADER + AT.dataLength, data.length);
    const guard = view.getUint32(at + dataAt);
    const padding = (4 - (data.length & 3)) & 3;
    this.to = at + dataAt;
    this.cut();
    this.pieces.push(data);
    view.setUint32(this.to, 0);
    view.setUint32(this.to + padding, guard);
    this.to += padding + 4;
  }

  private cut(): void {
    if (this.from === this.to) return;
    this.pieces.push(this.slab.subarray(this.from, this.to));
    this.from = this.to;
  }

  /** Makes `length` bytes of the slab the caller's; where they begin. */
  private reserve(length: number): number {
    if (this.to + length > this.slab.length) {
      // So much is not held back until the program has done what it does.
      this.write();
      this.slab = new Uint8Array(Math.max(SLAB_SIZE, length));
      this.view = new DataView(this.slab.buffer);
      this.from = 0;
      this.to = 0;
    }
    const at = this.to;
    this.to += length;
    return at;
  }

  /** Sees to it that a flush comes. */
  flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    this.defer(this.flushNow);
  }

  /** Sends all that there is. */
  flush(): void {
    this.beforeFlush();
    this.isFlushing = false;
    this.write();
  }

  private write(): void {
    this.cut();
    const { pieces } = this;
    this.pieces = [];
    if (pieces.length > 0) this.channel.write(pieces);
  }
}
