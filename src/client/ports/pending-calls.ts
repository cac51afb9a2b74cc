import { NumberMap } from '../../base/number-map.ts';
import type { OpCode } from '../../message/calls.ts';
import { ProtocolError } from '../../wire/protocol.ts';
import type { CallResult, PortError } from './port.ts';

/** A CALL whose answer is to come. */
export interface PendingCall {
  readonly op: OpCode;
  resolve(result: CallResult): void;
  reject(error: PortError): void;
}

/** The CALLs of a port whose answers are to come, by their tokens. */
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

  /** The call that is answered now. A ProtocolError when there is none. */
  take(token: number): PendingCall {
    const call = this.calls.take(token);
    if (call === undefined) throw new ProtocolError(`an answer to ${token}, which was not asked`);
    return call;
  }

  /** The connection is over; `next` is the token that would be next. */
  end(refusal: PortError, next: number): void {
    for (const [, call] of this.calls.oldestFirst(next)) call.reject(refusal);
  }
}
