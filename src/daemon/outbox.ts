import type { Parcel } from '../bus/parcel.ts';
import { appended } from '../message/append.ts';
import { AT, layoutDataAt } from '../message/layout.ts';
import type { Channel } from '../wire/channel.ts';
import {
  FRAME_AT,
  FRAME_HEADER,
  Kind,
  messageFrameLength,
  RUN_HEAD_AT,
  writeFrameHeader,
} from '../wire/frames.ts';
import type { Slab } from '../wire/slab.ts';
import {
  encodeFrame,
  encodeHead,
  FOR_ALL,
  FOR_ONE,
  flagsOf,
  frameAtOf,
  NO_FRAME,
  NOT_STAMPED,
  stampFrame,
} from './stamp.ts';

/** From this size on, data is sent from where it lies instead of being copied behind a header of its own. */
export const BY_REFERENCE = 4096;

/** Data of a run up to this size is copied behind its head: to write two pieces takes longer. */
const FEW_ROWS = 8192;

/**
 * What one connection is to be sent when the turn ends: stretches of buffers that are shared with
 * other connections, joined where they lie side by side.
 */
export class Outbox {
  private readonly channel: Channel;
  private readonly slab: Slab;
  private pieces: Uint8Array[] = [];
  private bytes: Uint8Array | null = null;
  private from = 0;
  private to = 0;

  constructor(channel: Channel, slab: Slab) {
    this.channel = channel;
    this.slab = slab;
  }

  /** A frame that the caller made. */
  frame(frame: Uint8Array): void {
    this.append(frame, 0, frame.length);
  }

  /** A frame of up to three words. */
  words(
    kind: number,
    detail: number,
    token: number,
    count: number,
    first = 0,
    second = 0,
    third = 0,
  ): void {
    const length = FRAME_HEADER + count * 4;
    const { slab } = this;
    slab.reserve(length);
    const { view, at } = slab;
    writeFrameHeader(view, at, length, kind, detail, 0, token);
    const body = at + FRAME_AT.body;
    if (count > 0) view.setUint32(body, first);
    if (count > 1) view.setUint32(body + 4, second);
    if (count > 2) view.setUint32(body + 8, third);
    this.append(slab.bytes, at, at + length);
  }

  /**
   * `count` messages of a run go out, from the one at `within` on: a head for all, and their data. `token` is
   * the first one's.
   */
  run(kind: number, token: number, run: Parcel, within: number, count: number, you: boolean): void {
    const length = RUN_HEAD_AT + layoutDataAt(run.name.length);
    const from = run.dataAt + within * run.stride;
    const to = from + count * run.stride;
    const own = to - from <= FEW_ROWS ? length + to - from : length;
    const { slab } = this;
    slab.reserve(own);
    const { bytes, view, at } = slab;
    writeFrameHeader(view, at, length, kind, 0, 0, token);
    view.setUint32(at + FRAME_HEADER, count);
    encodeHead(bytes, view, at + RUN_HEAD_AT, run, within, you);
    if (own > length) bytes.set(run.bytes.subarray(from, to), at + length);
    this.append(bytes, at, at + own);
    if (own === length) this.append(run.bytes, from, to);
  }

  /**
   * A message goes out. The same frame serves all listeners, from where it lies; the few that differ (a
   * Request for its Replier, and what answers a token) get a header of their own, unless nobody else
   * gets the message.
   */
  message(kind: number, token: number, parcel: Parcel, you: boolean): void {
    const length = messageFrameLength(parcel.name.length, parcel.dataLength);
    if (parcel.stamp === NO_FRAME) {
      const { slab } = this;
      slab.reserve(length);
      encodeFrame(slab.bytes, slab.view, slab.at, parcel, length);
    }
    const isPlain = kind === Kind.LENT && !you;
    if (parcel.stamp === NOT_STAMPED) {
      if (!isPlain && parcel.copies === 1) {
        stampFrame(parcel, kind, token, you);
        parcel.stamp = FOR_ONE;
        this.appendFrame(parcel, 0, length);
        return;
      }
      stampFrame(parcel, Kind.LENT, 0, false);
      parcel.stamp = FOR_ALL;
    }
    if (isPlain && parcel.stamp === FOR_ALL) {
      this.appendFrame(parcel, 0, length);
      return;
    }
    const { slab } = this;
    const own = length <= BY_REFERENCE ? length : FRAME_HEADER + layoutDataAt(parcel.name.length);
    slab.reserve(own);
    const { bytes, view, at: to } = slab;
    const { bytes: frame } = parcel;
    const at = frameAtOf(parcel);
    for (let offset = 0; offset < own; offset++) bytes[to + offset] = frame[at + offset] as number;
    writeFrameHeader(view, to, length, kind, 0, 0, token);
    view.setUint32(to + FRAME_HEADER + AT.flags, flagsOf(parcel, you));
    this.append(bytes, to, to + own);
    if (own < length) this.appendFrame(parcel, own, length);
  }

  /** A message's frame, from `from` on, where it lies. */
  private appendFrame(parcel: Parcel, from: number, length: number): void {
    const { bytes, more } = parcel;
    const at = frameAtOf(parcel);
    this.append(bytes, at + from, more === null ? at + length : bytes.length);
    if (more !== null) for (const piece of more) this.append(piece, 0, piece.length);
  }

  private append(bytes: Uint8Array, from: number, to: number): void {
    if (bytes === this.bytes && from === this.to) {
      this.to = to;
      return;
    }
    this.cut();
    this.bytes = bytes;
    this.from = from;
    this.to = to;
  }

  /** Sends it all, in one system call where the channel can. */
  flush(): void {
    this.cut();
    if (this.pieces.length === 0) return;
    const { pieces } = this;
    this.pieces = [];
    this.channel.write(pieces);
  }

  private cut(): void {
    const { bytes, from, to } = this;
    if (bytes === null) return;
    // All of it, mostly, when one frame came.
    const piece = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
    this.pieces = appended(this.pieces, piece);
    this.bytes = null;
  }
}
