import type { Head } from '../../message/head.ts';
import type { MessageId } from '../../message/id.ts';

/**
 * The Requests of a port whose Replies are to come through the queue, for when the bus goes away. Several may have one
 * id, when it is a Limpet's.
 */
export class OwedReplies {
  private readonly owed = new Map<string, { readonly id: MessageId; count: number }>();

  /** A Request was sent. */
  add(id: MessageId): void {
    const owed = this.owed.get(String(id));
    if (owed === undefined) this.owed.set(String(id), { id, count: 1 });
    else owed.count++;
  }

  /** The program is given a message: if it is the answer to a Request of this Ksock, that is not owed any more. */
  noteRead(head: Head, ksockId: number): void {
    if (this.owed.size === 0 || !head.isReply || head.to !== ksockId) return;
    const id = String(head.inReplyTo);
    const owed = this.owed.get(id);
    if (owed !== undefined && --owed.count === 0) this.owed.delete(id);
  }

  /** The ids of all of them, each as often as it is owed. */
  *ids(): Iterable<MessageId> {
    for (const { id, count } of this.owed.values()) {
      for (let each = 0; each < count; each++) yield id;
    }
  }

  clear(): void {
    this.owed.clear();
  }
}
