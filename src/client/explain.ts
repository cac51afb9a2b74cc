import { type Call, MEANING } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import { Refusal } from './port.ts';

/** The error for a call that was refused: what was asked, and what the refusal means for this call. */
export function explain(call: Call, refusal: unknown, what: string): unknown {
  if (!(refusal instanceof Refusal)) return refusal;
  if (refusal.isClosed) {
    return new KbusError(call, refusal.errno, what, { meaning: MEANING.any.EBADF as string });
  }
  const why = refusal.message === '' ? what : `${what} (${refusal.message})`;
  return new KbusError(call, refusal.errno, why, { cause: refusal.cause });
}

/** `send Request '$.Actor.CoinToss' to 3`. */
export function asked(message: Message): string {
  const to = message.to === 0 ? '' : ` to ${message.to}`;
  return `send ${message.kind} '${message.name}'${to}`;
}
