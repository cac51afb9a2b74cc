import { type Call, Errno, MEANING } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import { faultOfName } from '../message/name.ts';
import { Refusal } from './port.ts';

/**
 * The error for a call that was refused: what was asked, and what the refusal means for this call. `name` is
 * the name that was given, for a call that may be refused because of it.
 */
export function explain(call: Call, refusal: unknown, what: string, name?: string): unknown {
  if (!(refusal instanceof Refusal)) return refusal;
  if (refusal.isClosed) {
    return new KbusError(call, refusal.errno, what, { meaning: MEANING.any.EBADF as string });
  }
  const why = refusal.message === '' ? what : `${what} (${refusal.message})`;
  if (refusal.errno === Errno.EBADMSG && name !== undefined) return badName(call, why, name);
  const { cause, meaning } = refusal;
  return new KbusError(call, refusal.errno, why, {
    cause,
    ...(meaning !== undefined && { meaning }),
  });
}

/** EBADMSG for a name: which of its characters is wrong. */
export function badName(call: Call, what: string, name: string): KbusError {
  const isSent = call === 'send' || call === 'write';
  const fault = faultOfName(name, isSent ? 'message' : 'binding');
  // A name may be well formed, and refused all the same: for the rest of what EBADMSG means.
  if (fault === undefined) return new KbusError(call, Errno.EBADMSG, what);
  const meaning = `the name can't be ${isSent ? 'sent' : 'bound'}: ${fault}`;
  return new KbusError(call, Errno.EBADMSG, what, { meaning });
}

/** The same for a message that was not sent. */
export function notSent(message: Message, refusal: unknown): unknown {
  return explain('send', refusal, asked(message), message.name);
}

/** `send Request '$.Actor.CoinToss' to 3`. */
export function asked(message: Message): string {
  const to = message.to === 0 ? '' : ` to ${message.to}`;
  return `send ${message.kind} '${message.name}'${to}`;
}
