/**
 * The error numbers of KBUS (spec 1 §12.1): Linux's, on every platform. Those from EACCES on are no rules of a bus: they
 * come from an access point, from another program (ECONNABORTED), or from the way to the bus.
 */
export const Errno = {
  ENOENT: 2,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EFAULT: 14,
  EBUSY: 16,
  EINVAL: 22,
  ENOTTY: 25,
  EPIPE: 32,
  ENAMETOOLONG: 36,
  ENOLCK: 37,
  ENOMSG: 42,
  EBADMSG: 74,
  EMSGSIZE: 90,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ECONNREFUSED: 111,
  EALREADY: 114,
  EACCES: 13,
  EPROTO: 71,
  ECONNABORTED: 103,
  ECONNRESET: 104,
  ETIMEDOUT: 110,
  ECANCELED: 125,
} as const;

/** The name of an error of KBUS, such as `'EPIPE'`. */
export type ErrorCode = keyof typeof Errno;

const CODES = new Map<number, ErrorCode>(
  Object.entries(Errno).map(([code, errno]) => [errno, code as ErrorCode]),
);

/** The code of an error number, e.g. 32 → `EPIPE`; undefined for a number that KBUS doesn't use. */
export function codeOf(errno: number): ErrorCode | undefined {
  return CODES.get(errno);
}

/** Linux's text for each number. */
export const UNIX_TEXT: Readonly<Record<ErrorCode, string>> = {
  ENOENT: 'No such file or directory',
  EBADF: 'Bad file descriptor',
  EAGAIN: 'Resource temporarily unavailable',
  ENOMEM: 'Cannot allocate memory',
  EFAULT: 'Bad address',
  EBUSY: 'Device or resource busy',
  EINVAL: 'Invalid argument',
  ENOTTY: 'Inappropriate ioctl for device',
  EPIPE: 'Broken pipe',
  ENAMETOOLONG: 'File name too long',
  ENOLCK: 'No locks available',
  ENOMSG: 'No message of desired type',
  EBADMSG: 'Bad message',
  EMSGSIZE: 'Message too long',
  EADDRINUSE: 'Address already in use',
  EADDRNOTAVAIL: 'Cannot assign requested address',
  ECONNREFUSED: 'Connection refused',
  EALREADY: 'Operation already in progress',
  EACCES: 'Permission denied',
  EPROTO: 'Protocol error',
  ECONNABORTED: 'Software caused connection abort',
  ECONNRESET: 'Connection reset by peer',
  ETIMEDOUT: 'Connection timed out',
  ECANCELED: 'Operation canceled',
};

/** The calls that can fail, as errors name them. */
export type Call =
  | 'open'
  | 'bind'
  | 'unbind'
  | 'findReplier'
  | 'write'
  | 'send'
  | 'read'
  | 'maxMessages'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'verbose'
  | 'maxMessageSize'
  | 'newDevice'
  | 'stats'
  | 'kick'
  | 'observe'
  | 'ioctl'
  | 'request'
  | 'any';

const NAME_TOO_LONG = 'the name is longer than 1000 bytes';
const BAD_BINDING_NAME =
  "the name is not a KBUS name: '$', then words of letters, digits, '_' and '-' after dots; % stands for any word, and * at the end for all that follows";
const SEE_ACCESS = '; `kbus access` shows who may do what';
const NOT_MANAGED = `the access point does not give the right to manage the bus${SEE_ACCESS}`;
const TRI_STATE = 'the value is none of 0 (off), 1 (on) and 0xFFFFFFFF (ask)';

