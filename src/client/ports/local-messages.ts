import { batchOfMessage, type MessageBatch } from '../../bus/message-batch.ts';
import { Flag } from '../../message/flags.ts';
import { Head } from '../../message/head.ts';
import { OrigFrom } from '../../message/id.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';

// The messages of a program as those of a bus in the same process, and back.

/** The sender may go on to change its data, so the bus gets a copy. (The `slice` of a Buffer is none.) */
export function copyOf(message: Message): MessageBatch {
  return batchOfMessage(message, new Uint8Array(message.data));
}

/** The message for one who reads it. What only one reads is its own, and needn't be copied again. */
export function messageOf(batch: MessageBatch, you: boolean): Message {
  const { bytes, dataLength, more } = batch;
  const isOwn = batch.copies === 1 && more === null && bytes.length === dataLength;
  const data = isOwn ? bytes : batch.copyData();
  return new ReceivedMessage(
    readerHeadOf(batch, you),
    batch.from,
    batch.idSerial,
    data,
    0,
    dataLength,
  );
}

let last = new Head('', 0);

/** The head of a message for its reader; that of the one before it, when that was like it. */
export function readerHeadOf(batch: MessageBatch, you: boolean): Head {
  const { name, to, idNetwork, replyNetwork, replySerial, carried } = batch;
  const flags = you ? (batch.flags | Flag.WANT_YOU_TO_REPLY) >>> 0 : batch.flags;
  if (
    name === last.name &&
    flags === last.flags &&
    to === last.to &&
    idNetwork === last.idNetwork &&
    carried === null &&
    !batch.isReply
  ) {
    return last;
  }
  const isPlain = carried === null;
  const orig = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.origNetwork, carried.origLocal);
  const final = isPlain ? OrigFrom.UNSET : new OrigFrom(carried.finalNetwork, carried.finalLocal);
  const head = new Head(name, flags, to, idNetwork, replyNetwork, replySerial, orig, final);
  if (isPlain && !batch.isReply) last = head;
  return head;
}
