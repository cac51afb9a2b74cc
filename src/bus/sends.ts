import { Errno } from '../message/errno.ts';
import type { BusKsock } from './ksock.ts';
import type { Parcel } from './parcel.ts';

/** What `submit` gives when the outcome will be told later. */
export const PENDING = 1;

/**
 * The sends of one Ksock, for a driver whose callers may wait: a message that has to wait for room
 * (ALL_OR_WAIT) is sent when there is some, and those behind it take their turn. How many may stand
 * behind it is the driver's to limit.
 */
export class Sends {
  private readonly ksock: BusKsock;
  private readonly done: (parcel: Parcel, result: number) => void;
  private waiting: Parcel | null = null;
  // Those behind it stand from `head` on.
  private behind: Parcel[] = [];
  private head = 0;

  /** `done` is told of each outcome that `submit` left pending: 0, or a negative error number. */
  constructor(ksock: BusKsock, done: (parcel: Parcel, result: number) => void) {
    this.ksock = ksock;
    this.done = done;
  }

  /** How many sends are pending. */
  get pending(): number {
    return this.waiting === null ? 0 : 1 + this.behind.length - this.head;
  }

  /**
   * Sends, or lines up: 0 or a negative error number when that is done, PENDING when `done` will be
   * called. Only with `parcel.waits` does a send that gets EAGAIN wait.
   */
  submit(parcel: Parcel): number {
    if (this.waiting !== null) {
      this.behind.push(parcel);
      return PENDING;
    }
    const alreadySending = this.ksock.isSending;
    const result = this.ksock.send(parcel, parcel.token);
    if (result !== -Errno.EAGAIN || !parcel.waits || alreadySending) return result;
    this.waiting = parcel;
    return PENDING;
  }

  /** Tries again; to be called when the Ksock's owner is told that there is room. */
  retry(): void {
    if (this.waiting === null) return;
    const result = this.ksock.resend();
    if (result !== -Errno.EAGAIN) this.settle(result);
  }

  /** Gives up a send that is pending; false when there is none of this ticket. */
  cancel(ticket: number): boolean {
    if (this.waiting?.ticket === ticket) {
      this.ksock.discard();
      this.settle(-Errno.ECANCELED);
      return true;
    }
    const at = this.behind.findIndex(
      (parcel, index) => index >= this.head && parcel.ticket === ticket,
    );
    if (at < 0) return false;
    const [parcel] = this.behind.splice(at, 1) as [Parcel];
    this.done(parcel, -Errno.ECANCELED);
    return true;
  }

  /** Gives up the message that waits, whoever waits for it. */
  discard(): void {
    if (this.waiting !== null) this.cancel(this.waiting.ticket);
    else this.ksock.discard();
  }

  private settle(result: number): void {
    const settled = this.waiting as Parcel;
    this.waiting = null;
    this.done(settled, result);
    while (this.waiting === null && this.head < this.behind.length) {
      const parcel = this.behind[this.head++] as Parcel;
      const outcome = this.ksock.send(parcel, parcel.token);
      if (outcome === -Errno.EAGAIN && parcel.waits) this.waiting = parcel;
      else this.done(parcel, outcome);
    }
    // What has been sent is forgotten in large steps, so that each costs little.
    if (this.head === this.behind.length || this.head >= 1024) {
      this.behind = this.behind.slice(this.head);
      this.head = 0;
    }
  }
}
