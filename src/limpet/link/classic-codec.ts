import { LITTLE_ENDIAN } from '../../base/endianness.ts';
import { readU32 } from '../../base/u32.ts';
import {
  decodeNetwork,
  encodeNetwork,
  measureNetwork,
  NETWORK_HEADER,
} from '../../message/codec/network.ts';
import { Message, REPLIER_BIND_EVENT } from '../../message/message.ts';
import { LinkError } from './native-codec.ts';

/** The greeting of a classic Limpet begins so: `HELO` (spec 3 §5.1). */
export const HELO = 0x4845_4c4f;

const GREETING = 8;

/** The longest message that a classic link accepts, in bytes. */
const MAX_CLASSIC = 64 * 1024 * 1024;

/**
 * `HELO` and the network id.
 *
 * @example
 * ```ts
 * import { decodeGreeting, encodeGreeting } from 'kbus/limpet';
 *
 * const bytes = encodeGreeting(7);
 * console.log(bytes.length, decodeGreeting(bytes)); // → 8 7
 * console.log(decodeGreeting(bytes.subarray(0, 5))); // → -3
 * ```
 */
export function encodeGreeting(id: number): Uint8Array {
  const bytes = new Uint8Array(GREETING);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HELO);
  view.setUint32(4, id);
  return bytes;
}

/**
 * The network id of a greeting, or how many bytes are missing, with its sign changed. Throws a LinkError.
 *
 * @see {@link encodeGreeting} for an example
 */
export function decodeGreeting(bytes: Uint8Array): number {
  if (bytes.length < GREETING) return bytes.length - GREETING;
  if (readU32(bytes, 0) !== HELO) throw new LinkError('it does not greet with HELO');
  const id = readU32(bytes, 4);
  if (id === 0) throw new LinkError('its network id is 0');
  return id;
}

/**
 * A message as it goes over a classic link: a bind event has its words in network order (spec 3 §5.2).
 *
 * @example
 * ```ts
 * import { Announcement } from 'kbus';
 * import { decodeClassic, encodeClassic } from 'kbus/limpet';
 *
 * const bytes = encodeClassic(new Announcement('$.Door', 'open'));
 * const decoded = decodeClassic(bytes);
 * if (typeof decoded === 'object') console.log(decoded.message.text()); // → open
 * ```
 */
export function encodeClassic(message: Message): Uint8Array {
  return encodeNetwork(turned(message));
}

/**
 * The message at the front of the bytes and its length; or how many bytes it has, with its sign changed, as far as known.
 *
 * @example
 * ```ts
 * import type { Socket } from 'node:net';
 * import type { Message } from 'kbus';
 * import { BadMessage, decodeClassic, OtherLimpetGoneAway } from 'kbus/limpet';
 *
 * // The messages that come over a classic link, after the greeting.
 * export async function* messagesOf(socket: Socket): AsyncGenerator<Message> {
 *   let bytes: Uint8Array = new Uint8Array();
 *   for await (const chunk of socket) {
 *     bytes = Buffer.concat([bytes, chunk]);
 *     for (;;) {
 *       const decoded = decodeClassic(bytes);
 *       if (typeof decoded === 'number') break;
 *       yield decoded.message;
 *       bytes = bytes.subarray(decoded.length);
 *     }
 *   }
 *   if (bytes.length > 0) throw new BadMessage('the link ended within a message');
 *   throw new OtherLimpetGoneAway('the other Limpet has closed the link');
 * }
 * ```
 */
export function decodeClassic(bytes: Uint8Array): { message: Message; length: number } | number {
  if (bytes.length < NETWORK_HEADER) return -NETWORK_HEADER;
  const length = measureNetwork(bytes, MAX_CLASSIC);
  if (typeof length === 'string') throw new LinkError(length);
  if (bytes.length < length) return -length;
  const message = decodeNetwork(bytes.subarray(0, length));
  if (typeof message === 'string') throw new LinkError(message);
  return { message: turned(message), length };
}

/** Turns the first three words of a bind event between the order of this machine and that of the network. */
function turned(message: Message): Message {
  if (!LITTLE_ENDIAN || message.name !== REPLIER_BIND_EVENT || message.dataLength < 12) {
    return message;
  }
  const data = new Uint8Array(message.data);
  const view = new DataView(data.buffer);
  for (const at of [0, 4, 8]) view.setUint32(at, view.getUint32(at), true);
  const made = Message.fromMessage(message);
  made.data = data;
  return made;
}
