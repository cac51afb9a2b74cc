/**
 * The error numbers of KBUS (spec 1 §12.1): Linux's, on every platform. Those from EACCES on are no rules of a bus: they
 * come from an access point, from another program (ECONNABORTED), or from the way to the bus.
 *
 * @example
 * ```ts
 * import { type Call, codeOf, Errno, type ErrorCode, MEANING, UNIX_TEXT } from 'kbus';
 *
 * const code: ErrorCode | undefined = codeOf(Errno.EPIPE);
 * console.log(Errno.EPIPE, code); // → 32 EPIPE
 * console.log(UNIX_TEXT.EPIPE); // → Broken pipe
 * const call: Call = 'bind';
 * console.log(MEANING[call].EADDRINUSE); // → this name has a Replier already, and there can be only one
 * ```
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

/**
 * The name of an error of KBUS, such as `'EPIPE'`.
 *
 * @see {@link Errno} for an example
 */
export type ErrorCode = keyof typeof Errno;

const CODES = new Map<number, ErrorCode>(
  Object.entries(Errno).map(([code, errno]) => [errno, code as ErrorCode]),
);

/**
 * The code of an error number, e.g. 32 → `EPIPE`; undefined for a number that KBUS doesn't use.
 *
 * @see {@link Errno} for an example
 */
export function codeOf(errno: number): ErrorCode | undefined {
  return CODES.get(errno);
}

/**
 * The calls that can fail, as errors name them.
 *
 * @see {@link Errno} for an example
 */
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

/** What each of some error numbers means. */
export type Meanings = Readonly<Partial<Record<ErrorCode, string>>>;
