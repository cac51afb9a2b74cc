import { brand, copies, isOfOtherCopy } from '../base/other-copy.ts';
import { textOf } from '../base/text.ts';
import { checkU32 } from '../base/u32.ts';
import { viewOf } from '../base/view.ts';
import { type DecodedMessage, decodeEntire, encodeEntire, entireLength } from './codec/device.ts';
import { asBytes, type Data, detached, toBytes } from './data.ts';
import type { MessageKind, MessageOptions } from './fields.ts';
import { Flag } from './flags.ts';
import { Head, headOf, plainHead } from './head.ts';
import { inspect, MessageId, type OrigFrom } from './id.ts';
import { inspectMessage } from './inspect.ts';
import { jsonOfMessage, type MessageJson } from './json.ts';
import { printMessage } from './print.ts';

/**
 * All fields in the order of {@link Message.extract}.
 *
 * @example
 * ```ts
 * import { Announcement, Message, type MessageSequence } from 'kbus';
 *
 * const sequence: MessageSequence = new Announcement('$.Door', 'open').extract();
 * const [id, , to, , , , flags, name] = sequence;
 * console.log(String(id), to, flags, name); // → [0:0] 0 0 $.Door
 * console.log(Message.fromSequence(sequence).text()); // → open
 * ```
 */
export type MessageSequence = readonly [
  id: MessageId,
  inReplyTo: MessageId,
  to: number,
  from: number,
  origFrom: OrigFrom,
  finalTo: OrigFrom,
  flags: number,
  name: string,
  data: Uint8Array,
];

/**
 * Name of the event that reports a Replier's bind or unbind (spec 1 §9.1).
 *
 * @see {@link splitReplierBindEventData} for an example
 */
export const REPLIER_BIND_EVENT = '$.KBUS.ReplierBindEvent';

/** The names of messages that KBUS makes begin with this. */
const KBUS_NAMES = '$.KBUS.';

const NO_DATA = new Uint8Array(0);

export type { Data } from './data.ts';

// Symbols hide these properties from structuredClone and JSON, which would copy other messages and the connection.
const MEMORY = Symbol('memory');
const CONNECTION = Symbol('connection');

/**
 * A message: a header, a name, and optional data, which KBUS never reads (spec 1 §4.1). A message that is neither a
 * Request nor a Reply is an Announcement; see {@link Request} and {@link Reply}.
 *
 * @example
 * ```ts
 * import { type Data, Message, type MessageJson, type MessageKind } from 'kbus';
 *
 * const data: Data = '{ "degrees": 21 }';
 * const message = new Message('$.Heater.Target', data);
 * const kind: MessageKind = message.kind;
 * console.log(kind, message.text()); // → Announcement { "degrees": 21 }
 * console.log(message.json<{ degrees: number }>().degrees); // → 21
 * const json: MessageJson = message.toJSON();
 * console.log(json.name, message.dataLength); // → $.Heater.Target 17
 * ```
 */
export class Message {
  /** @internal All but serial number, sender and data. Messages share heads, so a change makes a new one. */
  head: Head;
  /** @internal */
  idSerial: number;
  /** Sender's Ksock id; 0 until the message is sent. */
  from: number;
  /** @internal The memory in which the data lies. */
  [MEMORY]: Uint8Array;
  /** @internal Where the data begins in the memory. {@link data} makes a view of it when a program first asks. */
  dataStart = 0;
  /** @internal */
  dataSize: number;
  /** @internal */
  [CONNECTION]?: object | undefined;

  /**
   * Keeps `data` by reference: don't change it before the message was sent. Throws a TypeError that names an argument of
   * the wrong type. The bus checks the name when the message is sent. `flags` are set beside those of `options`.
   */
  constructor(name: string, data?: Data | null, options?: MessageOptions, flags = 0) {
    if (options === undefined) {
      this.head = plainHead(name, flags);
      this.idSerial = 0;
      this.from = 0;
    } else {
      this.head = headOf(name, options, flags);
      this.idSerial = options.id?.serialNum ?? 0;
      this.from = options.from === undefined ? 0 : checkU32('from', options.from);
    }
    this[MEMORY] = data === undefined ? NO_DATA : toBytes(data);
    this.dataSize = this[MEMORY].length;
  }

