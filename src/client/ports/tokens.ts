import type { PendingCalls } from './pending-calls.ts';
import type { PendingReads } from './pending-reads.ts';
import type { PendingRequests } from './pending-requests.ts';

/** The token behind this one: 0 is none. */
export function tokenAfter(token: number): number {
  return token === 0xffff_ffff ? 1 : token + 1;
}

/** Gives out the tokens of a connection: after 2^32 of them from the start again, without those still in use. */
export class Tokens {
  /** The one that comes next, if it is free. */
  next = 1;
  private readonly requests: PendingRequests;
  private readonly calls: PendingCalls;
  private readonly reads: PendingReads;

  constructor(requests: PendingRequests, calls: PendingCalls, reads: PendingReads) {
    this.requests = requests;
    this.calls = calls;
    this.reads = reads;
  }

  take(): number {
    let token = this.next;
    if (!this.requests.isEmpty || !this.calls.isEmpty) {
      while (this.isInUse(token)) token = tokenAfter(token);
    }
    this.next = tokenAfter(token);
    return token;
  }

  private isInUse(token: number): boolean {
    return this.requests.isInUse(token) || this.calls.isInUse(token) || this.reads.isInUse(token);
  }
}
