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
  /** How many messages they are. */
  private behindCount = 0;

  /** `done` is told of each outcome that `submit` left pending: 0, or a negative error number. */
  constructor(ksock: BusKsock, done: (parcel: Parcel, result: number) => void) {
    this.ksock = ksock;
    this.done = done;
  }

  /** How many sends are pending. */
  get pending(): number {
    return this.waiting === null ? 0 : 1 + this.behindCount;
  }

  /**
   * Sends, or lines up: 0 or a negative error number when that is done, PENDING when `done` will be
   * called. Only with `parcel.waits` does a send that gets EAGAIN wait.
   */
  submit(parcel: Parcel): number {
    if (this.waiting !== null) {
      this.lineUp(parcel);
      return PENDING;
    }
    const alreadySending = this.ksock.isSending;
    const result = this.ksock.send(parcel, parcel.token);
    if (result !== -Errno.EAGAIN || !parcel.waits || alreadySending) return result;
    this.waiting = parcel;
    return PENDING;
  }

  /** Sends a run; `done` is told of all of it, now or later. */
  submitRun(run: Parcel): void {
    if (this.waiting !== null || !this.pass(run)) this.lineUp(run);
  }

  private lineUp(parcel: Parcel): void {
    this.behind.push(parcel);
    this.behindCount += parcel.count;
  }

  /** Sends what a parcel holds, until a message has to wait: false, if those behind it stay in the parcel. */
  private pass(parcel: Parcel): boolean {
    while (this.waiting === null) {
      const run = parcel.count > 1 ? this.ksock.sendRun(parcel) : null;
      if (run !== null) {
        this.done(run, 0);
        if (parcel.count === 0) return true;
        continue;
      }
      const isLast = parcel.count === 1;
      const one = isLast ? parcel : parcel.split(1);
      const alreadySending = this.ksock.isSending;
      const result = this.ksock.send(one, one.token);
      if (result === -Errno.EAGAIN && one.waits && !alreadySending) this.waiting = one;
      else this.done(one, result);
      if (isLast) return true;
    }
    return false;
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
    for (let at = this.head; at < this.behind.length; at++) {
      const parcel = this.behind[at] as Parcel;
      const index = ticket - parcel.ticket;
      if (index < 0 || index >= parcel.count) continue;
      const before = parcel.split(index);
      const cancelled = parcel.split(1);
      this.behind.splice(at, 1, ...[before, parcel].filter(({ count }) => count > 0));
      this.behindCount--;
      this.done(cancelled, -Errno.ECANCELED);
      return true;
    }
    return false;
  }

  /**
   * Gives up the message that waits, whoever waits for it. Whether the Ksock is *sending* all the same:
   * one that stood behind it was sent then, ran into a full queue, and nobody waits for it here.
   */
  discard(): boolean {
    if (this.waiting !== null) this.cancel(this.waiting.ticket);
    else this.ksock.discard();
    return this.waiting === null && this.ksock.isSending;
  }

  private settle(result: number): void {
    const settled = this.waiting as Parcel;
    this.waiting = null;
    this.done(settled, result);
    while (this.waiting === null && this.head < this.behind.length) {
      const parcel = this.behind[this.head] as Parcel;
      this.behindCount -= parcel.count;
      if (this.pass(parcel)) this.head++;
      else this.behindCount += parcel.count;
    }
    // What has been sent is forgotten in large steps, so that each costs little.
    if (this.head === this.behind.length || this.head >= 1024) {
      this.behind = this.behind.slice(this.head);
      this.head = 0;
    }
  }
}