  get name(): string {
    return this.head.name;
  }

  set name(name: string) {
    this.head = this.head.with({ name });
  }

  get to(): number {
    return this.head.to;
  }

  set to(to: number) {
    this.head = this.head.with({ to });
  }

  get flags(): number {
    return this.head.flags;
  }

  set flags(flags: number) {
    this.head = this.head.with({ flags });
  }

  get inReplyTo(): MessageId {
    return this.head.inReplyTo;
  }

  set inReplyTo(inReplyTo: MessageId) {
    this.head = this.head.with({ inReplyTo });
  }

  get origFrom(): OrigFrom {
    return this.head.origFrom;
  }

  set origFrom(origFrom: OrigFrom) {
    this.head = this.head.with({ origFrom });
  }

  get finalTo(): OrigFrom {
    return this.head.finalTo;
  }

  set finalTo(finalTo: OrigFrom) {
    this.head = this.head.with({ finalTo });
  }

  /** [0:0] until the message is sent. */
  get id(): MessageId {
    const { idNetwork } = this.head;
    return idNetwork === 0 && this.idSerial === 0
      ? MessageId.UNSET
      : new MessageId(idNetwork, this.idSerial);
  }

  set id({ networkId, serialNum }: MessageId) {
    if (networkId !== this.head.idNetwork) this.head = this.head.with({ idNetwork: networkId });
    this.idSerial = serialNum;
  }

  /** The data, without a copy. */
  get data(): Uint8Array {
    const { [MEMORY]: memory, dataStart, dataSize } = this;
    if (dataSize === memory.length) return memory;
    if (memory.length === 0) throw detached();
    const data = viewOf(memory, dataStart, dataSize);
    this[MEMORY] = data;
    this.dataStart = 0;
    return data;
  }

  set data(data: Data | null) {
    const memory = toBytes(data);
    this[MEMORY] = memory;
    this.dataStart = 0;
    this.dataSize = memory.length;
  }

  /** @internal The memory of the data was transferred. */
  get isDetached(): boolean {
    return this.dataSize > 0 && this[MEMORY].length === 0;
  }

  /**
   * The memory in which the data lies, from {@link dataAt} on, {@link dataLength} bytes long. Other messages may lie
   * beside it: don't change them. For programs that read millions of messages a second: {@link data} makes an object on
   * first use, which takes a third of a reader's time.
   */
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

  /**
   * The data as text: exactly the text that was sent, with its byte order mark, if any. Bytes that are not UTF-8 become
   * U+FFFD, as lone surrogates do when they are sent.
   */
  text(): string {
    return textOf(this.data);
  }

  /** The data parsed as JSON, without a byte order mark, if any. Throws a SyntaxError when the data is not JSON. */
  json<T = unknown>(): T {
    return JSON.parse(this.text().replace(/^\ufeff/, '')) as T;
  }

  /**
   * @internal The connection by which this message was read, or the message that it answers or follows. Only Ksocks that
   * reconnect set it, on messages that were read.
   */
  get connection(): object | undefined {
    return this[CONNECTION];
  }

  /** @internal */
  set connection(connection: object | undefined) {
    this[CONNECTION] = connection;
  }

  /** It wants a Reply (WANT_A_REPLY). */
  isRequest(): boolean {
    return (this.flags & Flag.WANT_A_REPLY) !== 0;
  }

  /** Also true for a Status: that is a Reply that KBUS made. */
  isReply(): boolean {
    return this.head.isReply;
  }

  /**
   * KBUS made this Reply. A Limpet passes a Status on without SYNTHETIC, so its name tells, too (spec 1 §4.3).
   */
  isStatus(): boolean {
    return this.isReply() && (this.isSynthetic() || this.name.startsWith(KBUS_NAMES));
  }

