import { Deadlines } from '../base/deadlines.ts';
import { Errno } from '../message/errno.ts';

/** The most connections that have long not said HELLO; over WebSocket, as many again are no Ksock yet. */
export const MAX_SILENT_CONNECTIONS = 256;

/** So long a client has for it, however many others do not say it: it does not wait longer for the answer itself. */
const USUAL_SECONDS = 5;

const TOO_MANY = `the client sent no HELLO within ${USUAL_SECONDS} s, and ${MAX_SILENT_CONNECTIONS} newer connections did not either`;

/** A connection whose client may not have said HELLO yet. */
export interface Newcomer {
  readonly isSilent: boolean;
  farewell(errno: number, why: string): void;
}

/**
 * The connections of which the daemon waits for HELLO. A client says it soon, even if it opens thousands of Ksocks at once, so
 * only one that is greedy has many that are silent for long: of those, the daemon ends the oldest. To refuse the newest
 * instead would leave honest clients out.
 */
export class Newcomers {
  /** Those that have been silent for long. */
  private readonly silent = new Set<Newcomer>();
  private readonly usual: Deadlines<Newcomer>;
  private readonly last: Deadlines<Newcomer>;
  private readonly put: (what: () => void) => void;

  /** `seconds`: within which a client must say HELLO. `put` does something now, or in a later turn. */
  constructor(seconds: number, put: (what: () => void) => void) {
    this.put = put;
    this.usual = new Deadlines(USUAL_SECONDS * 1000, (one) => this.isLate(one));
    this.last = new Deadlines(seconds * 1000, (one) => {
      const timeout = `${seconds} s, the hello-timeout of the daemon`;
      this.end(one, `the client sent no HELLO within ${timeout}`);
    });
  }

  /** A connection was made. */
  came(one: Newcomer): void {
    this.usual.begin(one);
    this.last.begin(one);
  }

  private isLate(one: Newcomer): void {
    if (!one.isSilent) return;
    this.silent.add(one);
    for (const oldest of this.silent) {
      if (this.silent.size <= MAX_SILENT_CONNECTIONS) return;
      this.end(oldest, TOO_MANY);
    }
  }

  /** Thousands may end together. */
  private end(one: Newcomer, why: string): void {
    this.silent.delete(one);
    this.put(() => {
      if (one.isSilent) one.farewell(Errno.ETIMEDOUT, why);
    });
  }

  /** It has ended. */
  left(one: Newcomer): void {
    this.silent.delete(one);
    this.usual.end(one);
    this.last.end(one);
  }

  stop(): void {
    this.usual.stop();
    this.last.stop();
  }
}
