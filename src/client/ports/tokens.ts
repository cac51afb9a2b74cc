import type { PendingCalls } from './pending-calls.ts';
import type { PendingReads } from './pending-reads.ts';
import type { PendingRequests } from './pending-requests.ts';

/** The next token after this one; 0 is not a token. */
export function tokenAfter(token: number): number {
  return token === 0xffff_ffff ? 1 : token + 1;
}

/** Makes the tokens of a connection. After 2^32 tokens it starts again, and skips those in use. */
export class Tokens {
  /** The next token, if it is free. */
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
