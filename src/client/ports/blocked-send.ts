import { Op, type OpCode } from '../../message/calls.ts';
import type { MessageId } from '../../message/id.ts';

/** The message of a port that the bus keeps after EAGAIN: until it is sent or discarded, other sends are refused. */
export class BlockedSend {
  isSending = false;
  /** If it is a Request, its id. */
  private request: MessageId | null = null;

  begin(request: MessageId | null): void {
    this.isSending = true;
    if (request !== null) this.request = request;
  }

  /** It was refused for good. */
  end(): void {
    this.request = null;
    this.isSending = false;
  }

  /**
   * A call was answered: if that says that the message was sent or given up, it is the bus's no more. The id of a
   * Request whose answer is to come now, perhaps a Status; null for none.
   */
  noteResult(op: OpCode, first: number): MessageId | null {
    if (!this.isSending) return null;
    // A DISCARD that is not done has let another message take the place of the one that waited.
    const isDone = op === Op.DISCARD ? first === 0 : first !== 0;
    if (op !== Op.RESEND && !((op === Op.POLL || op === Op.DISCARD) && isDone)) return null;
    const { request } = this;
    this.end();
    return op === Op.DISCARD ? null : request;
  }
}
