/**
 * `r` may read, bind and change settings; `rw` may write too.
 *
 * @see {@link KsockOptions} for an example
 */
export type Mode = 'r' | 'rw';

/**
 * A message is sent for the first time; or again, because a program called, or because there is room.
 *
 * @example
 * ```ts
 * import type { Attempt, SentEvent } from 'kbus';
 *
 * export const hasWaited = ({ attempt }: SentEvent): boolean => {
 *   const once: Attempt = 'send';
 *   return attempt !== once;
 * };
 * ```
 */
export type Attempt = 'send' | 'resend' | 'poll';
export const ATTEMPTS: readonly Attempt[] = ['send', 'resend', 'poll'];

/**
 * What a program may set (spec 1 §10.1).
 *
 * @example
 * ```ts
 * import type { SetEvent, Setting } from 'kbus';
 *
 * const LIMITS: readonly Setting[] = ['maxMessages', 'maxMessageSize'];
 * export const setsLimit = ({ setting, value }: SetEvent): boolean =>
 *   LIMITS.includes(setting) && value > 0;
 * ```
 */
export type Setting =
  | 'maxMessages'
  | 'wantMessagesOnce'
  | 'reportReplierBinds'
  | 'verbose'
  | 'maxMessageSize';
export const SETTINGS: readonly Setting[] = [
  'maxMessages',
  'wantMessagesOnce',
  'reportReplierBinds',
  'verbose',
  'maxMessageSize',
];

/** Asks a switch for its value, instead of setting it. */
export const ASK = 0xffff_ffff;

/** What a program may ask of its Ksock, with an argument, and a text where one is named. The protocol has the same numbers. */
export const Op = {
  /** `argument` 1: as Replier. Text: the name. */
  BIND: 1,
  /** The same. Nothing may be prefetched. */
  UNBIND: 2,
  /** Text: the name. First value: the Ksock id, or 0. */
  FIND_REPLIER: 3,
  MAX_MESSAGES: 4,
  WANT_MESSAGES_ONCE: 5,
  REPORT_REPLIER_BINDS: 6,
  VERBOSE: 7,
  MAX_MESSAGE_SIZE: 8,
  NUM_MESSAGES: 9,
  NUM_UNREPLIED_TO: 10,
  /** Both values: the id. */
  LAST_MSG_ID: 11,
  /** Sends the message that waits again. Both values: its id. */
  RESEND: 12,
  /** First value: 1 when a message that stood behind the discarded one waits in its place. */
  DISCARD: 13,
  /** First value: whether a message may be written. `argument` 1 waits until it may. */
  POLL: 14,
  /** First value: the number of the new bus, whose socket is there. */
  NEW_DEVICE: 15,
  /**
   * Text: a piece of the report, as JSON. First value: the `argument` with which the next piece is asked
   * for, or 0 when this is the last. `argument` 0 asks for the first.
   */
  BINDINGS: 16,
  STATS: 17,
  /** What was prefetched comes back: all PREFETCH frames before the answer are void. */
  RECALL: 18,
  /** All sends that are LAZY are told of from now on until none is pending. */
  SYNC: 21,
  /** The Ksock leaves the bus; nothing follows the answer. */
  CLOSE: 20,
  /** `argument`: the token of a TAKE, POLL or pending SEND that is not wanted any more; the answer to that says how it ended. */
  CANCEL: 19,
  /**
   * `argument`: the token of a SEND that was to be ANSWERED, and whose answer nobody waits for any more: no frame
   * with it comes behind the answer to this. First value: 1 when it was taken back before anybody read it.
   */
  FORGET: 22,
  /** Ends the Ksock of this id, as if its program had died. */
  KICK: 23,
  /** Text: the access points and their rights, as JSON. */
  ACCESS: 24,
  /** A switch. Off: as Listener, the Ksock does not get what it sends itself. */
  HEAR_OWN: 25,
} as const;

export type OpCode = (typeof Op)[keyof typeof Op];
