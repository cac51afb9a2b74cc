import { padded, readU32 } from '../../base/u32.ts';
import { MessageId, OrigFrom } from '../id.ts';
import { Message } from '../message.ts';
import { MAX_NAME } from '../name.ts';
import { END_GUARD, START_GUARD } from './device.ts';

/**
 * The layout of a message on the links of Limpets and in recordings (spec 3 §5.2). Sixteen u32 in network order
 *
 *      0 start guard      4 id (2 words)     12 in_reply_to (2)   20 to    24 from
 *     28 orig_from (2)   36 final_to (2)     44 extra             48 flags
 *     52 name_len        56 data_len         60 end guard
 *
 * then the name with a 0 byte, padded with zeros to a multiple of 4; the data, padded likewise; and
 * the end guard again.
 */
export const NETWORK_HEADER = 64;

const AT = { nameLength: 52, dataLength: 56, endGuard: 60 } as const;

/** Bytes of a message in this layout: a multiple of 4. */
export function networkLength(nameLength: number, dataLength: number): number {
  return NETWORK_HEADER + padded(nameLength + 1) + padded(dataLength) + 4;
}

/** Encodes a message for a link. */
export function encodeNetwork(message: Message): Uint8Array {
  const { id, inReplyTo, to, from, origFrom, finalTo, flags, name, data } = message;
  const bytes = new Uint8Array(networkLength(name.length, data.length));
  const view = new DataView(bytes.buffer);
  const words = [
    START_GUARD,
    id.networkId,
    id.serialNum,
    inReplyTo.networkId,
    inReplyTo.serialNum,
    to,
    from,
    origFrom.networkId,
    origFrom.localId,
    finalTo.networkId,
    finalTo.localId,
    0,
    flags,
    name.length,
    data.length,
    END_GUARD,
  ];
  for (const [index, word] of words.entries()) view.setUint32(index * 4, word);
  for (let at = 0; at < name.length; at++) bytes[NETWORK_HEADER + at] = name.charCodeAt(at);
  bytes.set(data, NETWORK_HEADER + padded(name.length + 1));
  view.setUint32(bytes.length - 4, END_GUARD);
  return bytes;
}

/**
 * The length in bytes of the message that begins with these bytes, at least {@link NETWORK_HEADER}; or, as text, why no
 * message begins so. A length above `longest` is an error.
 */
export function measureNetwork(bytes: Uint8Array, longest: number): number | string {
  if (readU32(bytes, 0) !== START_GUARD || readU32(bytes, AT.endGuard) !== END_GUARD) {
    return 'a guard of the message header is wrong';
  }
  const nameLength = readU32(bytes, AT.nameLength);
  if (nameLength === 0 || nameLength > MAX_NAME) return `a name of ${nameLength} bytes`;
  // Check a length before rounding it up: near 2^32 it would wrap.
  const dataLength = readU32(bytes, AT.dataLength);
  const length = dataLength > longest ? dataLength : networkLength(nameLength, dataLength);
  if (length <= longest) return length;
  return `a message with ${dataLength} bytes of data, where one may have ${longest} bytes in all`;
}

/**
 * Decodes bytes that are exactly one message; or says, as text, why they are not. The data is a view of the bytes. The
 * bus that the message is sent to checks the letters of the name, the flags and the size.
 */
export function decodeNetwork(bytes: Uint8Array): Message | string {
  const { length } = bytes;
  if (length < NETWORK_HEADER) return `${length} bytes are less than the header of a message`;
  const measured = measureNetwork(bytes, length);
  if (typeof measured === 'string') return measured;
  if (measured !== length) return `${length} bytes, where the message has ${measured}`;
  if (readU32(bytes, length - 4) !== END_GUARD) return 'the last guard is wrong';
  const word = (index: number): number => readU32(bytes, index * 4);
  const nameLength = readU32(bytes, AT.nameLength);
  const dataAt = NETWORK_HEADER + padded(nameLength + 1);
  const letters = bytes.subarray(NETWORK_HEADER, NETWORK_HEADER + nameLength);
  const data = bytes.subarray(dataAt, dataAt + readU32(bytes, AT.dataLength));
  return new Message(String.fromCharCode(...letters), data, {
    id: new MessageId(word(1), word(2)),
    inReplyTo: new MessageId(word(3), word(4)),
    to: word(5),
    from: word(6),
    origFrom: new OrigFrom(word(7), word(8)),
    finalTo: new OrigFrom(word(9), word(10)),
    flags: word(12),
  });
}
