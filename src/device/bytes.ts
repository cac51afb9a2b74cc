import { LITTLE_ENDIAN } from '../base/endianness.ts';
import { padded } from '../base/u32.ts';
import type { MessageBatch } from '../bus/message-batch.ts';
import {
  END_GUARD,
  entireLength,
  HEADER_LENGTH,
  OFFSET,
  START_GUARD,
} from '../message/codec/device.ts';
import { Flag } from '../message/flags.ts';

/** Encodes a message as a reader gets it: entire. `you`: it is a Request that this reader is to answer. */
export function entireOf(batch: MessageBatch, you: boolean): Uint8Array {
  const { name, carried, dataLength } = batch;
  const bytes = new Uint8Array(entireLength(name.length, dataLength));
  const view = new DataView(bytes.buffer);
  const put = (at: number, word: number): void => view.setUint32(at, word, LITTLE_ENDIAN);
  put(OFFSET.startGuard, START_GUARD);
  put(OFFSET.id, batch.idNetwork);
  put(OFFSET.id + 4, batch.idSerial);
  put(OFFSET.inReplyTo, batch.replyNetwork);
  put(OFFSET.inReplyTo + 4, batch.replySerial);
  put(OFFSET.to, batch.to);
  put(OFFSET.from, batch.from);
  if (carried !== null) {
    put(OFFSET.origFrom, carried.origNetwork);
    put(OFFSET.origFrom + 4, carried.origLocal);
    put(OFFSET.finalTo, carried.finalNetwork);
    put(OFFSET.finalTo + 4, carried.finalLocal);
  }
  put(OFFSET.flags, you ? batch.flags | Flag.WANT_YOU_TO_REPLY : batch.flags);
  put(OFFSET.nameLength, name.length);
  put(OFFSET.dataLength, dataLength);
  put(OFFSET.endGuard, END_GUARD);
  for (let at = 0; at < name.length; at++) bytes[HEADER_LENGTH + at] = name.charCodeAt(at);
  batch.writeData(bytes, HEADER_LENGTH + padded(name.length + 1));
  put(bytes.length - 4, END_GUARD);
  return bytes;
}