  /** It is a Request that only one Ksock may answer. */
  isStatefulRequest(): boolean {
    return this.isRequest() && (this.to !== 0 || this.finalTo.isSet);
  }

  /** KBUS made it. */
  isSynthetic(): boolean {
    return (this.flags & Flag.SYNTHETIC) !== 0;
  }

  /** It goes before all unread messages of a queue (URGENT). */
  isUrgent(): boolean {
    return (this.flags & Flag.URGENT) !== 0;
  }

  /** This copy of the Request is the one that its reader must answer. */
  wantsUsToReply(): boolean {
    return this.head.wantsUsToReply;
  }

  /** Sets or clears URGENT. */
  setUrgent(urgent = true): void {
    this.setFlag(Flag.URGENT, urgent);
  }

  /** Sets or clears WANT_A_REPLY: makes it a Request, or an Announcement. */
  setWantReply(wantReply = true): void {
    this.setFlag(Flag.WANT_A_REPLY, wantReply);
  }

  private setFlag(bit: number, on: boolean): void {
    this.flags = (on ? this.flags | bit : this.flags & ~bit) >>> 0;
  }

  get kind(): MessageKind {
    if (this.isReply()) return this.isStatus() ? 'Status' : 'Reply';
    if (this.isRequest()) return 'Request';
    return this.name === REPLIER_BIND_EVENT ? 'ReplierBindEvent' : 'Announcement';
  }

  /** The same message as the class of its kind. */
  cast(): Announcement | Request | Reply | Status {
    switch (this.kind) {
      case 'Request':
        return Request.fromMessage(this);
      case 'Reply':
        return Reply.fromMessage(this);
      case 'Status':
        return Status.fromMessage(this);
      default:
        return Announcement.fromMessage(this);
    }
  }

  /** Same name, data and `to`. Fields that KBUS sets, and in_reply_to, may differ. */
  equivalent(other: Message): boolean {
    if (this.name !== other.name || this.to !== other.to) return false;
    const [ours, theirs] = [this.data, other.data];
    return ours.length === theirs.length && ours.every((byte, at) => byte === theirs[at]);
  }

  /** Its fields in the order of the layout in bytes (spec 2). */
  extract(): MessageSequence {
    return [
      this.id,
      this.inReplyTo,
      this.to,
      this.from,
      this.origFrom,
      this.finalTo,
      this.flags,
      this.name,
      this.data,
    ];
  }

  /** Length in bytes of the "entire" layout on a 64-bit machine: the size that limits count. */
  totalLength(): number {
    return entireLength(this.name.length, this.dataSize);
  }

  /** The "entire" layout on a 64-bit machine, as programs read it from a device. */
  toBytes(): Uint8Array {
    return encodeEntire(this);
  }

  /** A message of this class with the fields of another. Throws a TypeError when that is of another kind. */
  static fromMessage<T extends Message>(this: new (...made: never[]) => T, message: Message): T {
    const made: T = Object.create(this.prototype);
    Object.assign(made, message);
    made.checkKind();
    return made;
  }

  /** The inverse of {@link extract}. */
  static fromSequence(sequence: MessageSequence): Message {
    const [id, inReplyTo, to, from, origFrom, finalTo, flags, name, data] = sequence;
    return new Message(name, data, { id, inReplyTo, to, from, origFrom, finalTo, flags });
  }

  /** The inverse of {@link toBytes}. A KbusError (EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE) for bad bytes. */
  static fromBytes(bytes: Uint8Array): Message {
    const ours = asBytes(bytes);
    if (ours === null) throw new TypeError(`bytes must be a Uint8Array, not ${typeof bytes}`);
    return messageOf(decodeEntire(ours));
  }

  /** @internal Throws a TypeError when the message is not of the kind of its class. */
  protected checkKind(): void {}

