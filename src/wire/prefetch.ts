import { ProtocolError } from './protocol.ts';

/** No more may be lent on credit. */
const MAX_CREDIT = 0xffff;

/**
 * How far a client is ahead of its program: messages that the daemon has lent it are still unread, and at the front of
 * its queue, until it says that the program has consumed them. Both ends keep this, each as far as it knows:
 *
 * | what happens                         | told by            | credit | lent | unseen |
 * | ------------------------------------ | ------------------ | ------ | ---- | ------ |
 * | the client lets `n` more be lent     | CREDIT               | + n    |      |        |
 * | the daemon lends `n`                 | PREFETCH               | - n    | + n  |        |
 * | it lends an urgent one, before those | PREFETCH_URGENT         |        | + 1  | + 1    |
 * | the client has seen that             | URGENT_ACK               |        |      | - 1    |
 * | its program has consumed `n`         | `handed` (a frame) |        | - n  |        |
 * | the client gives all of them back    | CALL RECALL        | 0      | 0    | 0      |
 *
 * `handed` counts behind the urgent messages that the client had not seen when it said so: those come before what its
 * program was given.
 */
export class Prefetch {
  /** How many more may be lent. */
  credit = 0;
  /** How many are lent, and not consumed. */
  lent = 0;
  /** How many of these are urgent, and the client has not said yet that it has seen them. */
  unseen = 0;

  grant(count: number): void {
    this.credit = Math.min(this.credit + count, MAX_CREDIT);
  }

  /** A ProtocolError when there is no credit for so many. */
  lend(count: number): void {
    if (count > this.credit) {
      throw new ProtocolError(`${count} messages were lent, where ${this.credit} might be`);
    }
    this.credit -= count;
    this.lent += count;
  }

  lendFirst(): void {
    this.lent++;
    this.unseen++;
  }

  /** A ProtocolError when there are none to be seen, beside those that are still to be sent. */
  see(toSend = 0): void {
    if (this.unseen - toSend <= 0) throw new ProtocolError('URGENT_ACK what was not sent');
    this.unseen--;
  }

  /** A ProtocolError when not so many are there to be consumed. */
  consume(count: number): void {
    if (count > this.lent - this.unseen) {
      throw new ProtocolError(`${count} messages were consumed, of ${this.lent} that were lent`);
    }
    this.lent -= count;
  }

  recall(): void {
    this.credit = 0;
    this.lent = 0;
    this.unseen = 0;
  }
}
