import { type PortError, portErrorFor } from './port.ts';

/** Why a port to a daemon refuses what is asked of it. */
export class Refusals {
  /** The connection is over. */
  closedBy: PortError | null = null;
  /** What the daemon says of what is refused at this moment; '' when it says nothing. */
  why = '';

  /** The error for what is refused now. */
  error(errno: number): PortError {
    return this.closedBy ?? portErrorFor(errno, this.why);
  }
}
