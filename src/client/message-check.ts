import { detached } from '../message/data.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { checkFlags } from '../message/flags.ts';
import { Message, ownMessage } from '../message/message.ts';
import { checkMessageName, MAX_NAME } from '../message/name.ts';
import { asked, badName, faultOfHead, longName } from './explain.ts';

// The checks of a message that its Ksock makes without the bus.

/** Names of which each character fits into a byte. */
const LATIN_1 = /^[\0-\xff]*$/;

/** Whether the connection of the Request that the message answers, or of the Replier that it addresses, is lost. */
type IsOver = (message: Message) => boolean;

/**
 * Null if the message may be sent, otherwise the error; for a message of another copy of this package, a copy to check.
 * `ksockErrno` is the error for which the Ksock can't send any message, or 0.
 */
export function whyNotSent(
  message: Message,
  ksockErrno: number,
  isOver: IsOver,
): KbusError | TypeError | Message | null {
  if (!(message instanceof Message)) {
    try {
      return ownMessage(message);
    } catch (error) {
      return error as TypeError;
    }
  }
  const { head } = message;
  let errno = ksockErrno;
  if (errno === 0) {
    if (head.name.length === 0) errno = Errno.EINVAL;
    else if (head.name.length > MAX_NAME) errno = Errno.ENAMETOOLONG;
    else if (isOver(message)) errno = message.isReply() ? Errno.EADDRNOTAVAIL : Errno.EPIPE;
    else errno = checkFlags(head.flags, head.isReply);
  }
  if (errno === 0) {
    errno = checkMessageName(head.name);
    if (errno === 0) head.isFit = true;
    // The bus checks the size first, so it must refuse this name itself.
    else if (LATIN_1.test(head.name)) errno = 0;
  }
  if (errno === 0 && message.isDetached) return detached();
  if (errno === Errno.EBADMSG) return badName('send', asked(message), head.name);
  if (errno === Errno.ENAMETOOLONG) return longName('send', asked(message), head.name);
  if (errno === 0) return null;
  const meaning = errno === Errno.EINVAL ? faultOfHead(head) : overMeaning(errno, message);
  return new KbusError('send', errno, asked(message), meaning === undefined ? {} : { meaning });
}

/** The meaning of a refusal because of a lost connection. */
function overMeaning(errno: number, { to }: Message): string | undefined {
  if (errno === Errno.EADDRNOTAVAIL) {
    return `Ksock ${to} sent the Request on a connection that has been lost since, and knows that it failed`;
  }
  if (errno !== Errno.EPIPE) return undefined;
  return `Ksock ${to} was the Replier on a connection that has been lost since`;
}
