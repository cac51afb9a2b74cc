import type { Call, Meanings } from './errno.ts';

export const NAME_TOO_LONG = 'the name is longer than 1000 bytes';
const BAD_NAME =
  "the name can't be sent: '$', then words of letters, digits, '_' and '-' after dots, and no wildcard";
const BAD_PARTS =
  'a wrong guard, a name of no length, ALL_OR_WAIT together with ALL_OR_FAIL, or a Request that is also a Reply';
export const READ_ONLY = 'this Ksock was opened to read only';
export const WAITS = 'send() it again, wait until it is sent, or discard() it';
const EARLIER_WAITS = `an earlier message is still waiting to be sent; ${WAITS}`;

/** What the errors mean that a client gives by itself. */
export const OWN_MEANINGS: Readonly<Partial<Record<Call, Meanings>>> = {
  write: {
    EBADF: READ_ONLY,
    EALREADY: EARLIER_WAITS,
    EINVAL: `the message is malformed: one pointer without the other, ${BAD_PARTS}`,
    ENAMETOOLONG: NAME_TOO_LONG,
    EBADMSG: BAD_NAME,
    EMSGSIZE: 'the message is larger than this bus allows, or bytes follow its end',
  },
  send: {
    ENOMSG: 'nothing was written, so there is nothing to send',
    EINVAL: `the message is not complete, or malformed: ${BAD_PARTS}`,
    ENAMETOOLONG: NAME_TOO_LONG,
    EBADMSG: BAD_NAME,
    EMSGSIZE: 'the message is larger than this bus allows',
    EBADF: READ_ONLY,
    EALREADY: EARLIER_WAITS,
  },
  request: {
    ETIMEDOUT:
      'no Reply came in time; the Request is forgotten, though its Replier may be at work on it',
  },
  any: {
    EBADF: 'this Ksock is closed',
    ECONNABORTED: 'another program ended this Ksock (`kbus kick`)',
    ECANCELED: 'the message was discarded before it could be sent',
    ECONNRESET: 'the bus has gone away: its daemon ended, or ended this connection',
    EPROTO: 'the bytes that came were not those of the protocol; the connection was ended',
    ENOMEM: 'a limit of the daemon has been reached',
  },
};
