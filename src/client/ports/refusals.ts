import { type PortError, portErrorFor } from './port.ts';

/** The reasons for which a port to a daemon refuses calls and sends. */
export class Refusals {
  /** Why the connection has ended; null while it is open. */
  closedBy: PortError | null = null;
  /** While a refusal is reported: the daemon's reason, or ''. */
  why = '';

  /** The error for the current refusal. */
  error(errno: number): PortError {
    return this.closedBy ?? portErrorFor(errno, this.why);
  }
}
