import { Op } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { BusKsock } from '../ksock.ts';

/** The result of a call: one or two values; or, in the first, an error number with its sign changed. */
export interface Outcome {
  readonly first: number;
  readonly second: number;
}

const one = (first: number): Outcome => ({ first, second: 0 });

/**
 * Carries out a call that needs nothing but the bus, for every driver. Null: each driver carries out this call in its own
 * way, and the Ksock has the right to it.
 */
export function perform(
  ksock: BusKsock,
  op: number,
  argument: number,
  text: string,
): Outcome | null {
  switch (op) {
    case Op.BIND:
      return one(ksock.bind(text, argument !== 0));
    case Op.UNBIND:
      return one(ksock.unbind(text, argument !== 0));
    case Op.FIND_REPLIER:
      return one(ksock.findReplier(text));
    case Op.MAX_MESSAGES:
      return one(ksock.maxMessages(argument));
    case Op.WANT_MESSAGES_ONCE:
      return one(ksock.wantMessagesOnce(argument));
    case Op.HEAR_OWN:
      return one(ksock.hearOwn(argument));
    case Op.REPORT_REPLIER_BINDS:
      return one(ksock.reportReplierBinds(argument));
    case Op.VERBOSE:
      return one(ksock.verbose(argument));
    case Op.MAX_MESSAGE_SIZE:
      return one(ksock.maxMessageSize(argument));
    case Op.NUM_MESSAGES:
      return one(ksock.numMessages);
    case Op.NUM_UNREPLIED_TO:
      return one(ksock.numUnrepliedTo);
    case Op.LAST_MSG_ID:
      return { first: ksock.lastNetwork, second: ksock.lastSerial };
    case Op.KICK:
      return one(ksock.kick(argument));
    case Op.NEW_DEVICE:
      return ksock.has('manage') ? null : one(-Errno.EACCES);
    case Op.BINDINGS:
    case Op.STATS:
      return ksock.mayReport ? null : one(-Errno.EACCES);
    default:
      return null;
  }
}