/** What each error number means in KBUS, for each call that can give it. */
export const MEANING: Readonly<Record<Call, Readonly<Partial<Record<ErrorCode, string>>>>> = {
  open: {
    ENOENT: 'there is no such bus; start one with `kbus serve`',
    EACCES:
      'this user may not use the bus; see the --mode and --group of `kbus serve`, or name an access point that this user may use (--access)',
    EINVAL: "the mode is neither 'r' nor 'rw', or the bus number is out of range",
    EPROTO: 'the daemon there speaks another version of the protocol',
    ENAMETOOLONG:
      'the path of the socket is longer than the system allows; choose a folder with a shorter path, by --directory or $KBUS_DIR',
    ENOMEM: 'the daemon has as many connections and open device files as it may (max-connections)',
    ETIMEDOUT: 'the daemon waited for this program to say who it is, and gave up (hello-timeout)',
  },
  bind: {
    EADDRINUSE: 'this name has a Replier already, and there can be only one',
    EBADMSG: `${BAD_BINDING_NAME}; and $.KBUS.ReplierBindEvent can have no Replier`,
    ENAMETOOLONG: NAME_TOO_LONG,
    EAGAIN:
      'Replier binds are being reported, and somebody who listens to $.KBUS.ReplierBindEvent has a full queue; try again when it was read',
    ENOMEM:
      'this bus has as many bindings as it may (max-bindings), or this Ksock holds as much memory as is left (max-memory); unbind some',
    ENOLCK:
      'this Ksock has as many bindings as it may (max-bindings-per-ksock), as many wildcards as are left, or 16 to this name as Listener; unbind some',
    EBADF:
      'this Ksock was opened to read only, so it could never answer a Request; open it to write, too',
    EACCES: `the access point does not give the right to listen to this name, or to reply for it${SEE_ACCESS}`,
  },
  unbind: {
    EINVAL:
      'this Ksock has no such binding; name and Replier or Listener must be those of the bind',
    EBADMSG: BAD_BINDING_NAME,
    ENAMETOOLONG: NAME_TOO_LONG,
    EAGAIN:
      'Replier binds are being reported, and somebody who listens to $.KBUS.ReplierBindEvent has a full queue; try again when it was read',
  },
  findReplier: {
    ENAMETOOLONG: 'the name is empty, or longer than 1000 bytes',
    EACCES: `the access point gives no right to this name, nor to observe${SEE_ACCESS}`,
  },
  write: {
    EBADF: 'this Ksock was opened to read only',
    EALREADY:
      'an earlier message is still waiting to be sent; send() it again, wait until it is sent, or discard() it',
    EINVAL:
      'the message is malformed: a wrong guard, a name of no length, one pointer without the other, ALL_OR_WAIT together with ALL_OR_FAIL, or a Request that is also a Reply',
    ENAMETOOLONG: NAME_TOO_LONG,
    EBADMSG:
      "the name can't be sent: '$', then words of letters, digits, '_' and '-' after dots, and no wildcard",
    EMSGSIZE: 'the message is larger than this bus allows, or bytes follow its end',
  },
  send: {
    ENOMSG: 'nothing was written, so there is nothing to send',
    EINVAL:
      'the message is not complete, or malformed: a wrong guard, a name of no length, ALL_OR_WAIT together with ALL_OR_FAIL, or a Request that is also a Reply',
    ENAMETOOLONG: NAME_TOO_LONG,
    EBADMSG:
      "the name can't be sent: '$', then words of letters, digits, '_' and '-' after dots, and no wildcard",
    EMSGSIZE: 'the message is larger than this bus allows',
    EBADF: 'this Ksock was opened to read only',
    EALREADY:
      'an earlier message is still waiting to be sent; send() it again, wait until it is sent, or discard() it',
    ENOLCK:
      "the sender's own queue is full, so there would be no room for the Reply; read some messages first. Or 16 Requests of this Ksock with this id (of a Limpet) are unanswered",
    EADDRNOTAVAIL:
      'a Request whose name has no Replier, or a Reply to a Ksock that is no longer open',
    ECONNREFUSED:
      'this Reply is not wanted: its receiver is not waiting for it, has had it already, or asked somebody else',
    EPIPE: 'the Replier it was addressed to is no longer the one bound to that name',
    EBUSY:
      "the Replier's queue is full, or it has as many Requests to answer as it may (max-unanswered-per-ksock); or, with ALL_OR_FAIL, a listener's queue is full",
    EAGAIN:
      'ALL_OR_WAIT, and the queue of a recipient is full, or the Replier has as many Requests to answer as it may; the message waits: send() again, wait until it is sent, or discard() it',
    EFAULT: 'the memory that the message points to cannot be read',
    ENOMEM:
      'the programs of this bus hold as much memory as they may (max-memory), or one of them holds as much as is left; `kbus stats` shows who holds how much',
    EACCES: `the access point does not give the right to send this name${SEE_ACCESS}`,
  },
  read: {
    EFAULT: 'the memory to read into cannot be written',
  },
  maxMessages: {
    EINVAL: 'the limit of a queue is a whole number from 1 to 4294967295; 0 asks',
  },
  wantMessagesOnce: { EINVAL: TRI_STATE },
  reportReplierBinds: {
    EINVAL: TRI_STATE,
    EBUSY:
      'the queue of this Ksock filled up before all the bindings that exist were reported to it; reporting is on',
    EACCES: NOT_MANAGED,
  },
  verbose: { EINVAL: TRI_STATE, EACCES: NOT_MANAGED },
  maxMessageSize: {
    EINVAL:
      'a maximum size is at least 100 bytes, and at most the absolute maximum of the bus; 0 asks, 1 asks for the absolute maximum',
    EACCES: NOT_MANAGED,
  },
  newDevice: {
    EINVAL: 'there are 256 buses already, and there can be no more',
    EACCES: `the daemon may not make the new bus in its folder; or ${NOT_MANAGED}`,
    ENOMEM: 'the daemon has no file descriptor, memory or disk space left for the new bus',
  },
  stats: {
    EACCES: `the access point does not give the right to observe (or to manage) the bus${SEE_ACCESS}`,
  },
  observe: {
    EACCES: `the access point does not give the right to observe the bus${SEE_ACCESS}`,
    EBADMSG: 'one of the names is neither a name nor a wildcard',
    ENOENT: 'there is no such bus; start one with `kbus serve`',
    EPROTO: 'the daemon there speaks another version of the protocol',
    ENAMETOOLONG:
      'the path of the socket is longer than the system allows; choose a folder with a shorter path, by --directory or $KBUS_DIR',
    ENOMEM: 'the daemon has as many connections and open device files as it may (max-connections)',
    ETIMEDOUT: 'the daemon waited for this program to say who it is, and gave up (hello-timeout)',
    ECONNRESET: 'the connection to the daemon is lost, and what happens from now on is not seen',
  },
  kick: {
    EACCES: NOT_MANAGED,
    EINVAL: 'it is the id of this Ksock itself; close() ends that',
    EADDRNOTAVAIL: 'no Ksock with this id is open on the bus',
  },
  ioctl: {
    ENOTTY: 'KBUS has no such ioctl',
    EFAULT: 'the memory of the argument cannot be read or written',
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
