import { NumberMap } from '../message/number-map.ts';
import type { BusKsock } from './ksock.ts';
import { type Parcel, syntheticParcel } from './parcel.ts';

/**
 * The ledger holds one record for each Request that was accepted, from its send to its one Reply or
 * Status. It is the only maker of Statuses; promise 1 (spec 1 §0) is this table:
 *
 * | the Request is | and this happens                     | then it is | and the requester gets           |
 * | -------------- | ------------------------------------ | ---------- | -------------------------------- |
 * | waiting        | there is room: the send is done      | unread     |                                  |
 * | waiting        | the requester gives up, or is told   | ended      |                                  |
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
 * Whatever the table has no row for changes nothing: e.g. reading a Request that was answered before
 * it was read.
 */
export const RequestState = { WAITING: 0, UNREAD: 1, READ: 2, ENDED: 3 } as const;
export type RequestState = (typeof RequestState)[keyof typeof RequestState];

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

/** By state, then by event. Numbers, for this is looked up three times for each Request. */
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

/**
 * One Request: who asked, who must answer, and how far it is. It knows the message by its id alone, so that
 * the memory of one that was read is free, however long its Reply takes.
 */
export class RequestRecord {
  readonly network: number;
  readonly serial: number;
  readonly requester: BusKsock;
  /** By which the requester's driver knows the answer again; -1: the answer goes into the queue. */
  readonly token: number;
  replier: BusKsock | null = null;
  state: RequestState = WAITING;
  /** Its Reply may be as large as messages could be when it was accepted, in bytes. */
  maxReplySize = 0;
  /** How many Requests its requester had sent before. */
  order = 0;
  /** A later Request of the same requester with the same id: Limpets' ids may come twice. */
  next: RequestRecord | null = null;
  // Its neighbours among those that its Replier has read and not answered.
  older: RequestRecord | null = null;
  newer: RequestRecord | null = null;

  constructor(network: number, serial: number, requester: BusKsock, token: number) {
    this.network = network;
    this.serial = serial;
    this.requester = requester;
    this.token = token;
  }
}

const limpetKey = (network: number, serial: number): string => `${network}:${serial}`;

/** The Requests that a Ksock sent and that are not answered yet. */
export class Outstanding {
  private readonly ours = new NumberMap<RequestRecord>();
  /** Those that have a Limpet's id, by it; null when there never was one. */
  private limpets: Map<string, RequestRecord> | null = null;
  /** Those whose answer goes to their requester's driver, by its token. */
  private readonly tokens = new NumberMap<RequestRecord>();
  private added = 0;
  size = 0;
  /** The most there ever were at once. */
  max = 0;

  add(record: RequestRecord): void {
    const { network, serial } = record;
    record.order = this.added++;
    if (record.token >= 0) this.tokens.set(record.token, record);
    let last = this.first(network, serial);
    if (last === undefined) {
      this.put(record);
    } else {
      while (last.next !== null) last = last.next;
      last.next = record;
    }
    this.size++;
    if (this.size > this.max) this.max = this.size;
  }

  remove(record: RequestRecord): void {
    const { network, serial, token } = record;
    if (this.tokens.get(token) === record) this.tokens.take(token);
    const first = this.first(network, serial);
    if (first === record) {
      if (record.next !== null) this.put(record.next);
      else if (network === 0) this.ours.take(serial);
      else this.limpets?.delete(limpetKey(network, serial));
    } else {
      let before = first as RequestRecord;
      while (before.next !== record) before = before.next as RequestRecord;
      before.next = record.next;
    }
    record.next = null;
    this.size--;
  }

  byToken(token: number): RequestRecord | null {
    return this.tokens.get(token) ?? null;
  }

  /** The Ksock that the oldest Request of this id was given to. */
  replierOf(network: number, serial: number): BusKsock | null {
    return this.first(network, serial)?.replier ?? null;
  }

  private first(network: number, serial: number): RequestRecord | undefined {
    return network === 0 ? this.ours.get(serial) : this.limpets?.get(limpetKey(network, serial));
  }

  private put(record: RequestRecord): void {
    const { network, serial } = record;
    if (network === 0) {
      this.ours.set(serial, record);
    } else {
      this.limpets ??= new Map();
      this.limpets.set(limpetKey(network, serial), record);
    }
  }

  /**
   * The oldest Request of this id that was given to this Replier and read. Only if it read none, one
   * that is unread: else a Reply would end that one, and leave the one that it answers without.
   */
  find(network: number, serial: number, replier: BusKsock): RequestRecord | null {
    let unread: RequestRecord | null = null;
    let record = this.first(network, serial) ?? null;
    for (; record !== null; record = record.next) {
      if (record.replier !== replier) continue;
      if (record.state === READ) return record;
      unread ??= record;
    }
    return unread;
  }

  /** All of them, oldest first; the ledger may change while they are walked. */
  all(): RequestRecord[] {
    const all: RequestRecord[] = [];
    for (let record of [...this.ours.values(), ...(this.limpets?.values() ?? [])]) {
      for (;;) {
        all.push(record);
        if (record.next === null) break;
        record = record.next;
      }
    }
    return all.sort((a, b) => a.order - b.order);
  }
}

/** The Requests that a Replier has read and not answered. */
export class Unreplied {
  private newest: RequestRecord | null = null;
  size = 0;

  add(record: RequestRecord): void {
    record.older = this.newest;
    if (this.newest !== null) this.newest.newer = record;
    this.newest = record;
    this.size++;
  }

  /** It must be there. */
  remove(record: RequestRecord): void {
    const { older, newer } = record;
    if (older !== null) older.newer = newer;
    if (newer === null) this.newest = older;
    else newer.older = older;
    record.older = null;
    record.newer = null;
    this.size--;
  }

  /** All of them, newest first; the ledger may change while they are walked. */
  newestFirst(): RequestRecord[] {
    const all: RequestRecord[] = [];
    for (let record = this.newest; record !== null; record = record.older) all.push(record);
    return all;
  }
}

export class Ledger {
  /** Records that are unread or read. When every Ksock is closed there are none. */
  open = 0;
  private readonly answer: (record: RequestRecord, status: Parcel) => void;

  /** `answer` gives a Status to its requester. */
  constructor(answer: (record: RequestRecord, status: Parcel) => void) {
    this.answer = answer;
  }

  /** The Request was delivered to this Replier, whose Reply may have so many bytes. */
  accept(record: RequestRecord, replier: BusKsock, maxReplySize: number): void {
    record.replier = replier;
    record.maxReplySize = maxReplySize;
    this.apply(record, ACCEPT, 0);
    record.requester.outstanding.add(record);
    this.open++;
  }

  /**
   * Moves a record as the table says, and ends it with the Status that the table names; `from` is the
   * Ksock id that the Status is from.
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
    }
    if (before === READ) record.replier?.unreplied.remove(record);
    if (transition.status !== undefined) {
      const status = syntheticParcel(transition.status);
      status.from = from;
      status.to = record.requester.id;
      status.replyNetwork = record.network;
      status.replySerial = record.serial;
      this.answer(record, status);
    }
  }
}
