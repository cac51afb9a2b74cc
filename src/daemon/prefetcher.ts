import type { BusKsock } from '../bus/ksock.ts';
import type { Channel } from '../transport/channel.ts';
import { Prefetch } from '../wire/prefetch.ts';
import { FrameKind, ProtocolError } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Outbox } from './outbox.ts';

/** A client that leaves more bytes than this unread is sent no messages until it has read. */
export const MAX_BACKLOG_BYTES = 1024 * 1024;

/**
 * Sends a client messages in advance, as far as it gives credit. What was sent is the front of the Ksock's queue, up
 * to the mark; urgent messages that the client has not acknowledged are the front of that.
 */
export class Prefetcher {
  private readonly ksock: BusKsock;
  private readonly channel: Channel;
  private readonly outbox: Outbox;
  private readonly acknowledgements: Acknowledgements;
  private readonly prefetch = new Prefetch();
  /** How many urgent messages are still to be sent. */
  private urgentToSend = 0;

  constructor(
    ksock: BusKsock,
    channel: Channel,
    outbox: Outbox,
    acknowledgements: Acknowledgements,
  ) {
    this.ksock = ksock;
    this.channel = channel;
    this.outbox = outbox;
    this.acknowledgements = acknowledgements;
  }

  /** The bus has put an urgent message to the front of the queue. */
  queuedUrgent(): void {
    const { queue } = this.ksock;
    if (this.prefetch.prefetched === 0) {
      queue.unmark();
      return;
    }
    this.prefetch.prefetchUrgent();
    this.urgentToSend++;
    queue.markFront();
  }

  /** The client gives credit for so many messages more. */
  grant(count: number): void {
    this.prefetch.grant(count);
  }

  /** The client has received the oldest urgent message that it had not acknowledged. */
  acknowledge(): void {
    this.prefetch.acknowledge(this.urgentToSend);
  }

  /** The client's program has read so many. */
  consume(count: number): void {
    this.prefetch.consume(count);
    this.ksock.takeMany(count, this.prefetch.unacknowledged);
  }

  /** Before a call that changes the front of the queue: a ProtocolError when the client has messages in advance. */
  mustBeRecalled(): void {
    if (this.prefetch.prefetched > 0) {
      throw new ProtocolError('TAKE or UNBIND, without a RECALL of what was prefetched');
    }
    this.prefetch.recall();
  }

  /** The client gives back all that it has in advance. */
  recall(): void {
    this.prefetch.recall();
    this.urgentToSend = 0;
    this.ksock.queue.unmark();
  }

  /** Sends what there is credit for. */
  send(): void {
    const { prefetch } = this;
    const { queue } = this.ksock;
    if (this.urgentToSend > 0) this.sendUrgent();
    if (prefetch.credit === 0 || prefetch.prefetched === queue.length) return;
    if (this.channel.backlog > MAX_BACKLOG_BYTES) return;
    this.acknowledgements.tell();
    while (prefetch.credit > 0 && prefetch.prefetched < queue.length) {
      const entry = queue.marked;
      const batch = queue.batch(entry);
      const isAsked = queue.binding(entry)?.replier === true;
      const within = queue.markedWithin;
      const count = Math.min(prefetch.credit, batch.count - within);
      this.outbox.messages(FrameKind.PREFETCH, 0, batch, within, count, isAsked);
      queue.mark(count);
      prefetch.prefetch(count);
    }
  }

  private sendUrgent(): void {
    const { queue } = this.ksock;
    this.acknowledgements.tell();
    for (; this.urgentToSend > 0; this.urgentToSend--) {
      const at = this.urgentToSend - 1;
      const [batch, within] = [queue.batch(at), queue.readOf(at)];
      const isAsked = queue.binding(at)?.replier === true;
      this.outbox.messages(FrameKind.PREFETCH_URGENT, 0, batch, within, 1, isAsked);
    }
  }
}
