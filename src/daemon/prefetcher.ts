import type { BusKsock } from '../bus/ksock.ts';
import type { Channel } from '../transport/channel.ts';
import { Prefetch } from '../wire/prefetch.ts';
import { ProtocolError } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import type { Outbox } from './outbox.ts';

/** With a larger backlog, a client is sent no messages until it has read. */
export const MAX_BACKLOG_BYTES = 1024 * 1024;

/** With less room, a client is sent little at once: it may not read that. */
const ROOM_BYTES = 4 * MAX_BACKLOG_BYTES;
const TRIAL_BYTES = 16 * 1024;

/** Without room, it is sent this part of what there is: so however many clients do not read, some memory stays free. */
const ROOM_PART = 1 / 1024;

/** To send the messages of one queue entry costs about as much as so many deliveries. */
const PREFETCH_STEPS = 4;

/**
 * Sends a client messages ahead of its reads, as far as its credit goes. Prefetched messages stay at the front of the
 * Ksock's queue, up to the mark; the unacknowledged urgent ones come first.
 */
export class Prefetcher {
  private readonly ksock: BusKsock;
  private readonly channel: Channel;
  private readonly outbox: Outbox;
  private readonly acknowledgements: Acknowledgements;
  private readonly prefetch = new Prefetch();
  /** The number of urgent messages that are not sent yet. */
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

  /** The bus has put an urgent message at the front of the queue. */
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

  /** The client grants credit for `count` more messages. */
  grant(count: number): void {
    this.prefetch.grant(count);
  }

  /** The client acknowledges its oldest unacknowledged urgent message. */
  acknowledge(): void {
    this.prefetch.acknowledge(this.urgentToSend);
  }

  /** The client's program has read `count` prefetched messages. */
  consume(count: number): void {
    this.prefetch.consume(count);
    this.ksock.takeMany(count, this.prefetch.unacknowledged);
  }

  /** For calls that change the front of the queue. Throws a ProtocolError if the client has prefetched messages. */
  mustBeRecalled(): void {
    if (this.prefetch.prefetched > 0) {
      throw new ProtocolError('TAKE or UNBIND without a RECALL of the prefetched messages');
    }
    this.prefetch.recall();
  }

  /** The client returns all prefetched messages. */
  recall(): void {
    this.prefetch.recall();
    this.urgentToSend = 0;
    this.ksock.queue.unmark();
  }

  /** Sends urgent messages, and others as far as credit goes. */
  send(): void {
    const { prefetch } = this;
    const { queue } = this.ksock;
    if (this.urgentToSend > 0) this.sendUrgent();
    if (!this.hasMore) return;
    if (!this.mayWrite) return;
    this.acknowledgements.flush();
    const { outbox } = this;
    const { mostAtOnce } = this;
    while (
      this.hasMore &&
      outbox.unsentBytes <= mostAtOnce &&
      (!this.ksock.isTurnOver || outbox.unsentBytes === 0)
    ) {
      const entry = queue.marked;
      const batch = queue.batch(entry);
      const isReplier = queue.binding(entry)?.replier === true;
      const index = queue.markedWithin;
      const count = Math.min(prefetch.credit, batch.count - index);
      this.ksock.tookSteps(PREFETCH_STEPS);
      outbox.prefetch(batch, index, count, isReplier);
      queue.mark(count);
      prefetch.prefetch(count);
    }
  }

  /** It is sent no further message when there are more bytes to send. */
  private get mostAtOnce(): number {
    const { ksock } = this;
    if (ksock.hasRoomFor(ROOM_BYTES)) return MAX_BACKLOG_BYTES;
    if (ksock.hasRoomFor(0)) return TRIAL_BYTES;
    return Math.min(TRIAL_BYTES, Math.max(0, ksock.share.room * ROOM_PART));
  }

  /**
   * Whether its client has read all, or there is memory for what it does not read. Otherwise its messages stay in the queue, which
   * is bounded, and where others may hold them, too.
   */
  get mayWrite(): boolean {
    const { backlog } = this.channel;
    return backlog === 0 || (backlog <= MAX_BACKLOG_BYTES && this.ksock.hasRoomFor(0));
  }

  /** Credit and messages are left: the client must read first, or the turn is over. */
  get hasMore(): boolean {
    const { credit, prefetched } = this.prefetch;
    return credit > 0 && prefetched < this.ksock.queue.length;
  }

  private sendUrgent(): void {
    const { queue } = this.ksock;
    this.acknowledgements.flush();
    for (; this.urgentToSend > 0; this.urgentToSend--) {
      const at = this.urgentToSend - 1;
      const isReplier = queue.binding(at)?.replier === true;
      this.outbox.prefetchUrgent(queue.batch(at), queue.readOf(at), isReplier);
    }
  }
}
