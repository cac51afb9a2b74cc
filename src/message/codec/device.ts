import { LITTLE_ENDIAN } from '../../base/endianness.ts';
import { padded } from '../../base/u32.ts';
import { codeOf, Errno } from '../errno.ts';
import { KbusError } from '../error.ts';
import type { MessageFields, MessageOptions } from '../fields.ts';
import { checkFlags } from '../flags.ts';
import { MessageId, OrigFrom } from '../id.ts';
import { checkMessageName, MAX_NAME } from '../name.ts';

/**
 * The message as programs see it at the device level, on a 64-bit machine, in native byte order
 * (spec 2 §2, spec 2 §3.2): a header of 88 bytes
 *
 *      0 start guard      4 id (2 words)    12 in_reply_to (2)   20 to    24 from
 *     28 orig_from (2)   36 final_to (2)    44 extra             48 flags
 *     52 name_len        56 data_len        60 padding (4 bytes)
 *     64 name pointer    72 data pointer    80 end guard         84 padding (4 bytes)
 *
 * then, in the "entire" form, whose pointers are 0: the name, a 0 byte, padding to a multiple of 4;
 * the data, padded to a multiple of 4; the end guard.
 */
export const HEADER_LENGTH = 88;

/** `Kbus` in little-endian memory. */
export const START_GUARD = 0x7375624b;
/** `subK` in little-endian memory. */
export const END_GUARD = 0x4b627573;

export const OFFSET = {
  startGuard: 0,
  id: 4,
  inReplyTo: 12,
  to: 20,
  from: 24,
  origFrom: 28,
  finalTo: 36,
  extra: 44,
  flags: 48,
  nameLength: 52,
  dataLength: 56,
  namePointer: 64,
  dataPointer: 72,
  endGuard: 80,
} as const;

/** Bytes of the entire layout: what counts against the maximum message size. */
export function entireLength(nameLength: number, dataLength: number): number {
  return HEADER_LENGTH + padded(nameLength + 1) + padded(dataLength) + 4;
}

export function encodeEntire(message: MessageFields): Uint8Array {
  const { name, data } = message;
  const bytes = new Uint8Array(entireLength(name.length, data.length));
  const view = new DataView(bytes.buffer);
  const put = (at: number, word: number): void => view.setUint32(at, word, LITTLE_ENDIAN);
  put(OFFSET.startGuard, START_GUARD);
  put(OFFSET.id, message.id.networkId);
  put(OFFSET.id + 4, message.id.serialNum);
  put(OFFSET.inReplyTo, message.inReplyTo.networkId);
  put(OFFSET.inReplyTo + 4, message.inReplyTo.serialNum);
  put(OFFSET.to, message.to);
  put(OFFSET.from, message.from);
  put(OFFSET.origFrom, message.origFrom.networkId);
  put(OFFSET.origFrom + 4, message.origFrom.localId);
  put(OFFSET.finalTo, message.finalTo.networkId);
  put(OFFSET.finalTo + 4, message.finalTo.localId);
  put(OFFSET.flags, message.flags);
  put(OFFSET.nameLength, name.length);
  put(OFFSET.dataLength, data.length);
  put(OFFSET.endGuard, END_GUARD);
  for (let at = 0; at < name.length; at++) {
    // A letter that is no byte must not become another letter: '?' is refused wherever it goes.
    const letter = name.charCodeAt(at);
    bytes[HEADER_LENGTH + at] = letter < 0x100 ? letter : 0x3f;
  }
  bytes.set(data, HEADER_LENGTH + padded(name.length + 1));
  put(bytes.length - 4, END_GUARD);
  return bytes;
}

/** The fields of a complete header of 88 bytes. */
export interface Header {
  id: MessageId;
  inReplyTo: MessageId;
  to: number;
  from: number;
  origFrom: OrigFrom;
  finalTo: OrigFrom;
  flags: number;
  nameLength: number;
  dataLength: number;
  /** Addresses in the writer's memory; both 0n in the entire form. */
  namePointer: bigint;
  dataPointer: bigint;
}

/** The largest size in bytes of the Reply to this Request of this requester. */
export type MaxReplySize = (requester: number, request: MessageId) => number;

/**
 * Reads a header and checks it in the order of spec 2 §4.2: guards (EINVAL), name length (EINVAL, ENAMETOOLONG), pointers
 * (EINVAL), flags (EINVAL), size (EMSGSIZE). Gives the error number of a header that it refuses.
 */
