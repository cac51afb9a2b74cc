import { Head } from './head.ts';
import { MessageId } from './id.ts';
import { type Message, ReceivedMessage } from './message.ts';

const NO_BYTES = new Uint8Array(0);

/** What there is of a message when its time is over. */
const OVER = new Head('', 0);

/**
 * A message for as long as its handler runs: then this object shows the next one, or says that it is over, and the
 * memory of its data is written to again. So no message has an object, and none has memory, of its own;
 * {@link keep} gives one that has.
 */
export class BorrowedMessage {
  /** @internal */
  head: Head = OVER;
  /** @internal */
  idSerial = 0;
  /** @internal See Message. */
  connection: object | undefined = undefined;
  private memory: Uint8Array = NO_BYTES;
  private dataStart = 0;
  private dataSize = 0;

  get name(): string {
    return this.now.name;
  }

  /** Sender's Ksock id. */
  get from(): number {
    return this.now.from;
  }

  /** See {@link Flag}. */
  get flags(): number {
    return this.now.flags;
  }

  get id(): MessageId {
    return new MessageId(this.now.idNetwork, this.idSerial);
  }

  /** The memory in which the data lies, from {@link dataAt} on; what is beside it belongs to others. */
  get bytes(): Uint8Array {
    return this.memory;
  }

  /** Where the data begins in {@link bytes}. */
  get dataAt(): number {
    return this.dataStart;
  }

  /** Length of the data in bytes. */
  get dataLength(): number {
    return this.dataSize;
  }

  /** The message as one that stays, with a copy of the data. */
  keep(): Message {
    const { now, idSerial, memory, dataStart, dataSize, connection } = this;
    const data = new Uint8Array(dataSize);
    data.set(memory.subarray(dataStart, dataStart + dataSize));
    const message = new ReceivedMessage(now, idSerial, data, 0, dataSize);
    if (connection !== undefined) message.connection = connection;
    return message;
  }

  private get now(): Head {
    if (this.head !== OVER) return this.head;
    throw new Error(
      'this message was borrowed, and its handler has returned; keep() gives one that stays',
    );
  }

  /** @internal Shows the message whose data are `length` bytes of `memory` from `start` on. */
  show(head: Head, serial: number, memory: Uint8Array, start: number, length: number): void {
    // Messages of a run share both; and to write what is there already takes longer than to look.
    if (head !== this.head) this.head = head;
    if (memory !== this.memory) this.memory = memory;
    this.idSerial = serial;
    this.dataStart = start;
    this.dataSize = length;
  }

  /** @internal */
  showMessage({ head, idSerial, memory, dataStart, dataSize, connection }: Message): void {
    this.show(head, idSerial, memory, dataStart, dataSize);
    if (connection !== this.connection) this.connection = connection;
  }

  /** @internal Nothing is borrowed any more. */
  end(): void {
    this.show(OVER, 0, NO_BYTES, 0, 0);
  }
}
