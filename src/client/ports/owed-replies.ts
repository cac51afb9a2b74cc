import type { Head } from '../../message/head.ts';
import type { MessageId } from '../../message/id.ts';

/**
 * The Requests of a port whose Replies come through the queue: each gets a Status if the connection is lost. Several
 * Requests may have the same id, if it is a Limpet's.
 */
export class OwedReplies {
  private readonly owed = new Map<string, { readonly id: MessageId; count: number }>();

  /** A Request was sent. */
  add(id: MessageId): void {
    const owed = this.owed.get(String(id));
    if (owed === undefined) this.owed.set(String(id), { id, count: 1 });
    else owed.count++;
  }

  /** The program gets a message: if it answers a Request of this Ksock, that Reply is not owed any more. */
  noteRead(head: Head, ksockId: number): void {
    if (this.owed.size === 0 || !head.isReply || head.to !== ksockId) return;
    const id = String(head.inReplyTo);
    const owed = this.owed.get(id);
    if (owed !== undefined && --owed.count === 0) this.owed.delete(id);
  }

  /** All ids, each as often as a Reply to it is owed. */
  *ids(): Iterable<MessageId> {
    for (const { id, count } of this.owed.values()) {
      for (let each = 0; each < count; each++) yield id;
    }
  }

  clear(): void {
    this.owed.clear();
  }
}
