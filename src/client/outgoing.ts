import { appended } from '../message/append.ts';
import { END_GUARD } from '../message/entire.ts';
import { Flag } from '../message/flags.ts';
import { Head } from '../message/head.ts';
import { OrigFrom } from '../message/id.ts';
import { layoutDataAt, writeEnd, writeHead } from '../message/layout.ts';
import type { Message } from '../message/message.ts';
import { padded } from '../message/u32.ts';
import type { Channel } from '../wire/channel.ts';
import {
  FRAME_AT,
  FRAME_HEADER,
  Kind,
  MAX_HANDED,
  type Memory,
  messageFrameLength,
  RUN_HEAD_AT,
  runStride,
  SendDetail,
  writeFrameHeader,
} from '../wire/frames.ts';

const SLAB_SIZE = 65_536;

/** From this size on, data is sent from where it lies. */
export const BY_REFERENCE = 16_384;

/** Whether a message of this head may be one of a run: none is urgent, or has to do with a Limpet. */
function mayRun({ flags, from, idNetwork, replyNetwork, origFrom, finalTo }: Head): boolean {
  return (
    (flags & Flag.URGENT) === 0 &&
    (from | idNetwork | replyNetwork) === 0 &&
    origFrom === OrigFrom.UNSET &&
    finalTo === OrigFrom.UNSET
  );
}

/** Whether a message may follow another in a run: it has the same head, or is the Reply to the next Request. */
function follows(head: Head, before: Head): boolean {
  if (!before.isReply) return head === before;
  return (
    head.replySerial === before.replySerial + 1 &&
    head.to === before.to &&
    head.flags === before.flags &&
    head.name === before.name &&
    mayRun(head)
  );
}

const NO_HEAD = new Head('', 0);

/** Of a Buffer, `set` would be looked up anew for each message: a tenth of what it takes to post one. */
const { set: copy } = Uint8Array.prototype;

/**
 * What a client is to send: frames are written side by side into slabs, and go out together when the
 * program has done what it does now, or when there is much.
 */
export class Outgoing {
  private readonly channel: Channel;
  private readonly defer: (flush: () => void) => void;
  private readonly beforeFlush: () => void;
  private readonly memory: Memory;
  private slab!: Uint8Array;
  private view!: DataView;
  private from = 0;
  private to = 0;
  private pieces: Uint8Array[] = [];
  private isFlushing = false;
  private readonly flushNow = (): void => this.flush();

  // The message that was written last, and ends at `to`, if the next may make a run of it, or belong to its
  // run. The frame begins at `likeAt`; `runCount` is 0 until it is that of a run.
  private likeHead = NO_HEAD;
  private likeLength = 0;
  private likeDetail = 0;
  private likeToken = 0;
  private likeAt = 0;
  private runCount = 0;
  /** What was handed until the run ends is told with it. */
  private runHanded = 0;

  /** `memory` gives bytes that are 0. `beforeFlush` may add what is to go out with the rest. */
  constructor(
    channel: Channel,
    defer: (flush: () => void) => void,
    memory: Memory,
    beforeFlush: () => void,
  ) {
    this.channel = channel;
    this.defer = defer;
    this.memory = memory;
    this.beforeFlush = beforeFlush;
    this.renew(SLAB_SIZE);
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
    const { head, dataLength } = message;
    const length = messageFrameLength(head.name.length, dataLength);
    const byReference = dataLength >= BY_REFERENCE;
    const dataAt = FRAME_HEADER + layoutDataAt(head.name.length);
    // Behind data that is sent from where it lies come its padding and the last guard.
    const at = this.reserve(byReference ? dataAt + 8 : length);
    const { slab, view } = this;
    writeFrameHeader(view, at, length, Kind.SEND, detail, handed, token);
    this.head(head, at + FRAME_HEADER, message.idSerial, detail, dataLength);
    if (byReference) {
      this.largeData(message.data, at + dataAt);
    } else {
      writeEnd(view, at + dataAt, dataLength);
      if (dataLength > 0) copy.call(slab, message.data, at + dataAt);
      if (mayRun(head)) {
        this.likeHead = head;
        this.likeLength = dataLength;
        this.likeDetail = detail;
        this.likeToken = token;
        this.likeAt = at;
        this.runHanded = handed;
      }
    }
    this.flushSoon();
  }

