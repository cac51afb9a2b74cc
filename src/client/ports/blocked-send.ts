import { Op, type OpCode } from '../../message/calls.ts';
import type { MessageId } from '../../message/id.ts';

/** The message that the bus keeps after EAGAIN. Until it is sent or discarded, the bus refuses other sends. */
export class BlockedSend {
  isSending = false;
  /** The id of the message, if it is a Request. */
  private request: MessageId | null = null;

  begin(request: MessageId | null): void {
    this.isSending = true;
    if (request !== null) this.request = request;
  }

  /** The bus has dropped the message. */
  end(): void {
    this.request = null;
    this.isSending = false;
  }

  /**
   * Notes the result of a call, which may say that the message was sent or discarded. Gives the id of a Request that the
   * bus has sent, or answered with a Status; otherwise null.
   */
  noteResult(op: OpCode, first: number): MessageId | null {
    if (!this.isSending) return null;
    // After a DISCARD with result 1, a send that queued behind the message waits in its place.
    const isDone = op === Op.DISCARD ? first === 0 : first !== 0;
    if (op !== Op.RESEND && !((op === Op.POLL || op === Op.DISCARD) && isDone)) return null;
    const { request } = this;
    this.end();
    return op === Op.DISCARD ? null : request;
  }
}
