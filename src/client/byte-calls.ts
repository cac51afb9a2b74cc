import { checkU32 } from '../base/u32.ts';
import { Assembler } from '../message/codec/assembler.ts';
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

/** The message that a program writes, in pieces. */
export class MessageWriter {
  private readonly host: MessageWriterHost;
  private assembler = new Assembler();
  /** `connection` of the written message. */
  private connection: object | undefined;

  constructor(host: MessageWriterHost) {
    this.host = host;
  }

  /** The program has written no bytes since the last message. */
  get isEmpty(): boolean {
    return this.assembler.isEmpty;
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
    const { assembler } = this;
    const errno = assembler.write(bytes, Number.POSITIVE_INFINITY);
    const isPointy = assembler.pointy !== null;
    if (isPointy) assembler.clear();
    const { size, isReply } = assembler;
    // The largest size of a Reply depends on its Request: the bus checks it in `send`.
    if (size > 0 && !isReply && size > (await this.host.maxMessageSize())) {
      if (this.assembler === assembler) this.clear();
      throw new KbusError('write', Errno.EMSGSIZE, what);
    }
    if (isPointy) throw new KbusError('write', Errno.EFAULT, `${what} with pointers into memory`);
    if (errno !== 0) throw new KbusError('write', errno, what);
  }

  /** Takes the written message out. Throws ENOMSG (no bytes were written) or EINVAL (the message is not complete). */
  take(): Message {
    if (this.isEmpty) throw new KbusError('send', Errno.ENOMSG, 'send');
    const { isComplete, position } = this.assembler;
    const message = isComplete ? this.assembler.message() : null;
    this.clear();
    if (message === null) {
      throw new KbusError('send', Errno.EINVAL, `send the ${position} bytes written`);
    }
    if (this.connection !== undefined) message.connection = this.connection;
    return message;
  }

  clear(): void {
    this.assembler = new Assembler();
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
