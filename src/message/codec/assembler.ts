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

/** The part of a message that the next byte belongs to, in the words of `stats`. */
export type MessagePart = 'HDR' | 'NAME' | 'DATA' | 'FINAL';

/**
 * Assembles a message from pieces of any size (spec 2 §3.3). It refuses a wrong message as early as it can, and then
 * throws the partial message away.
 */
export class Assembler {
  private bytes: Uint8Array = new Uint8Array(HEADER_LENGTH);
  private length = 0;
  private header: Header | null = null;
  /**
   * The size of the message begun last, as its header says; 0 before the header is complete. It stays known when the
   * message was refused.
   */
  size = 0;
  /** Whether that message is a Reply, likewise. */
  isReply = false;

  /** How many bytes of the message have been written. */
  get position(): number {
    return this.length;
  }

  /** Nothing has been written since the last message. */
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

  /** The header of a complete message whose name and data are still in the writer's memory. */
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

  /** Checks what only the complete message shows: the name, and the last guard. */
  private checkTail(): number {
    const wrongName = checkMessageName(this.message().name);
    if (wrongName !== 0) return wrongName;
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.length - 4, 4);
    return view.getUint32(0, LITTLE_ENDIAN) === END_GUARD ? 0 : Errno.EINVAL;
  }

  // Memory grows with the bytes written, not with what the header claims.
  private reserve(length: number): void {
    if (length <= this.bytes.length) return;
    const larger = new Uint8Array(Math.min(this.total, Math.max(length, this.bytes.length * 2)));
    larger.set(this.bytes.subarray(0, this.length));
    this.bytes = larger;
  }

  /** The message, which must be complete and not pointy. Its data is a view of the bytes written. */
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

  /** Forgets the bytes written. Messages keep their memory: it is not used again. */
  clear(): void {
    this.bytes = new Uint8Array(HEADER_LENGTH);
    this.length = 0;
    this.header = null;
  }
}
