import type { AccessReport, BindingReport, BusReport, KsockReport } from '../message/reports.ts';

/** How deep the values of a report may be nested, and how long its texts may be. */
const MAX_DEPTH = 8;
const MAX_TEXT_LENGTH = 4096;

const BINDING: Fields<BindingReport> = {
  device: 'number',
  ksock: 'number',
  program: 'string',
  pid: 'number',
  claimed: 'boolean',
  replier: 'boolean',
  name: 'string',
};

const KSOCK: Fields<KsockReport> = {
  ksock: 'number',
  program: 'string',
  pid: 'number',
  uid: 'integer',
  claimed: 'boolean',
  mode: 'string',
  lastMessage: 'object',
  queue: 'number',
  maxMessages: 'number',
  readAt: 'number',
  readLength: 'number',
  wroteAt: 'number',
  wrotePart: 'string',
  wroteAll: 'boolean',
  sending: 'boolean',
  outstandingRequests: 'number',
  maxOutstandingRequests: 'number',
  unsentReplies: 'number',
  maxUnsentReplies: 'number',
  unreadAge: 'age',
  unsentReplyAge: 'age',
  messagesRead: 'number',
  messagesSent: 'number',
  missed: 'number',
  held: 'number',
};

const BUS: Fields<BusReport> = {
  device: 'number',
  nextKsock: 'number',
  nextMessage: 'number',
  unsentUnbindings: 'number',
  memoryHeld: 'number',
  maxMemory: 'number',
  ksocks: 'object',
};

const ACCESS: Fields<Pick<AccessReport, 'device' | 'name' | 'path' | 'mode' | 'rights' | 'web'>> = {
  device: 'number',
  name: 'string',
  path: 'string',
  mode: 'string',
  rights: 'object',
  web: 'string',
};

/** A `number` is a whole one from 0 on; an `age` is one, or null. */
type Fields<T> = Readonly<
  Record<keyof T, 'number' | 'integer' | 'age' | 'string' | 'boolean' | 'object'>
>;

// A daemon's reports are as little trusted as its frames. Each function throws a TypeError for another value.

/** What a piece of each kind of report has. */
export interface ReportPieces {
  bindings: BindingReport[];
  accessPoints: AccessReport[];
  stats: BusReport;
}

export type ReportKind = keyof ReportPieces;

/** The bindings in a piece of a report. */
function bindingsOf(value: unknown): BindingReport[] {
  if (!Array.isArray(value)) throw new TypeError('a report of bindings is not an array');
  return value.map((one) => withFields<BindingReport>(one, BINDING, 'a binding'));
}

/** The access points in a piece of a report. */
function accessPointsOf(value: unknown): AccessReport[] {
  if (!Array.isArray(value)) throw new TypeError('a report of access points is not an array');
  for (const one of value) {
    const { owner, group, ...lists } = withFields<AccessReport>(one, ACCESS, 'an access point');
    for (const id of [owner, group]) {
      if (id !== null && !Number.isSafeInteger(id))
        throw new TypeError(`'${id}' is no user or group`);
    }
    for (const list of [lists.rights, lists.send, lists.listen, lists.reply]) {
      const isList = Array.isArray(list) && list.every((text) => typeof text === 'string');
      if (!isList && list !== null) throw new TypeError('an access point has a list that is none');
    }
  }
  return value;
}

/** The bus, with some of its Ksocks, in a piece of a report. */
function statsOf(value: unknown): BusReport {
  const report = withFields<BusReport>(value, BUS, 'a report of statistics');
  if (!Array.isArray(report.ksocks)) throw new TypeError('the Ksocks of a report are not an array');
  for (const ksock of report.ksocks) {
    const { lastMessage } = withFields<KsockReport>(ksock, KSOCK, 'a Ksock');
    withFields(lastMessage, { networkId: 'number', serialNum: 'number' }, 'the id of a message');
  }
  return report;
}

function withFields<T extends object>(value: unknown, fields: Partial<Fields<T>>, what: string): T {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${what} is no object`);
  const all = value as Record<string, unknown>;
  for (const [name, type] of Object.entries(fields)) {
    const field = all[name];
    const isInteger = Number.isSafeInteger(field);
    const isRight =
      type === 'age' && field === null
        ? true
        : type === 'number' || type === 'age'
          ? isInteger && (field as number) >= 0
          : type === 'integer'
            ? isInteger
            : typeof field === type && field !== null;
    if (!isRight) {
      throw new TypeError(`'${name}' of ${what} is no ${type === 'number' ? 'count' : type}`);
    }
  }
  // A newer daemon may report more.
  if (!isTame(value, MAX_DEPTH)) throw new TypeError(`${what} is nested, or has a text, too far`);
  return value as T;
}

function isTame(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.length <= MAX_TEXT_LENGTH;
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((one) => isTame(one, depth - 1));
}

export const checked: { readonly [K in ReportKind]: (value: unknown) => ReportPieces[K] } = {
  bindings: bindingsOf,
  accessPoints: accessPointsOf,
  stats: statsOf,
};
