import { escaped } from '../base/escape.ts';
import type { MessageFields } from './fields.ts';
import { inspect, type MessageId, type OrigFrom } from './id.ts';
import { printData } from './print.ts';

/** `Message('$.Actor.Speak', data='Ahem', from_=1, id=MessageId(0, 2))`: a call that makes an equal message. */
export function inspectMessage(message: MessageFields): string {
  const parts: string[] = [`'${escaped(message.name)}'`];
  const id = (value: MessageId | OrigFrom): string => value[inspect]();
  if (message.dataLength > 0) parts.push(`data=${printData(message.data)}`);
  if (message.to !== 0) parts.push(`to=${message.to}`);
  if (message.from !== 0) parts.push(`from_=${message.from}`);
  if (message.origFrom.isSet) parts.push(`orig_from=${id(message.origFrom)}`);
  if (message.finalTo.isSet) parts.push(`final_to=${id(message.finalTo)}`);
  if (message.inReplyTo.isSet) parts.push(`in_reply_to=${id(message.inReplyTo)}`);
  if (message.flags !== 0) parts.push(`flags=0x${message.flags.toString(16)}`);
  if (message.id.isSet) parts.push(`id=${id(message.id)}`);
  return `${message.constructor.name}(${parts.join(', ')})`;
}
