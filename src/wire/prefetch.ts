import { ProtocolError } from './protocol.ts';

/** The daemon may be given no more credit than this, in messages. */
const MAX_CREDIT_MESSAGES = 0xffff;

/**
 * How far a client is ahead of its program: the messages that the daemon has sent it in advance are unread, and at the
 * front of its queue, until the client reports that the program has consumed them. Both ends keep these numbers, each
 * as far as it knows:
 *
 * | what happens                             | frame                | credit | prefetched | unacknowledged |
 * | ---------------------------------------- | -------------------- | ------ | ---------- | -------------- |
 * | the client allows `n` more               | CREDIT               | + n    |            |                |
 * | the daemon sends `n`                     | PREFETCH             | - n    | + n        |                |
 * | it sends an urgent one, before those     | PREFETCH_URGENT      |        | + 1        | + 1            |
 * | the client has received that             | URGENT_ACK           |        |            | - 1            |
 * | its program has consumed `n`             | `consumed` (any)     |        | - n        |                |
 * | the client gives all of them back        | CALL RECALL          | 0      | 0          | 0              |
 *
 * `consumed` counts behind the urgent messages that the client had not acknowledged when it said so: those come before
 * what its program was given.
 */
export class Prefetch {
  /** How many more the daemon may send in advance. */
  credit = 0;
  /** How many it has sent, and the program has not consumed. */
  prefetched = 0;
  /** How many of these are urgent, and not acknowledged yet. */
  unacknowledged = 0;

  grant(count: number): void {
    this.credit = Math.min(this.credit + count, MAX_CREDIT_MESSAGES);
  }

  /** A ProtocolError when there is no credit for so many. */
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

  /** A ProtocolError when there are none to acknowledge, beside the `unsent` ones. */
  acknowledge(unsent = 0): void {
    if (this.unacknowledged - unsent <= 0) {
      throw new ProtocolError('URGENT_ACK without a PREFETCH_URGENT');
    }
    this.unacknowledged--;
  }

  /** A ProtocolError when not so many are there to be consumed. */
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
