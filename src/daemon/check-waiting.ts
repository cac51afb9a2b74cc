import { ProtocolError } from '../wire/protocol.ts';

/** The most TAKEs of one connection that may wait; likewise POLLs, and reports. */
export const MAX_WAITING_CALLS = 65_536;

/** Throws a ProtocolError if one more waiting call would exceed the limit. */
export function checkWaiting(waiting: number): void {
  if (waiting < MAX_WAITING_CALLS) return;
  throw new ProtocolError(`a connection may have at most ${MAX_WAITING_CALLS} waiting calls`);
}
