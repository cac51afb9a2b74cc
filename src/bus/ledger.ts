import { type MessageBatch, syntheticMessage } from './message-batch.ts';
import { type RequestParty, type RequestRecord, RequestState } from './requests.ts';
import { COSTS } from './settings.ts';

/**
 * The ledger holds one record for each accepted Request, from its send to its one Reply or Status. Nothing else in a bus
 * makes a Status; a client makes `$.KBUS.Bus.GoneAway` when it loses its bus. Promise 1 (spec 1 §0) is this table:
 *
 * | the Request is | and this happens                     | then it is | and the requester gets           |
 * | -------------- | ------------------------------------ | ---------- | -------------------------------- |
 * | waiting        | there is room: the bus delivers it   | unread     |                                  |
 * | waiting        | the requester gives up               | ended      |                                  |
 * | waiting        | there is no Replier any more         | ended      | Status $.KBUS.Replier.Disappeared |
 * | waiting        | it can never be sent                 | ended      | Status $.KBUS.ErrorSending       |
 * | unread         | the Replier reads it                 | read       |                                  |
 * | unread         | the Replier unbinds                  | ended      | Status $.KBUS.Replier.Unbound    |
 * | unread         | the Replier goes away                | ended      | Status $.KBUS.Replier.GoneAway   |
 * | read           | the Replier goes away                | ended      | Status $.KBUS.Replier.Ignored    |
 * | unread, read   | the Replier answers                  | ended      | the Reply                        |
 * | unread, read   | the requester gives up waiting       | ended      |                                  |
 * | any            | the requester goes away              | ended      |                                  |
 *
 * An event without a row changes nothing: for example, the Replier reads a Request that it has answered already.
 */
export const RequestEvent = {
  ACCEPT: 0,
  GIVE_UP: 1,
  NO_REPLIER: 2,
  HOPELESS: 3,
  READ: 4,
  UNBIND: 5,
  ANSWER: 6,
  REPLIER_GONE: 7,
  REQUESTER_GONE: 8,
} as const;
export type RequestEvent = (typeof RequestEvent)[keyof typeof RequestEvent];

export interface Transition {
  readonly to: RequestState;
  /** The name of the Status that ends the Request, if one does. */
  readonly status?: string;
}

const { WAITING, UNREAD, READ, ENDED } = RequestState;
const { ACCEPT, GIVE_UP, NO_REPLIER, HOPELESS, UNBIND, ANSWER, REPLIER_GONE, REQUESTER_GONE } =
  RequestEvent;

/** By state, then by event: numbers, because each Request needs three look-ups. */
export const TRANSITIONS: readonly (readonly (Transition | undefined)[])[] = table([
  [WAITING, ACCEPT, { to: UNREAD }],
  [WAITING, GIVE_UP, { to: ENDED }],
  [WAITING, REQUESTER_GONE, { to: ENDED }],
  [WAITING, NO_REPLIER, { to: ENDED, status: '$.KBUS.Replier.Disappeared' }],
  [WAITING, HOPELESS, { to: ENDED, status: '$.KBUS.ErrorSending' }],
  [UNREAD, RequestEvent.READ, { to: READ }],
  [UNREAD, UNBIND, { to: ENDED, status: '$.KBUS.Replier.Unbound' }],
  [UNREAD, REPLIER_GONE, { to: ENDED, status: '$.KBUS.Replier.GoneAway' }],
  [READ, REPLIER_GONE, { to: ENDED, status: '$.KBUS.Replier.Ignored' }],
  [UNREAD, ANSWER, { to: ENDED }],
  [READ, ANSWER, { to: ENDED }],
  [UNREAD, GIVE_UP, { to: ENDED }],
  [READ, GIVE_UP, { to: ENDED }],
  [UNREAD, REQUESTER_GONE, { to: ENDED }],
  [READ, REQUESTER_GONE, { to: ENDED }],
]);

function table(rows: [RequestState, RequestEvent, Transition][]): (Transition | undefined)[][] {
  return Object.values(RequestState).map((state) =>
    Object.values(RequestEvent).map(
      (event) => rows.find(([from, what]) => from === state && what === event)?.[2],
    ),
  );
}

export class Ledger {
  /** How many Requests are unread or read. There are none when every Ksock is closed. */
  open = 0;
  private readonly answer: (record: RequestRecord, status: MessageBatch) => void;

  /** `answer` gives a Status to its requester. */
  constructor(answer: (record: RequestRecord, status: MessageBatch) => void) {
    this.answer = answer;
  }

  /** The bus has delivered the Request to this Replier; the Reply may have `maxReplySize` bytes. */
  accept(record: RequestRecord, replier: RequestParty, maxReplySize: number): void {
    record.replier = replier;
    record.maxReplySize = maxReplySize;
    this.apply(record, ACCEPT, 0);
    record.requester.outstanding.add(record);
    record.requester.share.hold(COSTS.request);
    this.open++;
  }

  /**
   * Moves a record as the table says, and sends the Status that the table names, if any; `from` is the Ksock id that the
   * Status is from.
   */
  apply(record: RequestRecord, event: RequestEvent, from: number): void {
    const before = record.state;
    const transition = TRANSITIONS[before]?.[event];
    if (transition === undefined) return;
    record.state = transition.to;
    if (transition.to === READ) record.replier?.unreplied.add(record);
    if (transition.to !== ENDED) return;
    if (before !== WAITING) {
      this.open--;
      record.requester.outstanding.remove(record);
      record.requester.share.hold(-COSTS.request);
    }
    if (before === READ) record.replier?.unreplied.remove(record);
    if (transition.status !== undefined) {
      this.answer(record, makeStatus(transition.status, record, from));
    }
  }
}

/** The Status of this name that ends the Request. */
function makeStatus(name: string, record: RequestRecord, from: number): MessageBatch {
  const status = syntheticMessage(name);
  status.from = from;
  status.to = record.requester.id;
  status.replyNetwork = record.network;
  status.replySerial = record.serial;
  return status;
}
