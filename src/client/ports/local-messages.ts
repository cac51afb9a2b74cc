import { batchOfMessage, type MessageBatch } from '../../bus/message-batch.ts';
import { Flag } from '../../message/flags.ts';
import { Head } from '../../message/head.ts';
import { OrigFrom } from '../../message/id.ts';
import { type Message, ReceivedMessage } from '../../message/message.ts';

// Converts messages of a program to messages of a bus in the same process, and back.

/** A message for the bus. It has a copy of the data, which the sender may change. (A Buffer's `slice` makes no copy.) */
export function copyOf(message: Message): MessageBatch {
  return batchOfMessage(message, new Uint8Array(message.data));
}

/** The message for a reader. If it is the only reader, it gets the bus's copy of the data; otherwise a further copy. */
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

/** The head of a message for its reader. Consecutive messages with equal heads share one. */
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
