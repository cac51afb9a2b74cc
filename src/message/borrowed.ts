import { Head } from './head.ts';
import { inspect, MessageId } from './id.ts';
import type { MessageJson } from './json.ts';
import { type Message, ReceivedMessage } from './message.ts';

const NO_BYTES = new Uint8Array(0);

// See Message.
const MEMORY = Symbol('memory');
const CONNECTION = Symbol('connection');

/** The head of a borrowed message whose handler has returned. */
const OVER = new Head('', 0);

/**
 * A message that is valid while its handler runs. Afterwards this object shows the next message, and the client reuses
 * the memory of the data; so messages need neither an object nor memory of their own. {@link keep} gives a message that
 * stays valid.
 *
 * @example
 * ```ts
 * import { Announcement, type BorrowedMessage, type BorrowingHandler, Bus, Ksock } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * let bytes = 0;
 * const count: BorrowingHandler = (message: BorrowedMessage) => {
 *   bytes += message.dataLength;
 * };
 * await ksock.listener('$.Video', count, { borrowed: true });
 * await ksock.sendMsg(new Announcement('$.Video', new Uint8Array(1000)));
 * await ksock.close({ finish: true });
 * console.log(bytes); // → 1000
 * ```
 */
export class BorrowedMessage {
  /** @internal */
  head: Head = OVER;
  /** @internal */
  idSerial = 0;
  /** @internal */
  [CONNECTION]: object | undefined = undefined;
  /** @internal */
  [MEMORY]: Uint8Array = NO_BYTES;
  private sender = 0;
  private dataStart = 0;
  private dataSize = 0;

  get name(): string {
    return this.current.head.name;
  }

  /** Sender's Ksock id. */
  get from(): number {
    return this.current.sender;
  }

  /** See {@link Flag}. */
  get flags(): number {
    return this.current.head.flags;
  }

  get id(): MessageId {
    const { head, idSerial } = this.current;
    return new MessageId(head.idNetwork, idSerial);
  }

  /** The memory in which the data lies, from {@link dataAt} on; other messages may lie beside it. */
  get bytes(): Uint8Array {
    return this[MEMORY];
  }

  /** Where the data begins in {@link bytes}. */
  get dataAt(): number {
    return this.dataStart;
  }

  /** Length of the data in bytes. */
  get dataLength(): number {
    return this.dataSize;
  }

  /** A message that stays valid, with a copy of the data. */
  keep(): Message {
    const { head, sender, idSerial, [MEMORY]: memory, dataStart, dataSize } = this.current;
    const { connection } = this;
    const data = new Uint8Array(dataSize);
    data.set(memory.subarray(dataStart, dataStart + dataSize));
    const message = new ReceivedMessage(head, sender, idSerial, data, 0, dataSize);
    if (connection !== undefined) message.connection = connection;
    return message;
  }

  /** As {@link Message.toJSON}; `{ over: true }` when its handler has returned. */
  toJSON(): MessageJson | { over: true } {
    return this.head === OVER ? { over: true } : this.seen().toJSON();
  }

  toString(): string {
    return this.head === OVER ? '<BorrowedMessage that is over>' : String(this.seen());
  }

  /** @internal */
  [inspect](): string {
    return this.head === OVER ? this.toString() : this.seen()[inspect]();
  }

  /** The message for printing, without a copy of the data. */
  private seen(): Message {
    const { head, sender, idSerial, [MEMORY]: memory, dataStart, dataSize } = this;
    return new ReceivedMessage(head, sender, idSerial, memory, dataStart, dataSize);
  }

  /** @internal See Message. */
  get connection(): object | undefined {
    return this[CONNECTION];
  }

  /** @internal */
  set connection(connection: object | undefined) {
    this[CONNECTION] = connection;
  }

  /** This object; throws when its handler has returned. */
  private get current(): this {
    if (this.head !== OVER) return this;
    throw new Error(
      'this message was borrowed, and its handler has returned; keep() gives one that stays',
    );
  }

  /** @internal Shows the message whose data is `length` bytes of `memory` from `start` on. */
  show(
    head: Head,
    from: number,
    serial: number,
    memory: Uint8Array,
    start: number,
    length: number,
  ): void {
    // Messages that came together mostly share these; comparing costs less than writing to an old object.
    if (head !== this.head) this.head = head;
    if (memory !== this[MEMORY]) this[MEMORY] = memory;
    if (from !== this.sender) this.sender = from;
    this.idSerial = serial;
    this.dataStart = start;
    this.dataSize = length;
  }

  /** @internal */
  showMessage(message: Message): void {
    const { head, from, idSerial, bytes, dataStart, dataSize, connection } = message;
    this.show(head, from, idSerial, bytes, dataStart, dataSize);
    if (connection !== this.connection) this.connection = connection;
  }

  /** @internal The handler has returned. */
  end(): void {
    this.show(OVER, 0, 0, NO_BYTES, 0, 0);
  }
}
