import type { Call, Meanings } from './errno.ts';
import { NAME_TOO_LONG, READ_ONLY, WAITS } from './own-meanings.ts';

const BAD_NAME =
  "the name is not a KBUS name: '$', then words of letters, digits, '_' and '-' after dots; % stands for any word, and * at the end for all that follows";
const FULL_OF_REPORTS =
  'Replier binds are being reported, and somebody who listens to $.KBUS.ReplierBindEvent has a full queue; try again when it was read';
const NO_RIGHT = 'the access point does not give the right to ';
const SEE_ACCESS = '; `kbus access` shows who may do what';
const NOT_MANAGED = `${NO_RIGHT}manage the bus${SEE_ACCESS}`;
const TRI_STATE = 'the value is none of 0 (off), 1 (on) and 0xFFFFFFFF (ask)';
const LONG_PATH =
  'the path of the socket is longer than the system allows; choose a folder with a shorter path, by --directory or $KBUS_DIR';

/**
 * What the errors mean that a bus gives, and those of what pages can't do. The client for pages is built without this table
 * (scripts/page-client.mjs): the daemon sends pages these texts.
 */
export const MORE_MEANINGS: Readonly<Partial<Record<Call, Meanings>>> = {
  open: {
    ENOENT: 'there is no such bus; start one with `kbus serve`',
    EINVAL: "the mode is neither 'r' nor 'rw', or the bus number is out of range",
    EPROTO: 'the daemon there speaks another version of the protocol',
    ENOMEM:
      'the daemon has as many connections and open device files as it may (max-connections), or no memory free for another (max-memory)',
    ETIMEDOUT:
      'the daemon waited for this program to say who it is, and gave up (hello-timeout, and the limit of silent connections)',
    EACCES:
      'this user may not use the bus; see the --mode and --group of `kbus serve`, or name an access point that this user may use (--access)',
    ENAMETOOLONG: LONG_PATH,
  },
  bind: {
    EADDRINUSE: 'this name has a Replier already, and there can be only one',
    EBADMSG: `${BAD_NAME}; and $.KBUS.ReplierBindEvent can have no Replier`,
    ENAMETOOLONG: NAME_TOO_LONG,
    EAGAIN: FULL_OF_REPORTS,
    ENOMEM:
      'this bus has as many bindings as it may (max-bindings), or this Ksock holds as much memory as is left (max-memory); unbind some',
    ENOLCK:
      'this Ksock has as many bindings as it may (max-bindings-per-ksock), as many wildcards as are left, or 16 to this name as Listener; unbind some',
    EBADF: `${READ_ONLY}, so it could never answer a Request; open it to write, too`,
    EACCES: `${NO_RIGHT}listen to this name, or to reply for it${SEE_ACCESS}`,
  },
  unbind: {
    EINVAL:
      'this Ksock has no such binding; name and Replier or Listener must be those of the bind',
    EBADMSG: BAD_NAME,
    ENAMETOOLONG: NAME_TOO_LONG,
    EAGAIN: FULL_OF_REPORTS,
  },
  findReplier: {
    ENAMETOOLONG: 'the name is empty, or longer than 1000 bytes',
    EACCES: `the access point gives no right to this name, nor to observe${SEE_ACCESS}`,
  },
  send: {
    ENOLCK:
      "the sender's own queue is full, so there would be no room for the Reply; read some messages first. Or 16 Requests of this Ksock with this id (of a Limpet) are unanswered",
    EADDRNOTAVAIL:
      'a Request whose name has no Replier, or a Reply to a Ksock that is no longer open',
    ECONNREFUSED:
      'this Reply is not wanted: its receiver is not waiting for it, has had it already, or asked somebody else',
    EPIPE: 'the Replier it was addressed to is no longer the one bound to that name',
    EBUSY:
      "the Replier's queue is full, or it has as many Requests to answer as it may (max-unanswered-per-ksock); or, with ALL_OR_FAIL, a listener's queue is full",
    EAGAIN: `ALL_OR_WAIT, and the queue of a recipient is full, or the Replier has as many Requests to answer as it may; the message waits: ${WAITS}`,
    EFAULT: 'the memory that the message points to cannot be read',
    ENOMEM:
      'the programs of this bus hold as much memory as they may (max-memory), or one of them holds as much as is left; `kbus stats` shows who holds how much',
    EACCES: `${NO_RIGHT}send this name${SEE_ACCESS}`,
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
  stats: { EACCES: `${NO_RIGHT}observe (or to manage) the bus${SEE_ACCESS}` },
  observe: {
    EACCES: `${NO_RIGHT}observe the bus${SEE_ACCESS}`,
    EBADMSG: 'one of the names is neither a name nor a wildcard',
    ENOENT: 'there is no such bus; start one with `kbus serve`',
    EPROTO: 'the daemon there speaks another version of the protocol',
    ENAMETOOLONG: LONG_PATH,
    ENOMEM:
      'the daemon has as many connections and open device files as it may (max-connections), or no memory free for another (max-memory)',
    ETIMEDOUT:
      'the daemon waited for this program to say who it is, and gave up (hello-timeout, and the limit of silent connections)',
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
};
