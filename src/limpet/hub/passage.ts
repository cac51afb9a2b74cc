import { carriedHead } from '../../message/carried-head.ts';
import { Flag } from '../../message/flags.ts';
import type { Head } from '../../message/head.ts';
import { Message } from '../../message/message.ts';

/** Flags that a message loses when a Limpet sends it: only the bus sets them. */
const OF_KBUS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

/** A Request or Reply loses this one too: it would hold up all that comes behind it. An Announcement waits a while. */
export const NOT_CARRIED = OF_KBUS | Flag.ALL_OR_WAIT;

/**
 * What a Limpet changes in a message that passes from its bus to others, or the other way (spec 3 §2, spec 3 §3). The same heads
 * come again and again, so those that were made are kept.
 */
export class Passage {
  /** The network id of the Limpet. */
  private readonly id: number;
  /** The heads that were made of others, for this bus. */
  private readonly heads = new WeakMap<Head, Head>();

  constructor(id: number) {
    this.id = id;
  }

  /** The message with the id and the origin that it has on other buses. */
  carried(message: Message): Message {
    message.head = carriedHead(message.head, this.id, message.from);
    return message;
  }

  /** A copy of the message that may be sent on this bus. */
  sendable(message: Message, to: number): Message {
    const { head } = message;
    let made = this.heads.get(head);
    if (made === undefined || made.to !== to) {
      const isRequest = (head.flags & Flag.WANT_A_REPLY) !== 0;
      const flags = (head.flags & ~(isRequest ? NOT_CARRIED : OF_KBUS)) >>> 0;
      made = head.with({ flags, to });
      this.heads.set(head, made);
    }
    const sent = Message.fromMessage(message);
    sent.head = made;
    return sent;
  }
}
