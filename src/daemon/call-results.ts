import { codeOf } from '../message/errno.ts';
import { wordsFrame } from '../wire/frame.ts';
import { FrameKind } from '../wire/protocol.ts';
import type { Outbox } from './outbox.ts';

/** Writes the answers to CALL frames. */
export class CallResults {
  private readonly outbox: Outbox;

  constructor(outbox: Outbox) {
    this.outbox = outbox;
  }

  result(token: number, first: number, second = 0, text = ''): void {
    if (text === '') this.outbox.words(FrameKind.RESULT, token, 2, first, second);
    else this.outbox.frame(wordsFrame(FrameKind.RESULT, 0, 0, token, [first, second], text));
  }

  /** The bus refused the call; `value` is -errno. */
  refused(token: number, value: number, why = ''): void {
    if (codeOf(-value) === undefined)
      throw new Error(`the bus returned the unknown error ${value}`);
    if (why === '') this.outbox.words(FrameKind.REFUSED, token, 3, -value, 0, 0);
    else this.outbox.frame(wordsFrame(FrameKind.REFUSED, 0, 0, token, [-value, 0, 0], why));
  }
}
