import type { BusKsock } from '../ksock.ts';

/** The calls of a Ksock: each has an argument, and a text where one is named. The protocol uses the same numbers. */
export const Op = {
  /** `argument` 1: as Replier. Text: the name. */
  BIND: 1,
  /** The same. Nothing may be prefetched. */
  UNBIND: 2,
  /** Text: the name. First value: the Ksock id, or 0. */
  FIND_REPLIER: 3,
  MAX_MESSAGES: 4,
  WANT_MESSAGES_ONCE: 5,
  REPORT_REPLIER_BINDS: 6,
  VERBOSE: 7,
  MAX_MESSAGE_SIZE: 8,
  NUM_MESSAGES: 9,
  NUM_UNREPLIED_TO: 10,
  /** Both values: the id. */
  LAST_MSG_ID: 11,
  /** Sends the waiting message again. Both values: its id. */
  RESEND: 12,
  /** First value: 1 when a message that stood behind the discarded one waits now. */
  DISCARD: 13,
  /** First value: whether a message may be written. `argument` 1 waits until it may. */
  POLL: 14,
  /** First value: the number of the new bus, whose socket is there. */
  NEW_DEVICE: 15,
  /**
   * Text: a piece of the report, as JSON. First value: the `argument` that asks for the next piece, or 0 when this is
   * the last. `argument` 0 asks for the first.
   */
  BINDINGS: 16,
  STATS: 17,
  /** The client gives back what it has prefetched: all PREFETCH frames before the answer are void. */
  RECALL: 18,
  /** The daemon acknowledges LAZY sends without delay until none is pending. */
  SYNC: 21,
  /** The Ksock leaves the bus. Nothing follows the answer. */
  CLOSE: 20,
  /** `argument`: the token of a TAKE, POLL or pending SEND to give up; the answer to that one says how it ended. */
  CANCEL: 19,
  /**
   * `argument`: the token of an ANSWERED SEND whose answer nobody waits for any more: no ANSWER with it follows the
   * answer to this call. First value: 1 when the Request was taken back before anybody read it.
   */
  FORGET: 22,
} as const;

export type OpCode = (typeof Op)[keyof typeof Op];

/** The result of a call: one or two values; or, in the first, an error number with its sign changed. */
export interface Outcome {
  readonly first: number;
  readonly second: number;
}

const one = (first: number): Outcome => ({ first, second: 0 });

/**
 * Carries out a call that needs nothing but the bus, for every driver. Null: each driver carries out this call in its own
 * way.
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
    default:
      return null;
  }
}
