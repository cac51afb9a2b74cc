import type { AccessReport, BindingReport, BusReport, KsockReport } from '../message/reports.ts';
import type { Bus } from './bus.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';

/** The bindings of a bus, newest first. */
export function reportBindings(bus: Bus): BindingReport[] {
  return Array.from(bus.routes, (binding) => reportBinding(bus, binding));
}

function reportBinding(bus: Bus, { ksock, replier, name }: KsockBinding): BindingReport {
  return { device: bus.number, ksock: ksock.id, pid: ksock.pid, replier, name };
}

/** The state of a bus and its Ksocks, newest first. */
export function reportStats(bus: Bus): BusReport {
  return reportOf(bus, [...bus.ksocks.values()].reverse().map(reportKsock));
}

function reportOf(bus: Bus, ksocks: KsockReport[]): BusReport {
  return {
    device: bus.number,
    nextKsock: bus.nextKsockId,
    nextMessage: bus.nextSerial,
    unsentUnbindings: bus.heldEvents,
    ksocks,
  };
}

/** About how many characters of JSON a piece of a report has: to make a long report at once would hold up everybody. */
const PIECE_LENGTH = 65_536;

/** About how many characters of JSON a binding has beside its name, and a Ksock in all. */
const BINDING_LENGTH = 64;
const KSOCK_LENGTH = 420;

/**
 * The same in pieces of JSON; the generator returns the last one. The bus may change between two pieces: a binding that is
 * there all the time is reported once.
 */
export function* bindingPieces(bus: Bus): Pieces {
  let piece: BindingReport[] = [];
  let length = 0;
  for (const binding of bus.routes) {
    piece.push(reportBinding(bus, binding));
    length += BINDING_LENGTH + binding.name.length;
    if (length < PIECE_LENGTH) continue;
    yield JSON.stringify(piece);
    piece = [];
    length = 0;
  }
  return JSON.stringify(piece);
}

/** The state of a bus in pieces, each with some of its Ksocks. */
export function* statsPieces(bus: Bus): Pieces {
  let ksocks: KsockReport[] = [];
  for (const ksock of bus.ksocks.values()) {
    ksocks.push(reportKsock(ksock));
    if (ksocks.length * KSOCK_LENGTH < PIECE_LENGTH) continue;
    yield JSON.stringify(reportOf(bus, ksocks));
    ksocks = [];
  }
  return JSON.stringify(reportOf(bus, ksocks));
}

/** Access points in pieces, one in each: the names of one may be long. */
export function* accessPieces(reports: readonly AccessReport[]): Pieces {
  for (const report of reports.slice(0, -1)) yield JSON.stringify([report]);
  return JSON.stringify(reports.slice(-1));
}

export type Pieces = Generator<string, string>;

const AT_REST = { readAt: 0, readLength: 0, wroteAt: 0, wrotePart: 'HDR', wroteAll: false };

function reportKsock(ksock: KsockState): KsockReport {
  return {
    ksock: ksock.id,
    program: ksock.who.program,
    pid: ksock.pid,
    uid: ksock.who.uid,
    claimed: ksock.who.isClaimed,
    mode: ksock.mode,
    lastMessage: { networkId: ksock.lastNetwork, serialNum: ksock.lastSerial },
    queue: ksock.numMessages,
    maxMessages: ksock.limit,
    ...AT_REST,
    ...ksock.progress?.(),
    sending: ksock.isSending,
    outstandingRequests: ksock.outstanding.size,
    maxOutstandingRequests: ksock.outstanding.max,
    unsentReplies: ksock.numUnrepliedTo,
    maxUnsentReplies: ksock.maxUnreplied,
    missed: ksock.missed,
  };
}

/** The text of `bindings` (spec 1 §11.1). */
export function printBindings(device: number, bindings: readonly BindingReport[]): string {
  const lines = bindings.map(
    ({ device, ksock, pid, replier, name }) =>
      `${pad(device, 3)}: ${pad(ksock, 8)} ${pad(pid, 8)}  ${replier ? 'R' : 'L'}  ${name}\n`,
  );
  return `# bus ${device}: device: Ksock id, process id, Replier or Listener, name\n${lines.join('')}`;
}

/** The original's table of outstanding Requests began with this many entries, and doubled. */
const OUTSTANDING_SIZE = 16;

/** The text of `stats` (spec 1 §11.2). */
export function printStats(bus: BusReport): string {
  const { device, nextKsock, nextMessage, unsentUnbindings } = bus;
  let text = `dev ${pad(device, 2)}: next ksock ${nextKsock} next msg ${nextMessage} unsent unbindings ${unsentUnbindings}\n`;
  for (const k of bus.ksocks) {
    let size = OUTSTANDING_SIZE;
    while (size < k.maxOutstandingRequests) size *= 2;
    text +=
      `    ksock ${k.ksock} last msg ${k.lastMessage.networkId}:${k.lastMessage.serialNum} queue ${k.queue} of ${k.maxMessages}\n` +
      `      read byte ${k.readAt} of ${k.readLength}, wrote byte ${k.wroteAt} of ${k.wrotePart} (${k.wroteAll ? '' : 'not '}finished), ${k.sending ? '' : 'not '}sending\n` +
      `      outstanding requests ${k.outstandingRequests} (size ${size}, max ${k.maxOutstandingRequests}), unsent replies ${k.unsentReplies} (max ${k.maxUnsentReplies})\n`;
  }
  return text;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width);
}
