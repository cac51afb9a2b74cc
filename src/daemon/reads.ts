import type { BusKsock } from '../bus/ksock.ts';
import type { Channel } from '../transport/channel.ts';
import { FrameKind } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { checkWaitingCall } from './check-waiting.ts';
import type { Outbox } from './outbox.ts';
import { MAX_BACKLOG_BYTES } from './prefetcher.ts';

/** To give a message to a TAKE costs about as much as so many deliveries. */
const TAKE_STEPS = 4;

/** Answers a client's TAKE frames, each with one message. */
export class Reads {
  private readonly ksock: BusKsock;
  private readonly channel: Channel;
  private readonly outbox: Outbox;
  private readonly acknowledgements: Acknowledgements;
  /** Tokens of the waiting TAKEs, oldest first. */
  private readonly waiting = new Set<number>();

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

  take(token: number, mayWait: boolean): void {
    checkWaitingCall(this.ksock, this.waiting.size);
    this.waiting.add(token);
    this.serve(true);
    if (!mayWait && this.waiting.delete(token)) this.none(token);
  }

  /**
   * Answers waiting TAKEs while the queue has messages, the client reads its socket, and the turn is not over, unless it
   * must go on `now`.
   */
  serve(now = false): void {
    if (this.waiting.size === 0) return;
    const { ksock, outbox } = this;
    for (const token of this.waiting) {
      if (this.channel.backlog + outbox.unsentBytes > MAX_BACKLOG_BYTES) return;
      if (!now && ksock.isTurnOver && outbox.unsentBytes > 0) return;
      const batch = ksock.take();
      if (batch === null) return;
      ksock.tookSteps(TAKE_STEPS);
      this.waiting.delete(token);
      this.acknowledgements.flush();
      outbox.taken(token, batch, ksock.tookRequest);
    }
  }

  /** How many TAKEs wait. */
  get count(): number {
    return this.waiting.size;
  }

  /** Messages and TAKEs are left: the client must read first, or the turn is over. */
  get hasMore(): boolean {
    return this.waiting.size > 0 && this.ksock.numMessages > 0;
  }

  /** Answers a waiting TAKE with NONE; false if no TAKE has this token. */
  cancel(token: number): boolean {
    if (!this.waiting.delete(token)) return false;
    this.none(token);
    return true;
  }

  private none(token: number): void {
    this.outbox.words(FrameKind.NONE, token, 0);
  }
}
