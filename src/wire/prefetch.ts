import { ProtocolError } from './protocol.ts';

/** The largest credit. */
const MAX_CREDIT_MESSAGES = 0xffff;

/**
 * The state of prefetching. Prefetched messages are unread, and at the front of the queue, until the client reports that
 * its program has consumed them. Both ends keep these numbers, each as far as it knows:
 *
 * | event                                    | frame                | credit | prefetched | unacknowledged |
 * | ---------------------------------------- | -------------------- | ------ | ---------- | -------------- |
 * | the client allows `n` more messages      | CREDIT               | + n    |            |                |
 * | the daemon sends `n` messages            | PREFETCH             | - n    | + n        |                |
 * | the daemon sends an urgent message       | PREFETCH_URGENT      |        | + 1        | + 1            |
 * | the client acknowledges it               | URGENT_ACK           |        |            | - 1            |
 * | the program has consumed `n` messages    | `consumed` (any)     |        | - n        |                |
 * | the client returns all messages          | CALL RECALL          | 0      | 0          | 0              |
 *
 * `consumed` counts from the first message after the urgent ones that the client had not acknowledged when it sent the
 * report.
 */
export class Prefetch {
  /** Messages that the daemon may still prefetch. */
  credit = 0;
  /** Messages that are prefetched, and not consumed. */
  prefetched = 0;
  /** Urgent ones among them that are not acknowledged. */
  unacknowledged = 0;

  grant(count: number): void {
    this.credit = Math.min(this.credit + count, MAX_CREDIT_MESSAGES);
  }

  /** Throws a ProtocolError if the credit is smaller. */
  prefetch(count: number): void {
    if (count > this.credit) {
      throw new ProtocolError(`${count} messages were prefetched, with credit for ${this.credit}`);
    }
    this.credit -= count;
    this.prefetched += count;
  }

  prefetchUrgent(): void {
    this.prefetched++;
    this.unacknowledged++;
  }

  /** Throws a ProtocolError if there is no urgent message to acknowledge, beside the `unsent` ones. */
  acknowledge(unsent = 0): void {
    if (this.unacknowledged - unsent <= 0) {
      throw new ProtocolError('URGENT_ACK without a PREFETCH_URGENT');
    }
    this.unacknowledged--;
  }

  /** Throws a ProtocolError if fewer messages are prefetched. */
  consume(count: number): void {
    const { prefetched, unacknowledged } = this;
    if (count > prefetched - unacknowledged) {
      throw new ProtocolError(
        `${count} messages were consumed, of ${prefetched} that were prefetched`,
      );
    }
    this.prefetched -= count;
  }

  recall(): void {
    this.credit = 0;
    this.prefetched = 0;
    this.unacknowledged = 0;
  }
}
