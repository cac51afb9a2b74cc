import { Deadlines } from '../base/deadlines.ts';
import { Errno } from '../message/errno.ts';
import type { Session } from './session.ts';

/** How many connections a full daemon has for Ksocks that only manage, and for how long each. */
const RESERVED_CONNECTIONS = 16;
const RESERVED_S = 10;

/**
 * The connections of a full daemon that are kept for Ksocks that only manage: so there is always a way to look who holds
 * all the others (`kbus stats`), and to end those (`kbus kick`).
 */
export class Reserve {
  private readonly visits: Deadlines<Session>;
  private readonly visitors = new Set<Session>();

  constructor(seconds = RESERVED_S) {
    const why = `the daemon has as many connections as it may (max-connections), so a Ksock that manages it is ended after ${seconds} s`;
    this.visits = new Deadlines(seconds * 1000, (session) => session.farewell(Errno.ENOMEM, why));
  }

  /** How many of the connections are in the reserve. */
  get size(): number {
    return this.visitors.size;
  }

  /** Takes a connection in; false if there is no room. One that has not said HELLO yet makes room for a new one. */
  admit(session: Session, full: string): boolean {
    if (this.visitors.size >= RESERVED_CONNECTIONS) {
      const silent = [...this.visitors].find((one) => one.isSilent);
      if (silent === undefined) return false;
      silent.farewell(Errno.ENOMEM, full);
      this.end(silent);
    }
    this.visitors.add(session);
    this.visits.begin(session);
    return true;
  }

  /** The connection has ended. */
  end(session: Session): void {
    if (this.visitors.delete(session)) this.visits.end(session);
  }

  stop(): void {
    this.visits.stop();
  }
}
