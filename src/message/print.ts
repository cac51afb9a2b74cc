import { escaped, escapeOf } from '../base/escape.ts';
import { splitReplierBindEventData } from './bind-event.ts';
import type { MessageFields } from './fields.ts';
import { flagsToString } from './flags.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Data in quotes: as text if it is UTF-8, with characters that control a terminal escaped; otherwise byte by byte. */
export function printData(data: Uint8Array): string {
  let text: string;
  try {
    text = escaped(marked(utf8.decode(data)));
  } catch {
    const bytes = Array.from(data, (byte) => String.fromCharCode(byte)).join('');
    text = marked(bytes).replace(/[^\x20-\x7e]/g, escapeOf);
  }
  return `'${text}'`;
}

/** With a backslash before quotes and backslashes. */
function marked(text: string): string {
  return text.replace(/['\\]/g, '\\$&');
}

/** `<Request '$.A.B', id=[0:6], from=1, flags=0x3 (REQ,YOU), data='hi'>`; unset fields are left out. */
export function printMessage(message: MessageFields): string {
  const event = message.kind === 'ReplierBindEvent' ? printBindEvent(message.data) : undefined;
  const parts: string[] = event === undefined ? [`'${escaped(message.name)}'`] : [];
  if (message.id.isSet) parts.push(`id=${message.id}`);
  if (message.to !== 0) parts.push(`to=${message.to}`);
  if (message.from !== 0) parts.push(`from=${message.from}`);
  if (message.origFrom.isSet) parts.push(`orig_from=${message.origFrom}`);
  if (message.finalTo.isSet) parts.push(`final_to=${message.finalTo}`);
  if (message.inReplyTo.isSet) parts.push(`in_reply_to=${message.inReplyTo}`);
  if (message.flags !== 0) parts.push(`flags=${flagsToString(message.flags)}`);
  if (event !== undefined) parts.push(event);
  else if (message.dataLength > 0) parts.push(`data=${printData(message.data)}`);
  const kind =
    event === undefined && message.kind === 'ReplierBindEvent' ? 'Announcement' : message.kind;
  return `<${kind} ${parts.join(', ')}>`;
}

/** `[Bind '$.Fred' for 2]`; undefined for data that is no ReplierBindEvent. */
function printBindEvent(data: Uint8Array): string | undefined {
  try {
    const { isBind, binder, name } = splitReplierBindEventData(data);
    return `[${isBind ? 'Bind' : 'Unbind'} '${escaped(name)}' for ${binder}]`;
  } catch {
    return undefined;
  }
}
