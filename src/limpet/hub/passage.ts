import { Flag } from '../../message/flags.ts';
import type { Head } from '../../message/head.ts';
import { OrigFrom } from '../../message/id.ts';
import { Message } from '../../message/message.ts';

/** Flags that a message loses when a Limpet sends it: only the bus sets them. */
const OF_KBUS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

/** A Request or Reply loses this one too: it would hold up all that comes behind it. An Announcement waits a while. */
export const NOT_CARRIED = OF_KBUS | Flag.ALL_OR_WAIT;

/** For so many senders of one name, the hub keeps the heads of their messages. */
const MAX_SENDERS = 8;

/**
 * What a Limpet changes in a message that passes from its bus to others, or the other way (spec 3 §2, spec 3 §3). The same heads
 * come again and again, so it keeps those that it made.
 */
export class Passage {
  /** The network id of the Limpet. */
  private readonly id: number;
  /** The heads that were made of others: those of this bus for other buses, one for each sender; and the reverse. */
  private readonly carriedHeads = new WeakMap<Head, Head[]>();
  private readonly heads = new WeakMap<Head, Head>();

  constructor(id: number) {
    this.id = id;
  }

  /** The message with the id and the origin that it has on other buses. */
  carried(message: Message): Message {
    const { head, from } = message;
    const known = this.carriedHeads.get(head);
    message.head =
      known?.find(({ origFrom }) => origFrom.localId === from) ?? this.carriedHead(head, from);
    return message;
  }

  private carriedHead(head: Head, from: number): Head {
    const { id } = this;
    const made = head.with({
      idNetwork: head.idNetwork === 0 ? id : head.idNetwork,
      origFrom: head.origFrom.networkId === 0 ? new OrigFrom(id, from) : head.origFrom,
      flags: head.flags & ~Flag.WANT_YOU_TO_REPLY,
    });
    // A head that has an origin is not shared by messages.
    if (head.origFrom.networkId !== 0) return made;
    const known = this.carriedHeads.get(head);
    if (known === undefined) this.carriedHeads.set(head, [made]);
    else if (known.unshift(made) > MAX_SENDERS) known.pop();
    return made;
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
