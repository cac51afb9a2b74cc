import { ProtocolError } from '../../wire/protocol.ts';

/** The daemon has answered with a token that nothing waits for. */
export function notAsked(token: number): ProtocolError {
  return new ProtocolError(`an answer with the unknown token ${token}`);
}
