import type { Memory } from '../../base/memory.ts';
import { HeadReader, RecordWords } from '../../message/codec/records.ts';
import { Flag } from '../../message/flags.ts';
import { wordOf } from '../../wire/frame.ts';
import type { FrameReader } from '../../wire/frame-reader.ts';
import {
  CARRIED,
  CARRIED_RECORDS_AT,
  FRAME_AT,
  ProtocolError,
  RECORDS_AT,
  YOU,
} from '../../wire/protocol.ts';
import { KeptMemory, PrefetchedBatch } from './prefetched-batch.ts';

/** Reads the daemon's frames of messages. */
export class MessageFrames {
  private readonly heads: HeadReader;
  private readonly kept: KeptMemory;
  /** `kept.referenced` at the last call of `wasMemoryGiven`. */
  private referencedBefore = 0;

  constructor(memory: Memory, heads = new HeadReader(true)) {
    this.heads = heads;
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
    const detail = bytes[at + FRAME_AT.detail] as number;
    const you = (detail & YOU) !== 0 ? Flag.WANT_YOU_TO_REPLY : 0;
    const from = wordOf(frame, 1);
    const batch = new PrefetchedBatch(
      this.heads,
      this.kept,
      bytes,
      at + RECORDS_AT,
      at + length,
      count,
      from,
      serial,
      you,
    );
    if ((detail & CARRIED) !== 0) {
      batch.sharedWords = new RecordWords();
      batch.sharedWords.idNetwork = batch.sharedWords.origNetwork = wordOf(frame, 3);
      batch.sharedWords.origLocal = wordOf(frame, 4);
      batch.at = at + CARRIED_RECORDS_AT;
    }
    return batch;
  }

  /** The message of a frame that has exactly one. */
  single(frame: FrameReader): PrefetchedBatch {
    const batch = this.batch(frame);
    if (batch.left === 1) return batch;
    throw new ProtocolError(`${batch.left} messages in a frame for one`);
  }

  /** Whether the program got a message in the receive buffer since the last call: it may keep that memory for ever. */
  wasMemoryGiven(): boolean {
    const { referenced } = this.kept;
    const wasGiven = referenced !== this.referencedBefore;
    this.referencedBefore = referenced;
    return wasGiven;
  }
}
