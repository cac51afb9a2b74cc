import { textIfUtf8 } from '../base/text.ts';
import { splitReplierBindEventData } from './bind-event.ts';
import type { MessageFields } from './fields.ts';
import { flagsToString } from './flags.ts';

/**
 * What `JSON.stringify` makes of a message, for logs. Unset fields are left out.
 *
 * @see {@link Message} for an example
 */
export interface MessageJson {
  kind: string;
  name: string;
  /** `[0:3]`. */
  id?: string;
  to?: number;
  from?: number;
  /** `(1,2)`. */
  origFrom?: string;
  finalTo?: string;
  inReplyTo?: string;
  /** `0x3 (REQ,YOU)`. */
  flags?: string;
  /** Text if the data is UTF-8; otherwise the bytes as base64, and how many they are. */
  data?: string | { base64: string; length: number };
  /** The content of a ReplierBindEvent, in place of its data. */
  event?: { isBind: boolean; binder: number; name: string };
}

export function jsonOfMessage(message: MessageFields): MessageJson {
  const { kind, name, id, to, from, origFrom, finalTo, inReplyTo, flags } = message;
  return {
    kind,
    name,
    ...(id.isSet && { id: String(id) }),
    ...(to !== 0 && { to }),
    ...(from !== 0 && { from }),
    ...(origFrom.isSet && { origFrom: String(origFrom) }),
    ...(finalTo.isSet && { finalTo: String(finalTo) }),
    ...(inReplyTo.isSet && { inReplyTo: String(inReplyTo) }),
    ...(flags !== 0 && { flags: flagsToString(flags) }),
    ...(message.dataLength > 0 && jsonOfData(message)),
  };
}

function jsonOfData({ kind, data }: MessageFields): Pick<MessageJson, 'data' | 'event'> {
  if (kind === 'ReplierBindEvent') {
    try {
      return { event: splitReplierBindEventData(data) };
    } catch {
      // Anybody may send a message of this name.
    }
  }
  return { data: textIfUtf8(data) ?? { base64: base64Of(data), length: data.length } };
}

/** Without Buffer: browsers have none. */
function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(text);
}