export function readHeader(
  bytes: Uint8Array,
  maxMessageSize: number,
  maxReplySize: MaxReplySize = () => maxMessageSize,
): Header | number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_LENGTH);
  const word = (at: number): number => view.getUint32(at, LITTLE_ENDIAN);
  if (word(OFFSET.startGuard) !== START_GUARD || word(OFFSET.endGuard) !== END_GUARD) {
    return Errno.EINVAL;
  }
  const nameLength = word(OFFSET.nameLength);
  const dataLength = word(OFFSET.dataLength);
  if (nameLength === 0) return Errno.EINVAL;
  if (nameLength > MAX_NAME) return Errno.ENAMETOOLONG;
  const namePointer = view.getBigUint64(OFFSET.namePointer, LITTLE_ENDIAN);
  const dataPointer = view.getBigUint64(OFFSET.dataPointer, LITTLE_ENDIAN);
  if (namePointer === 0n ? dataPointer !== 0n : (dataPointer === 0n) !== (dataLength === 0)) {
    return Errno.EINVAL;
  }
  const inReplyTo = new MessageId(word(OFFSET.inReplyTo), word(OFFSET.inReplyTo + 4));
  const flags = word(OFFSET.flags);
  const wrongFlags = checkFlags(flags, inReplyTo.isSet);
  if (wrongFlags !== 0) return wrongFlags;
  // Compare before rounding up: a data length near 2^32 would wrap.
  const to = word(OFFSET.to);
  const maxSize = inReplyTo.isSet ? maxReplySize(to, inReplyTo) : maxMessageSize;
  if (dataLength > maxSize || entireLength(nameLength, dataLength) > maxSize) return Errno.EMSGSIZE;
  return {
    id: new MessageId(word(OFFSET.id), word(OFFSET.id + 4)),
    inReplyTo,
    to,
    from: word(OFFSET.from),
    origFrom: new OrigFrom(word(OFFSET.origFrom), word(OFFSET.origFrom + 4)),
    finalTo: new OrigFrom(word(OFFSET.finalTo), word(OFFSET.finalTo + 4)),
    flags,
    nameLength,
    dataLength,
    namePointer,
    dataPointer,
  };
}

const latin1 = new TextDecoder('latin1');

/** What a message is made of: see the constructor of Message. */
export interface DecodedMessage {
  readonly name: string;
  readonly data: Uint8Array;
  readonly options: MessageOptions;
}

/** The message of a header, and of the name and data that belong to it. */
export function decoded(header: Header, name: Uint8Array, data: Uint8Array): DecodedMessage {
  const { flags, to, from, id, inReplyTo, origFrom, finalTo } = header;
  const options = { flags, to, from, id, inReplyTo, origFrom, finalTo };
  return { name: latin1.decode(name), data, options };
}

/** The inverse of {@link encodeEntire}. A KbusError (EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE) for bad bytes. */
export function decodeEntire(bytes: Uint8Array): DecodedMessage {
  const refuse = (errno: number): never => {
    throw new KbusError('write', errno, `${codeOf(errno)} in ${bytes.length} bytes of a message`);
  };
  if (bytes.length < HEADER_LENGTH) return refuse(Errno.EINVAL);
  const header = readHeader(bytes, Number.POSITIVE_INFINITY);
  if (typeof header === 'number') return refuse(header);
  // Pointers would lead into another program's memory.
  if (header.namePointer !== 0n) return refuse(Errno.EINVAL);
  const total = entireLength(header.nameLength, header.dataLength);
  if (bytes.length !== total) return refuse(bytes.length < total ? Errno.EINVAL : Errno.EMSGSIZE);
  const name = bytes.subarray(HEADER_LENGTH, HEADER_LENGTH + header.nameLength);
  const dataAt = HEADER_LENGTH + padded(header.nameLength + 1);
  const message = decoded(header, name, bytes.slice(dataAt, dataAt + header.dataLength));
  const wrongName = checkMessageName(message.name);
  if (wrongName !== 0) return refuse(wrongName);
  const view = new DataView(bytes.buffer, bytes.byteOffset + total - 4, 4);
  if (view.getUint32(0, LITTLE_ENDIAN) !== END_GUARD) return refuse(Errno.EINVAL);
  return message;
}
