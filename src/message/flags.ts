import { Errno } from './errno.ts';

/**
 * The flag bits of a message (spec 1 §4.2). The top 16 bits belong to the user. KBUS carries these, and unknown low bits,
 * unchanged.
 *
 * @example
 * ```ts
 * import { Announcement, Flag } from 'kbus';
 *
 * const mine = 1 << 16; // The top 16 bits are the program's own.
 * const message = new Announcement('$.Fire', null, { flags: Flag.URGENT | Flag.ALL_OR_FAIL | mine });
 * console.log((message.flags & mine) !== 0, message.isUrgent()); // → true true
 * ```
 */
export const Flag = {
  /** The message is a Request. */
  WANT_A_REPLY: 1 << 0,
  /** KBUS sets it on the one copy of a Request that its Replier must answer. */
  WANT_YOU_TO_REPLY: 1 << 1,
  /** KBUS made the message. KBUS clears it on messages that users send. */
  SYNTHETIC: 1 << 2,
  /** The message goes to the front of queues. */
  URGENT: 1 << 3,
  /** The message goes to every recipient, or the send waits (EAGAIN). */
  ALL_OR_WAIT: 1 << 8,
  /** The message goes to every recipient, or the send fails (EBUSY). */
  ALL_OR_FAIL: 1 << 9,
} as const;

const WORDS: readonly (readonly [bit: number, word: string])[] = [
  [Flag.WANT_A_REPLY, 'REQ'],
  [Flag.WANT_YOU_TO_REPLY, 'YOU'],
  [Flag.SYNTHETIC, 'SYN'],
  [Flag.URGENT, 'URG'],
  [Flag.ALL_OR_FAIL, 'aFL'],
  [Flag.ALL_OR_WAIT, 'aWT'],
];

/** `0x3 (REQ,YOU)`: the number, and the names of the bits that KBUS knows. */
export function flagsToString(flags: number): string {
  const words = WORDS.filter(([bit]) => flags & bit).map(([, word]) => word);
  const hex = `0x${(flags >>> 0).toString(16)}`;
  return words.length > 0 ? `${hex} (${words.join(',')})` : hex;
}

/** Flags that only KBUS sets: it clears them on messages that users send. */
export const KBUS_FLAGS = Flag.WANT_YOU_TO_REPLY | Flag.SYNTHETIC;

/** EINVAL for both ALL_ flags, or for a Request that is also a Reply; otherwise 0. */
export function checkFlags(flags: number, isReply: boolean): number {
  const both = Flag.ALL_OR_WAIT | Flag.ALL_OR_FAIL;
  if ((flags & both) === both) return Errno.EINVAL;
  return isReply && flags & Flag.WANT_A_REPLY ? Errno.EINVAL : 0;
}
