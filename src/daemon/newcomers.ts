import { Deadlines } from '../base/deadlines.ts';
import { Errno } from '../message/errno.ts';

/** The most connections that have not said HELLO; over WebSocket, as many again have not said ENTER. */
export const MAX_SILENT_CONNECTIONS = 256;

const TOO_MANY = `the client sent no HELLO while ${MAX_SILENT_CONNECTIONS} newer connections came that did not either: connect again, and send it at once`;

/** A connection whose client may not have said HELLO yet. */
export interface Newcomer {
  readonly isSilent: boolean;
  farewell(errno: number, why: string): void;
}

/**
 * The connections of which the daemon waits for HELLO. A client says it at once, so only one that is greedy has many that
 * are silent: with too many, the daemon ends the oldest. To refuse the newest instead would leave an honest client out.
 */
export class Newcomers {
  private readonly silent = new Set<Newcomer>();
  private readonly deadlines: Deadlines<Newcomer>;
  private readonly schedule: (what: () => void) => void;
  private isTrimming = false;

  /**
   * `seconds`: within which a client must say HELLO. `schedule` calls a function after the event loop has reported other
   * events.
   */
  constructor(seconds: number, schedule: (what: () => void) => void = setImmediate) {
    this.schedule = schedule;
    this.deadlines = new Deadlines(seconds * 1000, (one) => {
      this.silent.delete(one);
      if (!one.isSilent) return;
      const timeout = `${seconds} s, the hello-timeout of the daemon`;
      one.farewell(Errno.ETIMEDOUT, `the client sent no HELLO within ${timeout}`);
    });
  }

  /** A connection was made. */
  came(one: Newcomer): void {
    this.silent.add(one);
    this.deadlines.begin(one);
    this.trimSoon();
  }

  private trimSoon(): void {
    if (this.silent.size <= MAX_SILENT_CONNECTIONS || this.isTrimming) return;
    this.isTrimming = true;
    // What a client said before it was accepted is read in the next round of the event loop.
    this.schedule(() => {
      const known = [...this.silent];
      this.schedule(() => this.trim(known));
    });
  }

  /** Ends the oldest of these until no more are silent than may be. */
  private trim(known: readonly Newcomer[]): void {
    this.isTrimming = false;
    for (const one of this.silent) if (!one.isSilent) this.silent.delete(one);
    for (const one of known) {
      if (this.silent.size <= MAX_SILENT_CONNECTIONS) return;
      if (this.silent.delete(one)) one.farewell(Errno.ETIMEDOUT, TOO_MANY);
    }
    this.trimSoon();
  }

  /** It has ended. */
  left(one: Newcomer): void {
    this.silent.delete(one);
    this.deadlines.end(one);
  }

  stop(): void {
    this.deadlines.stop();
  }
}
