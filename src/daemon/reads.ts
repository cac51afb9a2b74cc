import type { BusKsock } from '../bus/ksock.ts';
import { FrameKind } from '../wire/protocol.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { checkWaiting } from './check-waiting.ts';
import type { Outbox } from './outbox.ts';

/** Answers the TAKE frames of a client, which reads its messages one at a time. */
export class Reads {
  private readonly ksock: BusKsock;
  private readonly outbox: Outbox;
  private readonly acknowledgements: Acknowledgements;
  /** Tokens of the TAKEs that wait for a message, first come first. */
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

  /** Gives the messages that there are to those who wait. */
  serve(): void {
    while (this.waiting.length > 0) {
      const batch = this.ksock.take();
      if (batch === null) return;
      const token = this.waiting.shift() as number;
      this.acknowledgements.tell();
      this.outbox.messages(FrameKind.TAKEN, token, batch, 0, 1, this.ksock.tookRequest);
    }
  }

  /** False when no TAKE of this token waits. */
  cancel(token: number): boolean {
    const at = this.waiting.indexOf(token);
    if (at < 0) return false;
    this.waiting.splice(at, 1);
    this.none(token);
    return true;
  }

  private none(token: number): void {
    this.outbox.words(FrameKind.NONE, 0, token, 0);
  }
}
