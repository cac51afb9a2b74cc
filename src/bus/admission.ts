import { Errno } from '../message/errno.ts';
import { checkFlags } from '../message/flags.ts';
import { checkMessageName, MAX_NAME } from '../message/name.ts';
import type { BusState } from './bus-state.ts';
import type { KsockState } from './ksock-state.ts';
import type { MessageBatch } from './message-batch.ts';
import { SMALL_REPLY_BYTES } from './settings.ts';

/** Whether the bus takes a message at all: is it well formed, not too large, and is there memory for it? */
export class Admission {
  private readonly state: BusState;

  constructor(state: BusState) {
    this.state = state;
  }

  /**
   * spec 1 §6.1: 0, or EINVAL, ENAMETOOLONG, EMSGSIZE or EBADMSG, in the order in which the bytes of a message
   * show what is wrong with it (spec 2 §4.2); then EACCES (spec 1 §13.2). Of a batch, it looks at the name of the first.
   */
  check(sender: KsockState, batch: MessageBatch): number {
    const { name } = batch;
    if (name.length === 0) return Errno.EINVAL;
    if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
    const wrongFlags = checkFlags(batch.flags, batch.isReply);
    if (wrongFlags !== 0) return wrongFlags;
    if (batch.largest > this.state.largestMessage) {
      const { count, to, replyNetwork, replySerial } = batch;
      if (count > 1 || !batch.isReply) return Errno.EMSGSIZE;
      const most = this.maxReplySize(sender, to, replyNetwork, replySerial);
      if (batch.largest > most) return Errno.EMSGSIZE;
    }
    const wrongName = this.state.routes.known(name) === undefined ? checkMessageName(name) : 0;
    if (sender.access === null || wrongName !== 0) return wrongName;
    return sender.access.maySend(name, batch.isReply) ? 0 : Errno.EACCES;
  }

  /** A Reply may be as large as messages could be when its Request was accepted (spec 1 §13.4). */
  maxReplySize(sender: KsockState, to: number, network: number, serial: number): number {
    const { ksocks, largestMessage } = this.state;
    const request = ksocks.get(to)?.outstanding.find(network, serial, sender);
    return Math.max(largestMessage, request?.maxReplySize ?? 0);
  }

  /** Whether there is memory for a message. A full bus must not keep small Replies back, since Replies make room. */
  hasBytesFor(batch: MessageBatch): boolean {
    if (this.state.memory.free >= batch.cost) return true;
    return batch.isReply && batch.size <= SMALL_REPLY_BYTES;
  }

  /**
   * Whether the requester may get a Reply of this size. It may not leave Replies without end unread; but a Reply of up to
   * SMALL_REPLY_BYTES takes the room of its Request, so that there can always be an answer.
   */
  mayAnswer(requester: KsockState, size: number): boolean {
    return this.state.memory.allows(requester.held + size, size);
  }
}
