import { NumberMap } from '../base/number-map.ts';
import { put, type Table } from '../base/wide-map.ts';
import { MAX_SAME_IDS } from './settings.ts';

/** How far a Request is, from its send to its one Reply or Status: see the table of the ledger. */
export const RequestState = { WAITING: 0, UNREAD: 1, READ: 2, ENDED: 3 } as const;
export type RequestState = (typeof RequestState)[keyof typeof RequestState];

/** What the records of Requests need to know of the Ksock that asks, or answers. */
export interface RequestParty {
  readonly id: number;
  /** The Requests that it sent and that are not answered yet. */
  readonly outstanding: Outstanding;
  /** The Requests that it has read and not answered. */
  readonly unreplied: Unreplied;
  /** Counts the memory of its Requests. */
  readonly share: { hold(bytes: number): void };
}

/**
 * The record of one Request: who asked, who must answer, and its state. It refers to the message by its id alone, so the
 * memory of a message that was read is free, however long the Reply takes.
 */
export class RequestRecord {
  readonly network: number;
  readonly serial: number;
  readonly requester: RequestParty;
  /** Identifies the answer to the requester's driver; -1: the answer goes into the queue. */
  readonly token: number;
  replier: RequestParty | null = null;
  state: RequestState = RequestState.WAITING;
  /** Largest size of the Reply in bytes: the maximum when the bus accepted the Request. */
  maxReplySize = 0;
  /** When its Replier read it, as `Work.now` says. */
  readAt = -1;
  /** It has left the queue of its Replier, and its Status follows. */
  isOwed = false;
  /** A later Request of the same requester with the same id: ids from Limpets may come twice. */
  next: RequestRecord | null = null;
  // Neighbours in the list of the Requests that its Replier has read and not answered.
  older: RequestRecord | null = null;
  newer: RequestRecord | null = null;

  constructor(network: number, serial: number, requester: RequestParty, token: number) {
    this.network = network;
    this.serial = serial;
    this.requester = requester;
    this.token = token;
  }
}

const limpetKey = (network: number, serial: number): string => `${network}:${serial}`;

/** The unanswered Requests that a Ksock sent. */
export class Outstanding {
  private readonly ours = new NumberMap<RequestRecord>();
  /** Requests with a Limpet's id, by that id; null when there never was one. */
  private limpets: Table<string, RequestRecord> | null = null;
  /** Requests whose answer goes to the requester's driver, by token. */
  private readonly tokens = new NumberMap<RequestRecord>();
  size = 0;
  /** The most that there were at once. */
  max = 0;

  add(record: RequestRecord): void {
    const { network, serial } = record;
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
  replierOf(network: number, serial: number): RequestParty | null {
    return this.first(network, serial)?.replier ?? null;
  }

  /** Whether so many have this id that there can't be another. */
  hasSameId(network: number, serial: number): boolean {
    let count = 0;
    let record = this.first(network, serial) ?? null;
    for (; record !== null; record = record.next) count++;
    return count >= MAX_SAME_IDS;
  }

  private first(network: number, serial: number): RequestRecord | undefined {
    return network === 0 ? this.ours.get(serial) : this.limpets?.get(limpetKey(network, serial));
  }

  private put(record: RequestRecord): void {
    const { network, serial } = record;
    if (network === 0) {
      this.ours.set(serial, record);
    } else {
      this.limpets = put(this.limpets, limpetKey(network, serial), record);
    }
  }

  /**
   * The oldest Request of this id that this Replier has read. Only if it has read none, an unread one: otherwise a Reply
   * would end the unread Request, and leave the one that it answers without an answer.
   */
  find(network: number, serial: number, replier: RequestParty): RequestRecord | null {
    let unread: RequestRecord | null = null;
    let record = this.first(network, serial) ?? null;
    for (; record !== null; record = record.next) {
      if (record.replier !== replier) continue;
      if (record.state === RequestState.READ) return record;
      unread ??= record;
    }
    return unread;
  }

  /** One of them, until there are none. */
  any(): RequestRecord | null {
    const ours = this.ours.any();
    if (ours !== undefined || this.limpets === null) return ours ?? null;
    const [limpets = null] = this.limpets.values();
    return limpets;
  }
}

/** The Requests that a Replier has read and not answered. */
export class Unreplied {
  /** The one that was read last. */
  newest: RequestRecord | null = null;
  /** The one that was read first. */
  oldest: RequestRecord | null = null;
  size = 0;

  add(record: RequestRecord): void {
    record.older = this.newest;
    if (this.newest !== null) this.newest.newer = record;
    else this.oldest = record;
    this.newest = record;
    this.size++;
  }

  /** The record must be there. */
  remove(record: RequestRecord): void {
    const { older, newer } = record;
    if (older !== null) older.newer = newer;
    else this.oldest = newer;
    if (newer === null) this.newest = older;
    else newer.older = older;
    record.older = null;
    record.newer = null;
    this.size--;
  }

  /** All of them, the newest first. */
  *[Symbol.iterator](): Generator<RequestRecord> {
    for (let record = this.newest; record !== null; record = record.older) yield record;
  }
}
