import type { Call, ErrorCode, Meanings } from './errno.ts';
import { MORE_MEANINGS } from './more-meanings.ts';
import { OWN_MEANINGS } from './own-meanings.ts';

/**
 * Linux's text for each number.
 *
 * @see {@link Errno} for an example
 */
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

const all = (call: Call): Meanings => ({ ...OWN_MEANINGS[call], ...MORE_MEANINGS[call] });

/**
 * What each error number means in KBUS, for each call that can give it.
 *
 * @see {@link Errno} for an example
 */
export const MEANING: Readonly<Record<Call, Readonly<Partial<Record<ErrorCode, string>>>>> = {
  open: all('open'),
  bind: all('bind'),
  unbind: all('unbind'),
  findReplier: all('findReplier'),
  write: all('write'),
  send: all('send'),
  read: all('read'),
  maxMessages: all('maxMessages'),
  wantMessagesOnce: all('wantMessagesOnce'),
  reportReplierBinds: all('reportReplierBinds'),
  verbose: all('verbose'),
  maxMessageSize: all('maxMessageSize'),
  newDevice: all('newDevice'),
  stats: all('stats'),
  observe: all('observe'),
  kick: all('kick'),
  ioctl: all('ioctl'),
  request: all('request'),
  any: all('any'),
};
