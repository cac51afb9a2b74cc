import type { BusKsock } from '../bus/ksock.ts';
import { FrameKind } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { checkWaiting } from './check-waiting.ts';
import type { Outbox } from './outbox.ts';

/** Answers a client's TAKE frames, each with one message. */
export class Reads {
  private readonly ksock: BusKsock;
  private readonly outbox: Outbox;
  private readonly acknowledgements: Acknowledgements;
  /** Tokens of the waiting TAKEs, oldest first. */
  private readonly waiting: number[] = [];

  constructor(ksock: BusKsock, outbox: Outbox, acknowledgements: Acknowledgements) {
    this.ksock = ksock;
    this.outbox = outbox;
    this.acknowledgements = acknowledgements;
  }

  take(token: number, mayWait: boolean): void {
    checkWaiting(this.waiting.length);
    this.waiting.push(token);
    this.serve();
    if (mayWait || this.waiting.at(-1) !== token) return;
    this.waiting.pop();
    this.none(token);
  }

  /** Answers waiting TAKEs while the queue has messages. */
  serve(): void {
    while (this.waiting.length > 0) {
      const batch = this.ksock.take();
      if (batch === null) return;
      const token = this.waiting.shift() as number;
      this.acknowledgements.flush();
      this.outbox.taken(token, batch, this.ksock.tookRequest);
    }
  }

  /** Answers a waiting TAKE with NONE; false if no TAKE has this token. */
  cancel(token: number): boolean {
    const at = this.waiting.indexOf(token);
    if (at < 0) return false;
    this.waiting.splice(at, 1);
    this.none(token);
    return true;
  }

  private none(token: number): void {
    this.outbox.words(FrameKind.NONE, token, 0);
  }
}