  /**
   * A SEND of a message that is like the one written just before: only its data is written, behind that
   * one's. False, and nothing is written, if it isn't.
   */
  alike(message: Message, detail: number, handed: number, token: number): boolean {
    const { head, dataLength } = message;
    if (
      dataLength !== this.likeLength ||
      detail !== this.likeDetail ||
      token !== this.likeToken + 1 ||
      !follows(head, this.likeHead)
    ) {
      return false;
    }
    const stride = runStride(dataLength);
    // A run of messages without data is longer than its first message by one of them.
    if (this.to + 2 * stride > this.slab.length) return false;
    if (this.runHanded + handed > MAX_HANDED) return false;
    if (this.runCount === 0) this.beginRun(stride);
    this.likeHead = head;
    this.runHanded += handed;
    const at = this.to;
    this.to += stride;
    if (stride !== dataLength) this.view.setUint32(at + stride - 4, 0);
    copy.call(this.slab, message.data, at);
    this.likeToken = token;
    this.runCount++;
    return true;
  }

  /**
   * Makes a run of the message that was written last, where it lies: where its frame has the last guard, that
   * of a run has the count.
   */
  private beginRun(stride: number): void {
    const { likeAt, likeHead, slab, view } = this;
    slab.copyWithin(likeAt + RUN_HEAD_AT, likeAt + FRAME_HEADER, this.to - 4);
    const dataAt = likeAt + RUN_HEAD_AT + layoutDataAt(likeHead.name.length);
    view.setUint32(likeAt + FRAME_AT.length, dataAt - likeAt);
    view.setUint8(likeAt + FRAME_AT.kind, Kind.SEND_RUN);
    if (this.likeLength === 0) view.setUint32(dataAt, 0);
    this.to = dataAt + stride;
    this.runCount = 1;
  }

  /** Whatever comes next is not of the run. */
  private endRun(): void {
    this.likeHead = NO_HEAD;
    if (this.runCount === 0) return;
    this.view.setUint32(this.likeAt + FRAME_HEADER, this.runCount);
    this.view.setUint16(this.likeAt + FRAME_AT.handed, this.runHanded);
    this.runCount = 0;
  }

  private head(head: Head, at: number, serial: number, detail: number, dataLength: number): void {
    const { name, flags, to, from, idNetwork, origFrom, finalTo } = head;
    writeHead(
      this.slab,
      this.view,
      at,
      idNetwork,
      serial,
      head.replyNetwork,
      head.replySerial,
      to,
      from,
      origFrom.networkId,
      origFrom.localId,
      finalTo.networkId,
      finalTo.localId,
      (detail & SendDetail.WAIT) !== 0 ? (flags | Flag.ALL_OR_WAIT) >>> 0 : flags,
      name,
      dataLength,
    );
  }

  /** Data from where it lies, instead of at `at`, and then the end of the message. */
  private largeData(data: Uint8Array, at: number): void {
    this.to = at;
    this.cut();
    this.pieces.push(data);
    const padding = padded(data.length) - data.length;
    this.view.setUint32(at, 0);
    this.view.setUint32(at + padding, END_GUARD);
    this.to = at + padding + 4;
  }

  private cut(): void {
    if (this.from === this.to) return;
    this.pieces = appended(this.pieces, this.slab.subarray(this.from, this.to));
    this.from = this.to;
  }

  /** Makes `length` bytes of the slab the caller's; where they begin. */
  private reserve(length: number): number {
    this.endRun();
    if (this.to + length > this.slab.length) {
      // So much is not held back until the program has done what it does.
      this.write();
      if (length > this.slab.length - this.to) this.renew(Math.max(SLAB_SIZE, length));
    }
    const at = this.to;
    this.to += length;
    return at;
  }

  private renew(length: number): void {
    this.slab = this.memory(length);
    this.view = new DataView(this.slab.buffer, this.slab.byteOffset, length);
    this.from = 0;
    this.to = 0;
  }

  /** Sees to it that a flush comes. */
  flushSoon(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    this.defer(this.flushNow);
  }

  /** What is sent from now on waits for `release`, instead of the end of what the program does. */
  hold(): void {
    this.isFlushing = true;
  }

  /** Sends what was held, if anything was. */
  release(): void {
    if (this.from !== this.to || this.pieces.length > 0) this.flush();
    else this.isFlushing = false;
  }

  /** Sends all that there is. */
  flush(): void {
    this.beforeFlush();
    this.isFlushing = false;
    this.write();
  }

  private write(): void {
    this.endRun();
    this.cut();
    const { pieces } = this;
    if (pieces.length === 0) return;
    this.pieces = [];
    this.channel.write(pieces);
    if (this.channel.backlog > 0) return;
    // Nothing of the slab is on its way any more.
    this.from = 0;
    this.to = 0;
  }
}
