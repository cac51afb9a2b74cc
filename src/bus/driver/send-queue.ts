import { Errno } from '../../message/errno.ts';
import type { BusKsock } from '../ksock.ts';
import type { KsockState } from '../ksock-state.ts';
import type { MessageBatch } from '../message-batch.ts';
import { WaitingRequests } from './waiting-requests.ts';

/**
 * The sends of one Ksock, for a driver whose callers may wait. A message that has to wait for room (ALL_OR_WAIT) is sent
 * when there is some, and the sends behind it follow in order; the driver limits how many there may be. A Request that
 * `awaitsRoom` waits aside, and later sends overtake it: otherwise it would keep back the Replies of a Replier that asks,
 * for which somebody else waits.
 */
export class SendQueue {
  private readonly ksock: BusKsock;
  private readonly done: (batch: MessageBatch, result: number) => void;
  private readonly aside: (batch: MessageBatch) => void;
  private readonly paced: () => void;
  private readonly requests: WaitingRequests;
  private waiting: MessageBatch | null = null;
  /** The turn was over before all sends were tried: `goOn` must continue. */
  isPaced = false;
  // Those behind it, or left over, stand from `head` on.
  private behind: MessageBatch[] = [];
  private head = 0;
  /** How many messages they are, and the bytes of their data. */
  private behindCount = 0;
  private behindBytes = 0;

  /**
   * Calls `done` with each outcome, of one message or of several: 0, or a negative error number; `paced` when the turn is
   * over, so that the driver calls `goOn` in the next one; and `aside` with a Request that waits for room, whose outcome comes
   * out of order.
   */
  constructor(
    ksock: BusKsock,
    done: (batch: MessageBatch, result: number) => void,
    paced: () => void = () => {},
    aside: (batch: MessageBatch) => void = () => {},
  ) {
    this.ksock = ksock;
    this.done = done;
    this.paced = paced;
    this.aside = aside;
    this.requests = new WaitingRequests(ksock, (batch) => this.sendOne(batch));
  }

  /** How many sends are pending. */
  get pending(): number {
    return this.behindCount + (this.waiting === null ? 0 : 1);
  }

  /** How many of them count against the driver's limits. */
  get counted(): number {
    return this.isUnknownToClient ? 0 : this.pending;
  }

  /** The bytes of their data. */
  get countedBytes(): number {
    return this.isUnknownToClient ? 0 : this.behindBytes + (this.waiting?.dataBytes ?? 0);
  }

  /**
   * The client does not know that anything waits: all is behind a Request that waited aside; or only for the next turn, before
   * which the driver handles no further frame.
   */
  private get isUnknownToClient(): boolean {
    return this.isPaced || this.waiting?.isAside === true;
  }

  /**
   * Sends messages in their order, or lines them up; calls `done` with each outcome, now or later. A send that gets
   * EAGAIN waits only with `batch.waits`.
   */
  submit(batch: MessageBatch): void {
    if (this.isHeld || !this.pass(batch)) this.lineUp(batch);
  }

  /** Sends must stand behind others. */
  private get isHeld(): boolean {
    return this.waiting !== null || this.isPaced;
  }

  private lineUp(batch: MessageBatch): void {
    if (!this.ksock.hasRoomFor(batch.cost)) {
      this.done(batch, -Errno.ENOMEM);
      return;
    }
    this.behind.push(batch);
    this.countBehind(batch, 1);
  }

  /** Continues after the turn was over. */
  goOn(): void {
    this.isPaced = false;
    this.passBehind();
    this.retryRequests(this.ksock);
  }

  /** The Ksock is closed: forgets all. */
  close(): void {
    this.waiting = null;
    for (const batch of this.behind.slice(this.head)) this.countBehind(batch, -1);
    this.behind = [];
    this.head = 0;
    this.isPaced = false;
    this.requests.close();
  }

