import { detached } from '../message/data.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { checkFlags } from '../message/flags.ts';
import { Message, ownMessage } from '../message/message.ts';
import { checkMessageName, MAX_NAME } from '../message/name.ts';
import { asked, badName, faultOfHead, longName } from './explain.ts';

// Why a message can't be sent, as far as its Ksock knows without asking the bus.

/** What can be put into a message as bytes, one each. */
const LATIN_1 = /^[\0-\xff]*$/;

/** A message of which the connection is lost that it answers, or addresses. */
type IsOver = (message: Message) => boolean;

/**
 * Null, or why the message can't be sent; of one that another copy of this package made, its like. `ksockErrno` is why
 * its Ksock can't send any; or 0.
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
    // The bus says it of the rest, for it may be too large in the first place.
    else if (LATIN_1.test(head.name)) errno = 0;
  }
  if (errno === 0 && message.isDetached) return detached();
  if (errno === Errno.EBADMSG) return badName('send', asked(message), head.name);
  if (errno === Errno.ENAMETOOLONG) return longName('send', asked(message), head.name);
  if (errno === 0) return null;
  const meaning = errno === Errno.EINVAL ? faultOfHead(head) : overMeaning(errno, message);
  return new KbusError('send', errno, asked(message), meaning === undefined ? {} : { meaning });
}

/** A refusal for what there was on a connection that is lost. */
function overMeaning(errno: number, { to }: Message): string | undefined {
  if (errno === Errno.EADDRNOTAVAIL) {
    return `Ksock ${to} asked on a connection that has been lost since, and has been told so`;
  }
  if (errno !== Errno.EPIPE) return undefined;
  return `Ksock ${to} was the Replier on a connection that has been lost since`;
}
