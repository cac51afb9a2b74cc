import type { MessageId, OrigFrom } from './id.ts';

/**
 * What a message is, by its flags and its name.
 *
 * @see {@link Message} for an example
 */
export type MessageKind = 'Announcement' | 'Request' | 'Reply' | 'Status' | 'ReplierBindEvent';

/**
 * The fields of a new message beside name and data. All of them are unset by default.
 *
 * @example
 * ```ts
 * import { Announcement, Flag, type MessageOptions } from 'kbus';
 *
 * const options: MessageOptions = { flags: Flag.URGENT };
 * console.log(new Announcement('$.Fire', null, options).isUrgent()); // → true
 * ```
 */
export interface MessageOptions {
  /** Reply: the requester's Ksock id. Request: a Ksock id makes it stateful. u32. */
  to?: number | undefined;
  /** Sender's Ksock id. KBUS overwrites it when the message is sent. u32. */
  from?: number | undefined;
  origFrom?: OrigFrom | undefined;
  finalTo?: OrigFrom | undefined;
  /** Id of the Request that the message answers: makes it a Reply. */
  inReplyTo?: MessageId | undefined;
  /** See {@link Flag}. u32. */
  flags?: number | undefined;
  /** KBUS gives an id when the message is sent, unless its network id is set. */
  id?: MessageId | undefined;
}

/** All that a message says: what printing and encoding need. */
export interface MessageFields {
  readonly kind: MessageKind;
  readonly name: string;
  readonly id: MessageId;
  readonly inReplyTo: MessageId;
  readonly to: number;
  readonly from: number;
  readonly origFrom: OrigFrom;
  readonly finalTo: OrigFrom;
  readonly flags: number;
  readonly data: Uint8Array;
  readonly dataLength: number;
}