  /** Counts a batch that stands behind the waiting message, or (-1) stands there no more. */
  private countBehind(batch: MessageBatch, by: 1 | -1): void {
    if (by === 1) this.ksock.keep(batch);
    else this.ksock.release(batch);
    this.behindCount += by * batch.count;
    this.behindBytes += by * batch.dataBytes;
  }

  /** Sends the messages of a batch until one has to wait. False if the batch keeps messages behind that one. */
  private pass(batch: MessageBatch): boolean {
    const { ksock } = this;
    while (this.waiting === null) {
      if (ksock.isTurnOver) {
        this.isPaced = true;
        this.paced();
        return false;
      }
      const count = batch.count === 1 ? 1 : ksock.sendable(batch);
      const isLast = count === batch.count;
      const sent = isLast ? batch : batch.split(count);
      const mayWait = sent.awaitsRoom && sent.isRequest && count === 1;
      if (mayWait && this.requests.take(sent)) {
        sent.isAside = true;
        this.aside(sent);
      } else this.sendOne(sent);
      if (isLast) return true;
    }
    return false;
  }

  private sendOne(batch: MessageBatch): void {
    const { ksock } = this;
    const wasSending = ksock.isSending;
    ksock.tookSteps(1);
    const result = ksock.send(batch);
    if (result === -Errno.EAGAIN && batch.waits && !wasSending) this.waiting = batch;
    else this.done(batch, result);
  }

  /** The driver calls it when this queue has room for Requests that wait; or (null) when a Replier came or went. */
  retryRequests(of: KsockState | null): void {
    // While a message waits to be sent, the bus would refuse them; they are tried when it has gone.
    if (!this.isHeld && !this.ksock.isSending) this.requests.retry(of);
  }

  /** Sends the waiting message again; the driver calls it when the bus says that there is room. */
  retry(): void {
    if (this.waiting === null) return;
    const result = this.ksock.resend();
    if (result === -Errno.EAGAIN) return;
    this.finishWaiting(result);
    this.retryRequests(this.ksock);
  }

  /** Gives up the pending send of this token; false when there is none. */
  cancel(token: number): boolean {
    if (this.waiting?.token === token) {
      this.ksock.discard();
      this.finishWaiting(-Errno.ECANCELED);
      this.retryRequests(this.ksock);
      return true;
    }
    const request = this.requests.cancel(token);
    if (request !== null) {
      this.done(request, -Errno.ECANCELED);
      return true;
    }
    this.ksock.tookSteps((this.behind.length - this.head) >> 2);
    for (let at = this.head; at < this.behind.length; at++) {
      const batch = this.behind[at] as MessageBatch;
      const index = token - batch.token;
      if (index < 0 || index >= batch.count) continue;
      this.countBehind(batch, -1);
      const others = index > 0 ? [batch.split(index)] : [];
      const cancelled = batch.count > 1 ? batch.split(1) : batch;
      if (cancelled !== batch) others.push(batch);
      for (const other of others) this.countBehind(other, 1);
      this.behind.splice(at, 1, ...others);
      this.done(cancelled, -Errno.ECANCELED);
      return true;
    }
    return false;
  }

  /**
   * Gives up the waiting message, whoever waits for it. True when the Ksock is *sending* all the same: a message that
   * stood behind it ran into a full queue, and nobody waits for that one here.
   */
  discard(): boolean {
    if (this.waiting !== null) this.cancel(this.waiting.token);
    else this.ksock.discard();
    return this.waiting === null && this.ksock.isSending;
  }

  private finishWaiting(result: number): void {
    const settled = this.waiting as MessageBatch;
    this.waiting = null;
    this.done(settled, result);
    this.passBehind();
  }

  private passBehind(): void {
    while (!this.isHeld && this.head < this.behind.length) {
      const batch = this.behind[this.head] as MessageBatch;
      this.countBehind(batch, -1);
      if (this.pass(batch)) this.head++;
      else this.countBehind(batch, 1);
    }
    // Forget sent batches in large steps, so that each costs little.
    if (this.head === this.behind.length || this.head >= 1024) {
      this.behind = this.behind.slice(this.head);
      this.head = 0;
    }
  }
}
