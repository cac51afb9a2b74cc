import type { Mode } from './calls.ts';

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
  mode: Mode;
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
