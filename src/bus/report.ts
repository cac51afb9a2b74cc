import type { Chain, Linked } from '../base/chain.ts';
import type { AccessReport, BindingReport, BusReport, KsockReport } from '../message/reports.ts';
import type { Bus } from './bus.ts';
import type { KsockBinding, KsockState } from './ksock-state.ts';
import type { Queue } from './queue.ts';

/** The bindings of a bus, newest first. */
export function reportBindings(bus: Bus): BindingReport[] {
  return Array.from(bus.routes, (binding) => reportBinding(bus, binding));
}

function reportBinding(bus: Bus, { ksock, replier, name }: KsockBinding): BindingReport {
  const { program, pid, isClaimed: claimed } = ksock.who;
  return { device: bus.number, ksock: ksock.id, program, pid, claimed, replier, name };
}

/** The state of a bus and its Ksocks, newest first. */
export function reportStats(bus: Bus): BusReport {
  return reportOf(
    bus,
    Array.from(bus.openKsocks, (ksock) => reportKsock(bus, ksock)),
  );
}

function reportOf(bus: Bus, ksocks: KsockReport[]): BusReport {
  return {
    device: bus.number,
    nextKsock: bus.nextKsockId,
    nextMessage: bus.nextSerial,
    unsentUnbindings: bus.heldEvents,
    memoryHeld: bus.memory.held,
    maxMemory: bus.memory.limit,
    ksocks,
  };
}

/** About how many characters a piece of a report has at most: to make a long report at once would hold up everybody. */
export const PIECE_LENGTH = 65_536;

/** About how many characters a binding has beside its name, and a Ksock in all. */
const BINDING_LENGTH = 64;
const KSOCK_LENGTH = 420;

/**
 * Gives the pieces of a report, one at each call, of about `most` characters; none may follow the last one. The bus may change between two pieces: what is there all the
 * time is reported once. A report whose next piece nobody asks for keeps nothing in memory that has left the bus.
 */
export type NextPiece<T> = (most: number) => { readonly piece: T; readonly isLast: boolean };

/** The bindings of a bus in pieces of a bounded length, newest first. */
export function bindingPieces(bus: Bus): NextPiece<BindingReport[]> {
  const lengthOf = ({ name }: KsockBinding): number => BINDING_LENGTH + name.length;
  const next = groups(bus.routes.all, lengthOf, ({ ksock }) => ksock.isOpen);
  return (most) => {
    const { members, isLast } = next(most);
    return { piece: members.map((binding) => reportBinding(bus, binding)), isLast };
  };
}

/** The state of a bus in pieces, each with some of its Ksocks, newest first. */
export function statsPieces(bus: Bus): NextPiece<BusReport> {
  const next = groups(
    bus.openKsocks,
    () => KSOCK_LENGTH,
    () => true,
  );
  return (most) => {
    const { members, isLast } = next(most);
    return {
      piece: reportOf(
        bus,
        members.map((ksock) => reportKsock(bus, ksock)),
      ),
      isLast,
    };
  };
}

function groups<T extends Linked<T>>(
  chain: Chain<T>,
  lengthOf: (one: T) => number,
  isShown: (one: T) => boolean,
): (most: number) => { members: T[]; isLast: boolean } {
  const cursor = chain.cursor();
  return (most) => {
    const members: T[] = [];
    for (let length = 0; length < most; ) {
      const one = cursor.next();
      if (one === null) return { members, isLast: true };
      if (!isShown(one)) continue;
      members.push(one);
      length += lengthOf(one);
    }
    return { members, isLast: false };
  };
}

/** Access points in pieces: the names of one may be long. */
export function accessPieces(reports: readonly AccessReport[]): NextPiece<AccessReport[]> {
  let next = 0;
  return (most) => {
    const piece: AccessReport[] = [];
    for (let length = 0; length < most && next < reports.length; next++) {
      const report = reports[next] as AccessReport;
      piece.push(report);
      length += JSON.stringify(report).length;
    }
    return { piece, isLast: next === reports.length };
  };
}

const AT_REST = { readAt: 0, readLength: 0, wroteAt: 0, wrotePart: 'HDR', wroteAll: false };

function reportKsock({ work }: Bus, ksock: KsockState): KsockReport {
  const { queue, unreplied } = ksock;
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
    unreadAge: queue.entries === 0 ? null : work.since(oldestIn(queue)),
    unsentReplyAge: unreplied.oldest === null ? null : work.since(unreplied.oldest.readAt),
    messagesRead: ksock.messagesRead,
    messagesSent: ksock.messagesSent,
    missed: ksock.missed,
    held: ksock.held,
  };
}

/** When the message at the front came. Urgent messages, which overtake others, may be younger. */
function oldestIn(queue: Queue): number {
  return queue.batch(0).queuedAt;
}

/** The text of `bindings` (spec 1 §11.1). */
export function printBindings(device: number, bindings: readonly BindingReport[]): string {
  return `${bindingsHeading(device)}${bindings.map(bindingLine).join('')}`;
}

function bindingsHeading(device: number): string {
  return `# bus ${device}: device: Ksock id, process id, Replier or Listener, name\n`;
}

function bindingLine({ device, ksock, pid, replier, name }: BindingReport): string {
  return `${pad(device, 3)}: ${pad(ksock, 8)} ${pad(pid, 8)}  ${replier ? 'R' : 'L'}  ${name}\n`;
}

/** The original's table of outstanding Requests began with this many entries, and doubled. */
const OUTSTANDING_SIZE = 16;

/** The text of `stats` (spec 1 §11.2). */
export function printStats(bus: BusReport): string {
  return `${statsHeading(bus)}${bus.ksocks.map(ksockLines).join('')}`;
}

function statsHeading({ device, nextKsock, nextMessage, unsentUnbindings }: BusReport): string {
  return `dev ${pad(device, 2)}: next ksock ${nextKsock} next msg ${nextMessage} unsent unbindings ${unsentUnbindings}\n`;
}

function ksockLines(k: KsockReport): string {
  let size = OUTSTANDING_SIZE;
  while (size < k.maxOutstandingRequests) size *= 2;
  return (
    `    ksock ${k.ksock} last msg ${k.lastMessage.networkId}:${k.lastMessage.serialNum} queue ${k.queue} of ${k.maxMessages}\n` +
    `      read byte ${k.readAt} of ${k.readLength}, wrote byte ${k.wroteAt} of ${k.wrotePart} (${k.wroteAll ? '' : 'not '}finished), ${k.sending ? '' : 'not '}sending\n` +
    `      outstanding requests ${k.outstandingRequests} (size ${size}, max ${k.maxOutstandingRequests}), unsent replies ${k.unsentReplies} (max ${k.maxUnsentReplies})\n`
  );
}

/** The text `bindings` of several buses, entry by entry. */
export function* bindingsText(buses: Iterable<Bus>): Generator<string> {
  for (const bus of buses) {
    yield bindingsHeading(bus.number);
    for (const binding of bus.routes) yield bindingLine(reportBinding(bus, binding));
  }
}

/** The text `stats` of several buses, entry by entry. */
export function* statsText(buses: Iterable<Bus>): Generator<string> {
  for (const bus of buses) {
    yield statsHeading(reportOf(bus, []));
    for (const ksock of bus.openKsocks) yield ksockLines(reportKsock(bus, ksock));
  }
}

function pad(value: number, width: number): string {
  return String(value).padStart(width);
}
