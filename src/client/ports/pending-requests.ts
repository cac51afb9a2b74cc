import { NumberMap } from '../../base/number-map.ts';
import type { Message } from '../../message/message.ts';
import { notAsked } from './not-asked.ts';
import type { PendingRequest } from './port.ts';

/** The Requests of a port whose answers come as ANSWER, by token. */
export class PendingRequests {
  private readonly requests = new NumberMap<PendingRequest>();
  /** Tokens of Requests that were given up, until the daemon has answered FORGET. */
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

  /** Removes the Request of this token; undefined if there is none. */
  take(token: number): PendingRequest | undefined {
    return this.requests.take(token);
  }

  isForgotten(token: number): boolean {
    return this.forgotten.has(token);
  }

  /** Ignores answers with this token, which may arrive until the daemon has answered FORGET. */
  forget(token: number): void {
    this.forgotten.add(token);
  }

  /** The daemon has answered FORGET: no answer with this token follows. */
  forgetDone(token: number): void {
    this.forgotten.delete(token);
  }

  /** Throws a ProtocolError if there is no such Request. */
  answered(token: number, answer: Message): void {
    if (this.forgotten.has(token)) return;
    const request = this.requests.take(token);
    if (request === undefined) throw notAsked(token);
    request.answered(answer);
  }

  /** Removes all Requests, and gives them, oldest first; `next` is the next token. */
  takeAll(next: number): [token: number, request: PendingRequest][] {
    const all = this.requests.oldestFirst(next);
    this.requests.clear();
    return all;
  }
}