  toString(): string {
    return printMessage(this);
  }

  /** For logs. To send a message to another program or thread, use {@link toBytes}. */
  toJSON(): MessageJson {
    return jsonOfMessage(this);
  }

  /** @internal */
  [inspect](): string {
    return inspectMessage(this);
  }
}

function Received(
  this: Message,
  head: Head,
  from: number,
  serial: number,
  memory: Uint8Array,
  start: number,
  length: number,
): void {
  this.dataStart = start;
  this.head = head;
  this.from = from;
  this.idSerial = serial;
  this[MEMORY] = memory;
  this.dataSize = length;
}
Received.prototype = Message.prototype;

/**
 * @internal Makes a received message: its data is `length` bytes of `memory` from `start` on. The constructor of Message
 * would check everything, and V8 would not inline it.
 */
export const ReceivedMessage = Received as unknown as new (
  head: Head,
  from: number,
  serial: number,
  memory: Uint8Array,
  start: number,
  length: number,
) => Message;

/**
 * A message to all who listen to its name.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.bind('$.Door.*');
 * const id = await ksock.sendMsg(new Announcement('$.Door.Front', 'open'));
 * console.log(String(id)); // → [0:1]
 * const heard = await ksock.readNextMsg();
 * console.log(heard?.name, heard?.text()); // → $.Door.Front open
 * await ksock.close();
 * ```
 */
export class Announcement extends Message {
  // Written out: V8 calls the constructor that it would make by a slower way, where it does not inline it.
  constructor(name: string, data?: Data | null, options?: MessageOptions, flags = 0) {
    super(name, data, options, flags);
  }

  /** @internal */
  protected override checkKind(): void {
    if (this.isRequest() || this.isReply()) throw wrongKind(this, 'an Announcement');
  }
}

/**
 * A message that asks for exactly one Reply, from the one Replier bound to its name.
 *
 * @example
 * ```ts
 * import { Bus, Flag, Ksock, Request } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.replier('$.Alarm.Off', () => 'it is quiet');
 * const request = new Request('$.Alarm.Off', null, { flags: Flag.URGENT });
 * const reply = await ksock.request(request);
 * console.log(reply.text()); // → it is quiet
 * await ksock.close();
 * ```
 */
export class Request extends Message {
  constructor(name: string, data?: Data | null, options?: MessageOptions) {
    super(name, data, options, Flag.WANT_A_REPLY);
  }

  /** @internal */
  protected override checkKind(): void {
    if (!this.isRequest()) throw wrongKind(this, 'a Request');
  }
}

/**
 * The answer to a Request; {@link replyTo} makes one.
 *
 * @see {@link replyTo} for an example
 */
export class Reply extends Message {
  constructor(
    name: string,
    data: Data | null | undefined,
    options: MessageOptions & { inReplyTo: MessageId },
  ) {
    super(name, data, options);
    this.checkKind();
  }

  /** @internal */
  protected override checkKind(): void {
    if (!this.isReply()) throw wrongKind(this, 'a Reply: its inReplyTo is not set');
  }
}

/**
 * The answer that KBUS gives to a Request when the Replier can't (spec 1 §4.3).
 *
 * @example
 * ```ts
 * import { Message, MessageId, Status } from 'kbus';
 *
 * const made: Message = new Status('$.KBUS.Replier.GoneAway', { inReplyTo: new MessageId(0, 7) });
 * console.log(made.isStatus(), made.isReply()); // → true true
 * if (made instanceof Status) console.log(String(made.inReplyTo)); // → [0:7]
 * ```
 */
export class Status extends Message {
  constructor(name: string, options: MessageOptions & { inReplyTo: MessageId }) {
    super(name, null, options, Flag.SYNTHETIC);
    this.checkKind();
  }

  /** @internal */
  protected override checkKind(): void {
    if (!this.isStatus()) throw wrongKind(this, 'a Status');
  }
}

brand(Message, 'Message');

