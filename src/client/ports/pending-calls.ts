import { NumberMap } from '../../base/number-map.ts';
import type { OpCode } from '../../message/calls.ts';
import { notAsked } from './not-asked.ts';
import type { CallResult, PortError } from './port.ts';

/** A CALL without its answer yet. */
export interface PendingCall {
  readonly op: OpCode;
  resolve(result: CallResult): void;
  reject(error: PortError): void;
}

/** The unanswered CALLs of a port, by token. */
export class PendingCalls {
  private readonly calls = new NumberMap<PendingCall>();

  get isEmpty(): boolean {
    return this.calls.size === 0;
  }

  isInUse(token: number): boolean {
    return this.calls.get(token) !== undefined;
  }

  add(token: number, call: PendingCall): void {
    this.calls.set(token, call);
  }

  /** Removes the call with this token. Throws a ProtocolError if there is none. */
  take(token: number): PendingCall {
    const call = this.calls.take(token);
    if (call === undefined) throw notAsked(token);
    return call;
  }

  /** Rejects all calls, oldest first; `next` is the next token. */
  end(refusal: PortError, next: number): void {
    for (const [, call] of this.calls.oldestFirst(next)) call.reject(refusal);
  }
}
