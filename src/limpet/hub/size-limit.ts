import { Errno } from '../../message/errno.ts';
import { Message, ReceivedMessage } from '../../message/message.ts';
import type { Entry } from './frame.ts';
import { REMOTE_ERROR } from './names.ts';

/** What a link refuses to carry in pieces. */
export interface SizeLimit {
  /** The most bytes that the name and the data of a message have together. */
  readonly bytes: number;
  /** A larger message was not carried: once for each link, so again for the same message. */
  refused(entry: Entry): void;
  /** How many messages for listeners it did not carry, each counted once. */
  readonly missed: number;
}

const NO_BYTES = new Uint8Array(0);

/**
 * What goes over the link in place of an entry that is too large for it: whoever would have got the message learns of it. A
 * Reply becomes a Status. All else goes without its data: `dest` answers a Request with EMSGSIZE, and other buses are told that they
 * miss a message.
 */
export function withinLimit(limit: SizeLimit, entry: Entry): Entry {
  const { message, answers } = entry;
  const { head, dataSize, idSerial, from } = message;
  if (head.name.length + dataSize <= limit.bytes) return entry;
  limit.refused(entry);
  if (answers !== 0) return { ...entry, message: new Message(`${REMOTE_ERROR}EMSGSIZE`) };
  const bare = new ReceivedMessage(head, from, idSerial, NO_BYTES, 0, 0);
  return { ...entry, message: bare, refusal: Errno.EMSGSIZE };
}