/** The message that {@link decodeEntire} has decoded. */
export function messageOf({ name, data, options }: DecodedMessage): Message {
  return new Message(name, data, options);
}

/**
 * The message that a program gave as the argument `what`; a message of another copy of this package is copied. Throws a
 * TypeError for anything else.
 */
export function ownMessage(value: Message, what = 'message'): Message {
  return value instanceof Message ? value : adopted(value, what);
}

function adopted(value: unknown, what: string): Message {
  if (!isOfOtherCopy(Message, value)) {
    const isBorrowed = typeof (value as { keep?: unknown } | null)?.keep === 'function';
    const given = isBorrowed ? 'a BorrowedMessage: its keep() gives one' : `${typeof value}`;
    throw new TypeError(
      `${what} must be a Message, such as new Announcement('$.Name', 'data'), not ${given}`,
    );
  }
  const other = value as Message;
  try {
    return withConnection(Message.fromSequence(other.extract()), other);
  } catch (cause) {
    throw new TypeError(
      `${what} is a Message of another copy of kbus, and can't be read: ${copies(other)}; let the program have one copy`,
      { cause },
    );
  }
}

function wrongKind(message: Message, wanted: string): TypeError {
  return new TypeError(`${message} is not ${wanted}`);
}

/**
 * The Reply to a Request that was read. Throws a TypeError when the message is not marked for its reader to answer: a
 * listener's copy of a Request has another Replier.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, type Reply, Request, replyTo } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.bind('$.Echo', true);
 * await ksock.sendMsg(new Request('$.Echo', 'hello'));
 * const request = await ksock.readNextMsg();
 * if (request?.wantsUsToReply()) {
 *   const reply: Reply = replyTo(request, request.data);
 *   await ksock.sendMsg(reply);
 * }
 * console.log((await ksock.readNextMsg())?.text()); // → hello
 * await ksock.close();
 * ```
 */
export function replyTo(request: Message, data?: Data | null): Reply {
  const ours = ownMessage(request, 'request');
  if (!ours.wantsUsToReply()) {
    throw new TypeError(
      `${ours} is not for us to answer: only the copy marked YOU, read by the Replier, is`,
    );
  }
  const { name, idNetwork } = ours.head;
  const head = new Head(name, 0, ours.from, 0, idNetwork, ours.idSerial);
  const reply = new Reply(name, data, head);
  return withConnection(reply, ours);
}

/** Notes that the message belongs to the connection by which the other was read. */
function withConnection<T extends Message>(message: T, { connection }: Message): T {
  if (connection !== undefined) message.connection = connection;
  return message;
}

/**
 * A Request to the very Replier that answered before: the send fails with EPIPE when another Ksock is bound to the name
 * by now. `earlier` is a Reply from that Replier, or an earlier stateful Request to it. Through Limpets, orig_from and
 * final_to carry it there (spec 3 §4).
 *
 * @example
 * ```ts
 * import { Bus, Ksock, statefulRequest } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.replier('$.Player.*', (request) => `did ${request.name}`);
 * const opened = await ksock.request('$.Player.Open', 'film');
 * // Fails with EPIPE, in place of asking a player that knows of no film, if another one has taken the name.
 * const played = await ksock.request(statefulRequest(opened, '$.Player.Play'));
 * console.log(played.text()); // → did $.Player.Play
 * await ksock.close();
 * ```
 */
export function statefulRequest(earlier: Message, name: string, data?: Data | null): Request {
  const ours = ownMessage(earlier, 'earlier');
  if (ours.isReply()) {
    const request = new Request(name, data, { to: ours.from, finalTo: ours.origFrom });
    return withConnection(request, ours);
  }
  if (ours.isStatefulRequest()) {
    const request = new Request(name, data, { to: ours.to, finalTo: ours.finalTo });
    return withConnection(request, ours);
  }
  throw new TypeError(
    `${ours} does not tell whom to ask: give a Reply, or an earlier stateful Request`,
  );
}
