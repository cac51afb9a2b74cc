import { MessageId, OrigFrom } from '../../src/message/id.ts';
import { Message } from '../../src/message/message.ts';

/** A message in which each field has a value of its own, in the order of the fields. */
export const EVERY_FIELD = new Message('$.Fred', 'hello', {
  id: new MessageId(1, 2),
  inReplyTo: new MessageId(3, 4),
  to: 5,
  from: 6,
  origFrom: new OrigFrom(7, 8),
  finalTo: new OrigFrom(9, 10),
  flags: 0xffff_0010,
});
/** The words of its header: `extra` is 0, and the lengths come last. */
export const EVERY_WORD = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0xffff_0010, 6, 5] as const;
