import type { BindingReport, BusReport, KsockReport } from '../message/reports.ts';
import type { Bus } from './bus.ts';
import type { BusKsock } from './ksock.ts';
import type { Binding } from './routes.ts';

export type { BindingReport, BusReport, KsockReport };

/** The bindings of a bus, newest first. */
export function reportBindings(bus: Bus): BindingReport[] {
  return Array.from(bus.routes, (binding) => reportBinding(bus, binding));
}

function reportBinding(bus: Bus, { ksock, replier, name }: Binding): BindingReport {
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

/** A report is made in pieces of about so many characters of JSON: a long one would hold up everybody. */
const PIECE = 65_536;

/** About what a binding has beside its name, and what a Ksock has. */
const BINDING_LENGTH = 64;
const KSOCK_LENGTH = 350;

/**
 * The same in pieces, of which the last is returned. In the meantime the bus may change: what was there at
 * the first and still is at the last is told once.
 */
export function* bindingPieces(bus: Bus): Pieces {
  let piece: BindingReport[] = [];
  let length = 0;
  for (const binding of bus.routes) {
    piece.push(reportBinding(bus, binding));
    length += BINDING_LENGTH + binding.name.length;
    if (length < PIECE) continue;
    yield JSON.stringify(piece);
    piece = [];
    length = 0;
  }
  return JSON.stringify(piece);
}

/** Likewise; each piece has some of the Ksocks. */
export function* statsPieces(bus: Bus): Pieces {
  let ksocks: KsockReport[] = [];
  for (const ksock of bus.ksocks.values()) {
    ksocks.push(reportKsock(ksock));
    if (ksocks.length * KSOCK_LENGTH < PIECE) continue;
    yield JSON.stringify(reportOf(bus, ksocks));
    ksocks = [];
  }
  return JSON.stringify(reportOf(bus, ksocks));
}

export type Pieces = Generator<string, string>;

const AT_REST = { readAt: 0, readLength: 0, wroteAt: 0, wrotePart: 'HDR', wroteAll: false };

function reportKsock(ksock: BusKsock): KsockReport {
  return {
    ksock: ksock.id,
    pid: ksock.pid,
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

/** The text of `bindings` (the specification, section 11). */
export function printBindings(device: number, bindings: readonly BindingReport[]): string {
  const lines = bindings.map(
    ({ device, ksock, pid, replier, name }) =>
      `${pad(device, 3)}: ${pad(ksock, 8)} ${pad(pid, 8)}  ${replier ? 'R' : 'L'}  ${name}\n`,
  );
  return `# bus ${device}: device: Ksock id, process id, Replier or Listener, name\n${lines.join('')}`;
}

/** The original's table of outstanding Requests began with this many entries, and doubled. */
const OUTSTANDING_SIZE = 16;

/** The text of `stats` (the specification, section 11). */
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
