import { checkU32 } from '../base/u32.ts';
import { entireLength, HEADER_LENGTH, type Header, readHeader } from '../message/codec/device.ts';
import { asBytes } from '../message/data.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { Message, ownMessage } from '../message/message.ts';

// The calls that write and read messages as bytes, as programs do at a device file.

const NO_BYTES = new Uint8Array(0);

/** What a MessageWriter needs of its Ksock. */
export interface MessageWriterHost {
  /** The error for which the Ksock can't write now, or 0. */
  errno(): number;
  maxMessageSize(): Promise<number>;
}

/** The bytes of a message as far as they are written. */
class Written {
  length = 0;
  /** Null until it is complete. */
  header: Header | null = null;
  /** Null until it is complete, and if the header has pointers. */
  message: Message | null = null;
  private pieces: Uint8Array[] = [];

  /** Takes more bytes: 0, or why they are no message (EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE). */
  add(bytes: Uint8Array): number {
    this.pieces.push(bytes.slice());
    this.length += bytes.length;
    if (this.header === null) {
      if (this.length < HEADER_LENGTH) return 0;
      const header = readHeader(this.join(), Number.POSITIVE_INFINITY);
      if (typeof header === 'number') return header;
      this.header = header;
    }
    const { nameLength, dataLength, namePointer } = this.header;
    const total = namePointer === 0n ? entireLength(nameLength, dataLength) : HEADER_LENGTH;
    if (this.length > total) return Errno.EMSGSIZE;
    if (this.length < total || namePointer !== 0n) return 0;
    try {
      this.message = Message.fromBytes(this.join());
    } catch (error) {
      return (error as KbusError).errno;
    }
    return 0;
  }

  private join(): Uint8Array {
    const bytes = new Uint8Array(this.length);
    let at = 0;
    for (const piece of this.pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    this.pieces = [bytes];
    return bytes;
  }
}

/** The message that a program writes, in pieces. */
export class MessageWriter {
  private readonly host: MessageWriterHost;
  private written = new Written();
  /** `connection` of the written message. */
  private connection: object | undefined;

  constructor(host: MessageWriterHost) {
    this.host = host;
  }

  /** The program has written no bytes since the last message. */
  get isEmpty(): boolean {
    return this.written.length === 0;
  }

  async writeMsg(message: Message): Promise<void> {
    const ours = ownMessage(message);
    this.connection = ours.connection;
    await this.write(ours.toBytes(), `write ${ours.kind} '${ours.name}'`);
  }

  async writeData(bytes: Uint8Array): Promise<void> {
    const ours = asBytes(bytes);
    if (ours === null) throw new TypeError(`bytes must be a Uint8Array, not ${typeof bytes}`);
    if (this.isEmpty) this.connection = undefined;
    await this.write(ours, `write ${ours.length} bytes`);
  }

  private async write(bytes: Uint8Array, what: string): Promise<void> {
    const refused = this.host.errno();
    if (refused !== 0) throw new KbusError('write', refused, what);
    // Write before the await: the program's next call must find the bytes written.
    const { written } = this;
    const errno = written.add(bytes);
    const { header } = written;
    const isPointy = errno === 0 && header !== null && header.namePointer !== 0n;
    if (errno !== 0 || isPointy) this.clear();
    // The largest size of a Reply depends on its Request: the bus checks it in `send`.
    if (header !== null && !header.inReplyTo.isSet) {
      const size = entireLength(header.nameLength, header.dataLength);
      if (size > (await this.host.maxMessageSize())) {
        if (this.written === written) this.clear();
        throw new KbusError('write', Errno.EMSGSIZE, what);
      }
    }
    if (isPointy) throw new KbusError('write', Errno.EFAULT, `${what} with pointers into memory`);
    if (errno !== 0) throw new KbusError('write', errno, what);
  }

  /** Takes the written message out. Throws ENOMSG (no bytes were written) or EINVAL (the message is not complete). */
  take(): Message {
    if (this.isEmpty) throw new KbusError('send', Errno.ENOMSG, 'send');
    const { length, message } = this.written;
    this.clear();
    if (message === null) {
      throw new KbusError('send', Errno.EINVAL, `send the ${length} bytes written`);
    }
    if (this.connection !== undefined) message.connection = this.connection;
    return message;
  }

  clear(): void {
    this.written = new Written();
  }
}

/** The message that a program reads, in pieces. */
export class MessageReader {
  private bytes: Uint8Array = NO_BYTES;
  private at = 0;

  /** Begins with the next message; gives its length in bytes. */
  begin(message: Message | null): number {
    this.bytes = message === null ? NO_BYTES : message.toBytes();
    this.at = 0;
    return this.bytes.length;
  }

  /** Drops the unread rest of the message. */
  drop(): void {
    this.begin(null);
  }

  /** Unread bytes. */
  get left(): number {
    return this.bytes.length - this.at;
  }

  readData(count: number): Uint8Array {
    checkU32('count', count);
    const bytes = this.bytes.slice(this.at, this.at + count);
    this.at += bytes.length;
    return bytes;
  }

  readMsg(length: number): Message | null {
    const bytes = this.readData(length);
    return bytes.length === 0 ? null : Message.fromBytes(bytes);
  }
}
