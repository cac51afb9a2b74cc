import { Errno } from '../message/errno.ts';
import type { BusKsock } from './ksock.ts';
import type { Parcel } from './parcel.ts';

/** What `submit` gives when the outcome will be told later. */
export const PENDING = 1;

interface Send {
  readonly parcel: Parcel;
  readonly token: number;
  readonly wait: boolean;
  readonly ticket: number;
}

/**
 * The sends of one Ksock, for a driver whose callers may wait: a message that has to wait for room
 * (ALL_OR_WAIT) is sent when there is some, and those behind it take their turn. How many may stand
 * behind it is the driver's to limit.
 */
export class Sends {
  private readonly ksock: BusKsock;
  private readonly done: (ticket: number, result: number, parcel: Parcel) => void;
  private waiting: Send | null = null;
  private behind: Send[] = [];

  /** `done` is told of each outcome that `submit` left pending: 0, or a negative error number. */
  constructor(ksock: BusKsock, done: (ticket: number, result: number, parcel: Parcel) => void) {
    this.ksock = ksock;
    this.done = done;
  }

  /** How many sends are pending. */
  get pending(): number {
    return this.waiting === null ? 0 : 1 + this.behind.length;
  }

  /**
   * Sends, or lines up: 0 or a negative error number when that is done, PENDING when `done` will be
   * called with this ticket. Only with `wait` does a send that gets EAGAIN wait.
   */
  submit(parcel: Parcel, token: number, wait: boolean, ticket: number): number {
    if (this.waiting !== null) {
      this.behind.push({ parcel, token, wait, ticket });
      return PENDING;
    }
    const alreadySending = this.ksock.isSending;
    const result = this.ksock.send(parcel, token);
    if (result !== -Errno.EAGAIN || !wait || alreadySending) return result;
    this.waiting = { parcel, token, wait, ticket };
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
    const at = this.behind.findIndex((send) => send.ticket === ticket);
    const [send] = at < 0 ? [] : this.behind.splice(at, 1);
    if (send !== undefined) this.done(ticket, -Errno.ECANCELED, send.parcel);
    return send !== undefined;
  }

  /** Gives up the message that waits, whoever waits for it. */
  discard(): void {
    if (this.waiting !== null) this.cancel(this.waiting.ticket);
    else this.ksock.discard();
  }

  private settle(result: number): void {
    const { ticket, parcel } = this.waiting as Send;
    this.waiting = null;
    this.done(ticket, result, parcel);
    const { behind } = this;
    let next = 0;
    while (this.waiting === null && next < behind.length) {
      const send = behind[next++] as Send;
      const outcome = this.ksock.send(send.parcel, send.token);
      if (outcome === -Errno.EAGAIN && send.wait) this.waiting = send;
      else this.done(send.ticket, outcome, send.parcel);
    }
    this.behind = behind.slice(next);
  }
}
