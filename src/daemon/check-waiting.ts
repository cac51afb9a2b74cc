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

/**
 * Throws an error if one more call may not wait: a ProtocolError if there are too many, an EndingError (ENOMEM) if those that
 * wait take as many `bytes` as a Ksock may always hold, and it has no room.
 */
export function checkWaiting(ksock: BusKsock, waiting: number, bytes: number): void {
  if (waiting >= MAX_WAITING_CALLS) {
    throw new ProtocolError(`a connection may have at most ${MAX_WAITING_CALLS} waiting calls`);
  }
  if (bytes < LEAST_BYTES || ksock.hasRoomFor(0)) return;
  const { memory } = ksock.share;
  throw new EndingError(
    Errno.ENOMEM,
    `no memory is free for another of the ${waiting} calls that wait: ${memory.says}`,
  );
}
