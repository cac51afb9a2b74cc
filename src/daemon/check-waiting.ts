import { ProtocolError } from '../wire/protocol.ts';

/** How many TAKEs of one connection may wait, and how many POLLs and reports. */
export const MAX_WAITING = 65_536;

/** A ProtocolError when as many calls wait as may. */
export function checkWaiting(waiting: number): void {
  if (waiting < MAX_WAITING) return;
  throw new ProtocolError(`more calls wait than the ${MAX_WAITING} that a connection may have`);
}
