import { ProtocolError } from '../wire/protocol.ts';

/** The most TAKEs of one connection that may wait; likewise POLLs, and reports. */
export const MAX_WAITING_CALLS = 65_536;

/** Throws a ProtocolError if one more waiting call would exceed the limit. */
export function checkWaiting(waiting: number): void {
  if (waiting < MAX_WAITING_CALLS) return;
  throw new ProtocolError(`a connection may have at most ${MAX_WAITING_CALLS} waiting calls`);
}

/** Bytes that a waiting call costs: its token in a set. */
export const WAITING_CALL_BYTES = 64;
/** Bytes that a report costs which was begun and is not read to its end: where it stands. */
export const REPORT_BYTES = 2048;
