import type { Memory } from '../../base/memory.ts';
import { HeadReader } from '../../message/codec/records.ts';
import { Flag } from '../../message/flags.ts';
import { wordOf } from '../../wire/frame.ts';
import type { FrameReader } from '../../wire/frame-reader.ts';
import { FRAME_AT, ProtocolError, RECORDS_AT, YOU } from '../../wire/protocol.ts';
import { KeptMemory, PrefetchedBatch } from './prefetched-batch.ts';

/** Reads the daemon's frames of messages. */
export class MessageFrames {
  private readonly heads = new HeadReader(true);
  private readonly kept: KeptMemory;
  /** `kept.referenced` at the last call of `wasMemoryGiven`. */
  private referencedBefore = 0;

  constructor(memory: Memory) {
    this.kept = new KeptMemory(memory);
  }

  /** The messages of a frame. */
  batch(frame: FrameReader): PrefetchedBatch {
    const { at, bytes, length } = frame;
    const count = wordOf(frame, 0);
    const serial = wordOf(frame, 2);
    if (count === 0 || serial + count > 2 ** 32) {
      throw new ProtocolError(`${count} messages, from serial ${serial} on`);
    }
    const isAsked = ((bytes[at + FRAME_AT.detail] as number) & YOU) !== 0;
    const you = isAsked ? Flag.WANT_YOU_TO_REPLY : 0;
    const from = wordOf(frame, 1);
    const [first, end] = [at + RECORDS_AT, at + length];
    return new PrefetchedBatch(this.heads, this.kept, bytes, first, end, count, from, serial, you);
  }

  /** The message of a frame that has exactly one. */
  single(frame: FrameReader): PrefetchedBatch {
    const batch = this.batch(frame);
    if (batch.left === 1) return batch;
    throw new ProtocolError(`${batch.left} messages in a frame that must have one`);
  }

  /** Whether the program got a message in the receive buffer since the last call: it may keep that memory for ever. */
  wasMemoryGiven(): boolean {
    const { referenced } = this.kept;
    const wasGiven = referenced !== this.referencedBefore;
    this.referencedBefore = referenced;
    return wasGiven;
  }
}
