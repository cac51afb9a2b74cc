import type { Bus } from './bus.ts';
import type { BusKsock } from './ksock.ts';

/** One binding, as told to people and programs. */
export interface BindingReport {
  device: number;
  ksock: number;
  /** As the program says of itself. */
  pid: number;
  replier: boolean;
  name: string;
}

export interface KsockReport {
  ksock: number;
  pid: number;
  mode: 'r' | 'rw';
  lastMessage: { networkId: number; serialNum: number };
  queue: number;
  maxMessages: number;
  readAt: number;
  readLength: number;
  wroteAt: number;
  wrotePart: string;
  wroteAll: boolean;
  sending: boolean;
  outstandingRequests: number;
  maxOutstandingRequests: number;
  unsentReplies: number;
  maxUnsentReplies: number;
  /** Messages missed as a listener because the queue was full. */
  missed: number;
}

export interface BusReport {
  device: number;
  nextKsock: number;
  nextMessage: number;
  unsentUnbindings: number;
  ksocks: KsockReport[];
}

/** The bindings of a bus, newest first. */
export function reportBindings(bus: Bus): BindingReport[] {
  return [...bus.routes]
    .sort((a, b) => b.order - a.order)
    .map(({ ksock, replier, name }) => ({
      device: bus.number,
      ksock: ksock.id,
      pid: ksock.pid,
      replier,
      name,
    }));
}

/** The state of a bus and its Ksocks, newest first. */
export function reportStats(bus: Bus): BusReport {
  return {
    device: bus.number,
    nextKsock: bus.nextKsockId,
    nextMessage: bus.nextSerial,
    unsentUnbindings: bus.heldEvents,
    ksocks: [...bus.ksocks.values()].reverse().map(reportKsock),
  };
}

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
