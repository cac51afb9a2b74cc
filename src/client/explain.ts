import { type Call, Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { Flag } from '../message/flags.ts';
import type { Head } from '../message/head.ts';
import { meaningOf } from '../message/meaning.ts';
import { type Message, REPLIER_BIND_EVENT } from '../message/message.ts';
import { faultOfName, MAX_NAME } from '../message/name.ts';
import { PortError } from './ports/port.ts';

/** An error shows at most this many characters of a name. */
const MAX_SHOWN_CHARACTERS = 200;

/**
 * The error for a refused call: what was asked, and what the refusal means for this call. `name` is the argument that
 * EBADMSG and ENAMETOOLONG are about.
 */
export function explain(call: Call, refusal: unknown, what: string, name?: string): unknown {
  if (!(refusal instanceof PortError)) return refusal;
  if (refusal.isClosed) {
    return new KbusError(call, refusal.errno, what, { meaning: meaningOf('any', 'EBADF') });
  }
  const why = refusal.message === '' ? what : `${what} (${refusal.message})`;
  if (name !== undefined) {
    if (refusal.errno === Errno.EBADMSG) return badName(call, why, name);
    if (refusal.errno === Errno.ENAMETOOLONG) return longName(call, why, name);
  }
  const { cause, meaning } = refusal;
  return new KbusError(call, refusal.errno, why, {
    cause,
    ...(meaning !== undefined && { meaning }),
  });
}

/** EBADMSG: says what is wrong with the name. */
export function badName(call: Call, what: string, name: string): KbusError {
  const isSent = call === 'send' || call === 'write';
  const fault = faultOfName(name, isSent ? 'message' : 'binding');
  if (call === 'bind' && name === REPLIER_BIND_EVENT) {
    const meaning = `KBUS itself sends '${name}', so no Ksock can be its Replier`;
    return new KbusError(call, Errno.EBADMSG, what, { meaning });
  }
  // EBADMSG has other reasons, too: the general text names them.
  if (fault === undefined) return new KbusError(call, Errno.EBADMSG, what);
  const meaning = `the name can't be ${isSent ? 'sent' : 'bound'}: ${fault}`;
  return new KbusError(call, Errno.EBADMSG, what, { meaning });
}

/** ENAMETOOLONG: says how long the name is. */
export function longName(call: Call, what: string, name: string): KbusError {
  const meaning =
    name === ''
      ? 'the name is empty'
      : `the name has ${name.length} characters, the limit is ${MAX_NAME}`;
  return new KbusError(call, Errno.ENAMETOOLONG, what, { meaning });
}

/** EINVAL for a message: says which of its parts contradict each other. */
export function faultOfHead({ name, flags, isReply }: Head): string | undefined {
  const both = Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL;
  if (name === '') return 'the name of the message is empty';
  if ((flags & both) === both) return 'the message has both ALL_OR_WAIT and ALL_OR_FAIL';
  if (isReply && (flags & Flag.WANT_A_REPLY) !== 0) {
    return 'the message is both a Reply (in_reply_to is set) and a Request (WANT_A_REPLY)';
  }
  return undefined;
}

/** The error for a message that was not sent. */
export function notSent(message: Message, refusal: unknown): unknown {
  return explain('send', refusal, asked(message), message.name);
}

/** `send Request '$.Actor.CoinToss' to 3`. */
export function asked(message: Message): string {
  const to = message.to === 0 ? '' : ` to ${message.to}`;
  return `send ${message.kind} '${shortened(message.name)}'${to}`;
}

/** The beginning of a name that is too long to print. */
function shortened(name: string): string {
  return name.length <= MAX_SHOWN_CHARACTERS ? name : `${name.slice(0, MAX_SHOWN_CHARACTERS)}…`;
}

/** ENOLCK: `count` Requests of this Ksock are unanswered. */
export function tooManyAsked(message: Message, count: number): KbusError {
  const meaning = `${count.toLocaleString('en')} Requests of this Ksock are unanswered, the most that may be; await some of them first`;
  return new KbusError('send', Errno.ENOLCK, asked(message), { meaning });
}
