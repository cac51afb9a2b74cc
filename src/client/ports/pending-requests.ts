import { NumberMap } from '../../base/number-map.ts';
import type { Message } from '../../message/message.ts';
import { ProtocolError } from '../../wire/protocol.ts';
import type { PendingRequest } from './port.ts';

/** The Requests of a port whose answers come as ANSWER, by their tokens. */
export class PendingRequests {
  private readonly requests = new NumberMap<PendingRequest>();
  /** Tokens of Requests that were given up, of which the daemon may not have heard yet. */
  private readonly forgotten = new Set<number>();

  get isEmpty(): boolean {
    return this.requests.size === 0 && this.forgotten.size === 0;
  }

  isInUse(token: number): boolean {
    return this.requests.get(token) !== undefined || this.forgotten.has(token);
  }

  add(token: number, request: PendingRequest): void {
    request.token = token;
    this.requests.set(token, request);
  }

  /** The Request of this token, which is not pending any more; undefined when there is none. */
  take(token: number): PendingRequest | undefined {
    return this.requests.take(token);
  }

  isForgotten(token: number): boolean {
    return this.forgotten.has(token);
  }

  /** Nobody waits for it, but its answer may come until the daemon has heard of that: see `heard`. */
  forget(token: number): void {
    this.forgotten.add(token);
  }

  /** The daemon knows that the Request was given up: no answer comes any more. */
  heard(token: number): void {
    this.forgotten.delete(token);
  }

  /** A ProtocolError when nobody has asked. */
  answered(token: number, answer: Message): void {
    if (this.forgotten.has(token)) return;
    const request = this.requests.take(token);
    if (request === undefined) {
      throw new ProtocolError(`an answer to ${token}, which was not asked`);
    }
    request.answered(answer);
  }

  /** All that are pending, oldest first, and not any more; `next` is the token that would be next. */
  takeAll(next: number): [token: number, request: PendingRequest][] {
    const all = this.requests.oldestFirst(next);
    this.requests.clear();
    return all;
  }
}
