import { LITTLE_ENDIAN } from '../../base/endianness.ts';
import { padded } from '../../base/u32.ts';
import { Errno } from '../errno.ts';
import { type Message, messageOf } from '../message.ts';
import { checkMessageName } from '../name.ts';
import {
  decoded,
  END_GUARD,
  entireLength,
  HEADER_LENGTH,
  type Header,
  type MaxReplySize,
  readHeader,
} from './device.ts';

/** The part of a message that the next byte belongs to, as `stats` names it. */
export type MessagePart = 'HDR' | 'NAME' | 'DATA' | 'FINAL';

/**
 * Puts a message together from bytes that are written in any number of pieces of any size
 * (spec 2 §3.3). It refuses what is wrong as soon as that can be known; whatever is refused
 * throws the partial message away.
 */
export class Assembler {
  private bytes: Uint8Array = new Uint8Array(HEADER_LENGTH);
  private length = 0;
  private header: Header | null = null;
  /**
   * The size that the message begun last has, as its header tells: 0 before that is complete. It is
   * remembered of a message that was refused.
   */
  size = 0;
  /** Likewise, whether that is a Reply. */
  isReply = false;

  /** How many bytes of the message were written. */
  get position(): number {
    return this.length;
  }

  /** Nothing was written since the last message. */
  get isEmpty(): boolean {
    return this.length === 0;
  }

  get part(): MessagePart {
    if (this.header === null) return 'HDR';
    const nameEnd = HEADER_LENGTH + padded(this.header.nameLength + 1);
    if (this.length < nameEnd) return 'NAME';
    return this.length < nameEnd + padded(this.header.dataLength) ? 'DATA' : 'FINAL';
  }

  get isComplete(): boolean {
    return this.header !== null && this.length === this.total;
  }

  /** The header, when the message is complete and its name and data are still with the writer. */
  get pointy(): Header | null {
    return this.header !== null && this.header.namePointer !== 0n ? this.header : null;
  }

  private get total(): number {
    if (this.header === null) return HEADER_LENGTH;
    return this.header.namePointer !== 0n
      ? HEADER_LENGTH
      : entireLength(this.header.nameLength, this.header.dataLength);
  }

  /** Takes more bytes: 0, or why the message is refused (EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE). */
  write(bytes: Uint8Array, maxMessageSize: number, maxReplySize?: MaxReplySize): number {
    const errno = this.take(bytes, maxMessageSize, maxReplySize);
    if (errno !== 0) this.clear();
    return errno;
  }

  private take(bytes: Uint8Array, maxMessageSize: number, maxReplySize?: MaxReplySize): number {
    let at = 0;
    if (this.length === 0) {
      this.size = 0;
      this.isReply = false;
    }
    if (this.header === null) {
      at = Math.min(bytes.length, HEADER_LENGTH - this.length);
      this.bytes.set(bytes.subarray(0, at), this.length);
      this.length += at;
      if (this.length < HEADER_LENGTH) return 0;
      const header = readHeader(this.bytes, maxMessageSize, maxReplySize);
      if (typeof header === 'number') return header;
      this.header = header;
      this.size = entireLength(header.nameLength, header.dataLength);
      this.isReply = header.inReplyTo.isSet;
    }
    const rest = bytes.subarray(at);
    if (rest.length === 0) return 0;
    if (this.length + rest.length > this.total) return Errno.EMSGSIZE;
    this.reserve(this.length + rest.length);
    this.bytes.set(rest, this.length);
    this.length += rest.length;
    return this.isComplete ? this.checkTail() : 0;
  }

  /** What can be known only of the whole: the name, and the last guard. */
  private checkTail(): number {
    const wrongName = checkMessageName(this.message().name);
    if (wrongName !== 0) return wrongName;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.length - 4, 4);
    return view.getUint32(0, LITTLE_ENDIAN) === END_GUARD ? 0 : Errno.EINVAL;
  }

  // Memory follows what was written, not what the header promises.
  private reserve(length: number): void {
    if (length <= this.bytes.length) return;
    const larger = new Uint8Array(Math.min(this.total, Math.max(length, this.bytes.length * 2)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** The message; only when it is complete and not pointy. Its data is a view of what was written. */
  message(): Message {
    const header = this.header;
    if (header === null || !this.isComplete || header.namePointer !== 0n) {
      throw new Error('the message is not there yet');
    }
    const dataAt = HEADER_LENGTH + padded(header.nameLength + 1);
    const name = this.bytes.subarray(HEADER_LENGTH, HEADER_LENGTH + header.nameLength);
    const data = this.bytes.subarray(dataAt, dataAt + header.dataLength);
    return messageOf(decoded(header, name, data));
  }

  /** Forgets what was written; memory that a message took with it is not used again. */
  clear(): void {
    this.bytes = new Uint8Array(HEADER_LENGTH);
    this.length = 0;
    this.header = null;
  }
}
