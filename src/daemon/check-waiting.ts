import type { BusKsock } from '../bus/ksock.ts';
import { LEAST_BYTES } from '../bus/memory.ts';
import { Errno } from '../message/errno.ts';
import { ProtocolError } from '../wire/protocol.ts';
import { EndingError } from './ending-error.ts';

/** The most TAKEs of one connection that may wait; likewise POLLs, and reports. */
export const MAX_WAITING_CALLS = 65_536;

/** Bytes that a waiting call costs: its token in a set. */
export const WAITING_CALL_BYTES = 64;
/** Bytes that a report costs which was begun and is not read to its end: where it stands. */
export const REPORT_BYTES = 2048;

/** Throws a ProtocolError if one more waiting call would exceed the limit. */
export function checkWaiting(waiting: number): void {
  if (waiting < MAX_WAITING_CALLS) return;
  throw new ProtocolError(`a connection may have at most ${MAX_WAITING_CALLS} waiting calls`);
}

/**
 * The same for a TAKE or a POLL, which can't be refused: also an EndingError (ENOMEM) if those that wait take as much as a Ksock may
 * always hold, and it has no room.
 */
export function checkWaitingCall(ksock: BusKsock, waiting: number): void {
  checkWaiting(waiting);
  if (waiting * WAITING_CALL_BYTES < LEAST_BYTES || ksock.hasRoomFor(0)) return;
  const { memory } = ksock.share;
  throw new EndingError(
    Errno.ENOMEM,
    `no memory is free for another of the ${waiting} calls that wait: ${memory.says}`,
  );
}
