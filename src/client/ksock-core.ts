import type { Timers } from '../base/timers.ts';
import { checkU32 } from '../base/u32.ts';
import { type Mode, Op } from '../message/calls.ts';
import { KbusError } from '../message/error.ts';
import { inspect, MessageId } from '../message/id.ts';
import { type Data, Message } from '../message/message.ts';
import type { AccessReport, BindingReport, BusReport } from '../message/reports.ts';
import { BusCalls } from './bus-calls.ts';
import { MessageReader, MessageWriter } from './byte-calls.ts';
import type {
  BorrowingHandler,
  Handler,
  HandlerOptions,
  Handling,
  ListenerOptions,
  RequestHandler,
} from './handler.ts';
import { KsockHandlers } from './ksock-handlers.ts';
import { Messages } from './message-iterator.ts';
import {
  type CloseOptions,
  checkNames,
  checkWait,
  mustBe,
  type OpenOptions,
  type RequestOptions,
  type SendOptions,
  type WaitOptions,
} from './options.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';
import { Reader } from './reader.ts';
import { Requests } from './requests.ts';
import { Sender } from './sender.ts';
import { ended, timed } from './time-limit.ts';

/**
 * A connection to a bus: it sends messages, listens to names, and replies to Requests. Calls return promises. The bus
 * carries calls out in the order in which the program makes them, awaited or not. A refused call rejects with a
 * {@link KbusError}; each call lists the `code`s that it may have. Every call may also reject with EBADF (the Ksock is
 * closed), ECONNRESET (the connection was lost), EPROTO or ENOMEM.
 *
 * This class has all calls, and runs in a browser. {@link Ksock} opens it in Node, {@link TransportKsock} anywhere.
 */
export class KsockCore implements AsyncIterable<Message> {
  /** Number of the bus. */
  readonly number: number;
  readonly mode: Mode;
  private readonly reconnecting: ReconnectingPort;
  private readonly calls: BusCalls;
  private readonly sender: Sender;
  private readonly requests: Requests;
  private readonly reader: Reader;
  private readonly handlers: KsockHandlers;
  private readonly written: MessageWriter;
  private readonly read = new MessageReader();
  private readonly timers: Timers;

  /** @internal */
  protected constructor(
    mode: Mode,
    reconnecting: ReconnectingPort,
    options: OpenOptions<never>,
    timers: Timers,
  ) {
    if (reconnecting === undefined)
      throw new TypeError('a Ksock is opened with `await Ksock.open(0)`, not with `new`');
    this.mode = mode;
    this.reconnecting = reconnecting;
    this.timers = timers;
    this.number = reconnecting.port.busNumber;
    this.calls = new BusCalls(reconnecting);
    this.sender = new Sender(mode, reconnecting, this.calls, timers);
    this.requests = new Requests(reconnecting, this.sender, timers);
    this.reader = new Reader(reconnecting);
    this.handlers = new KsockHandlers(
      reconnecting,
      this.reader,
      this.sender,
      this.calls,
      options,
      timers,
    );
    this.written = new MessageWriter({
      errno: () => this.sender.errno,
      maxMessageSize: () => this.maxMessageSize(),
    });
  }

  /** This Ksock's id on its bus, from 1. Each reconnection gives it a new one. */
  get id(): number {
    return this.reconnecting.port.ksockId;
  }

  /** The same as {@link id}. */
  ksockId(): number {
    return this.id;
  }

  /** The Ksock is not closed, and has a connection to its bus. */
  get isConnected(): boolean {
    return this.reconnecting.isConnected;
  }

  toString(): string {
    const mode = this.mode === 'r' ? 'read' : 'read/write';
    return `Ksock device ${this.number}, id ${this.id}, mode ${mode}`;
  }

  /** @internal */
  [inspect](): string {
    return `<${this}>`;
  }

  // Binding

  /**
   * Makes this Ksock a Listener of a name or wildcard or, with `replier`, the Replier of it. See spec 1 §7.1. Errors:
   *
   * - EADDRINUSE: the name has a Replier
   * - EBADMSG, ENAMETOOLONG: not a valid name, or longer than 1000 bytes
   * - EAGAIN: the bus reports Replier binds, and a listener of these reports has a full queue
   * - ENOLCK, ENOMEM: this Ksock has reached `max-bindings-per-ksock`, or the bus `max-bindings`
   * - EBADF: a Replier that was opened to read only
   * - EACCES: the access point does not give the right to read (Listeners) or reply, or not for this name
   */
  bind(name: string, replier = false): Promise<void> {
    return this.calls.bind(name, replier);
  }

  /**
   * Removes the newest binding with exactly these arguments, and its unread messages from the queue. Unread Requests
   * among them get the Status `$.KBUS.Replier.Unbound`. See spec 1 §7.3. Errors: EINVAL (this Ksock has no such
   * binding), EBADMSG, ENAMETOOLONG, EAGAIN (as for {@link bind}).
   */
  unbind(name: string, replier = false): Promise<void> {
    return this.calls.unbind(name, replier);
  }

  /**
   * The id of the Ksock that is bound as Replier to exactly this name, or null: wildcards don't match. See spec 1 §7.4.
   * Errors: ENAMETOOLONG (the name is empty, or longer than 1000 bytes).
   */
  async findReplier(name: string): Promise<number | null> {
    mustBe('string', 'name', name);
    const what = `find the Replier of '${name}'`;
    const { first } = await this.calls.call('findReplier', Op.FIND_REPLIER, 0, name, what);
    return first === 0 ? null : first;
  }

  // Sending

  /**
   * Sends a message; resolves with its id when the bus has delivered it. Don't change the memory of the data until
   * then. Errors (spec 1 §6):
   *
   * - EBADF: this Ksock is read-only
   * - EALREADY: an earlier message waits to be sent, after EAGAIN
   * - EINVAL, EBADMSG, ENAMETOOLONG: the message or its name is not valid
   * - EMSGSIZE: the message is larger than {@link maxMessageSize}
   * - ENOLCK: this Ksock's queue has no free slot for the Reply
   * - EADDRNOTAVAIL: the Request has no Replier, or the requester of the Reply has closed
   * - ECONNREFUSED: the requester does not wait for this Reply, at least not from this Ksock
   * - EPIPE: another Ksock than `to` is the Replier
   * - EBUSY: the Replier's queue is full, or the Replier has reached `max-unanswered-per-ksock`; with ALL_OR_FAIL, a
   *   listener's queue is full
   * - EAGAIN: with ALL_OR_WAIT, a recipient's queue is full. The bus keeps the message: {@link send} it again,
   *   {@link waitWritable}, or {@link discard} it
   * - ENOMEM: programs hold as much memory as they may (`max-memory`)
   */
  sendMsg(message: Message, options?: SendOptions): Promise<MessageId> {
    const wrong = this.sender.check(message);
    if (wrong instanceof Message) return this.sendMsg(wrong, options);
    if (wrong !== null) return Promise.reject(wrong);
    if (!this.written.isEmpty) return this.sendWritten(message);
    return this.sender.send(message, options);
  }

  /** Sends a message whose first part `writeData` has written. */
  private async sendWritten(message: Message): Promise<MessageId> {
    await this.written.writeMsg(message);
    return this.send();
  }

  /**
   * Sends without a promise for each message: for high throughput. Returns undefined if the program may post the next
   * message at once; otherwise a promise to await first. That promise, or {@link flush}, rejects with the first
   * refusal; the bus may have accepted messages posted after the refused one. Don't change the memory of the data
   * until `flush` resolves. `wait` is that of {@link SendOptions}. Errors: those of {@link sendMsg}.
   */
  post(message: Message, options: { wait?: boolean | undefined } = {}): Promise<void> | undefined {
    return this.sender.post(message, options.wait === true);
  }

  /** Resolves when the bus has accepted all posted messages; rejects with the first refusal. */
  flush(): Promise<void> {
    return this.sender.flush();
  }

  /**
   * Sends many messages in their order, with as many in flight as the bus allows; resolves with their number when the
   * bus has accepted all. Waits while a recipient's queue is full; with `wait: false`, listeners whose queues are full
   * miss messages. Rejects as {@link post} does, or with the signal's reason: then the bus drops the messages that wait.
   */
  sendAll(
    messages: Iterable<Message> | AsyncIterable<Message>,
    options: SendOptions = {},
  ): Promise<number> {
    return this.sender.sendAll(messages, options, (message, each) => this.sendMsg(message, each));
  }

  /** Writes a message, without sending it. Errors: EBADF, EALREADY, EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE. */
  writeMsg(message: Message): Promise<void> {
    return this.written.writeMsg(message);
  }

  /** Writes the next bytes of a message, in the layout of {@link Message.toBytes}. Errors: as for {@link writeMsg}. */
  writeData(bytes: Uint8Array): Promise<void> {
    return this.written.writeData(bytes);
  }

  /**
   * Sends the written message or, after EAGAIN, the waiting one. See spec 1 §6.10. Errors: ENOMSG (no message was
   * written), EINVAL (the message is not complete; the Ksock drops it), and those of {@link sendMsg}.
   */
  async send(): Promise<MessageId> {
    if (this.sender.isSending) return this.sender.resend();
    return this.sendMsg(this.written.take());
  }

  /** Drops the written message, and the one that waits to be sent. */
  discard(): Promise<void> {
    this.written.clear();
    return this.sender.discard();
  }

  /**
   * Resolves with true when the program may write a message: after EAGAIN, when the bus has delivered the waiting one
   * or found that it never can. Resolves with false after the timeout, and always for a read-only Ksock.
   */
  waitWritable(options: WaitOptions = {}): Promise<boolean> {
    return this.sender.waitWritable(options);
  }

  /**
   * Sends a Request and resolves with its Reply, even if other parts of the program read this Ksock. Don't change the
   * memory of the data until then. Rejects:
   *
   * - with a {@link StatusError} if KBUS answers, because the Replier can't
   * - with a {@link ReplierError} if the Replier's handler threw
   * - with ETIMEDOUT after the timeout, at most a second late if the daemon doesn't answer
   * - with ENOLCK if 65,536 Requests of this Ksock are unanswered
   * - with the signal's reason, or as {@link sendMsg} does
   *
   * After a timeout or abort the bus forgets the Request (spec 1 §8.2). If the Replier has not read it, the Replier
   * never will, and the message of the ETIMEDOUT says so; otherwise the bus refuses the Reply.
   */
  request(
    nameOrMessage: string | Message,
    data?: Data | null,
    options?: RequestOptions,
  ): Promise<Message> {
    return this.requests.request(nameOrMessage, data, options);
  }

  // Reading

  /** The next message, or null if the queue is empty. */
  async readNextMsg(): Promise<Message | null> {
    this.handlers.checkNone();
    this.read.drop();
    return this.reader.take(false, undefined);
  }

  /**
   * Waits for the next message. Resolves with null after the timeout (after a second, if that is longer and the daemon
   * doesn't answer). Rejects with the signal's reason, or with ECONNRESET if the connection is lost. A wait that ends
   * loses no message: the next read gets it, or one that waits already.
   */
  async waitForMsg(options: WaitOptions = {}): Promise<Message | null> {
    this.handlers.checkNone();
    checkWait(options);
    checkNames('waitForMsg', options, 'wait');
    const { timeout, signal } = options;
    const take = (either: AbortSignal | undefined) => this.reader.take(true, either);
    const message = await timed(timeout, signal, this.timers, take);
    if (message === null) signal?.throwIfAborted();
    return message;
  }

  /**
   * Makes the next message the current one, and drops the rest of the one before. Resolves with its length in bytes, in
   * the layout of {@link Message.toBytes}; 0 if the queue is empty.
   */
  async nextMsg(): Promise<number> {
    return this.read.begin(await this.readNextMsg());
  }

  /** The unread bytes of the current message. */
  lenLeft(): number {
    return this.read.left;
  }

  /** The next bytes of the current message, at most `count`; none at its end. */
  async readData(count: number): Promise<Uint8Array> {
    return this.read.readData(count);
  }

  /** The current message, of the length that `nextMsg` gave; null if no bytes are left. */
  async readMsg(length: number): Promise<Message | null> {
    return this.read.readMsg(length);
  }

  /** All messages, until the Ksock is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    this.handlers.checkNone();
    let isWanted = true;
    return new Messages(
      () => this.reader.nextOfMany(() => isWanted),
      () => {
        isWanted = false;
        return this.reader.stop();
      },
    );
  }

  /** The messages in the queue, until it is empty. */
  drain(): AsyncIterableIterator<Message> {
    return new Messages(
      () => this.readNextMsg(),
      async () => {},
    );
  }

  // Handlers

  /**
   * Binds this Ksock as the Replier of a name or wildcard, and calls the handler with each Request. The data of the
   * Reply is what the handler returns: text, bytes or nothing; the handler may use that memory again at once. If the
   * handler throws, the requester's `request` rejects with a {@link ReplierError}. An async handler works on several
   * Requests at once: see {@link HandlerOptions.concurrency}. Errors: EBADF for a read-only Ksock, and those of
   * {@link bind}.
   */
  async replier(
    name: string,
    handler: RequestHandler,
    options: HandlerOptions = {},
  ): Promise<Handling> {
    return this.handlers.handle(name, true, handler, options);
  }

  /**
   * Binds this Ksock as a Listener of a name or wildcard, and calls the handler with each message of that name, once
   * per message even if several bindings match. If the handler throws, `onHandlerError` is called and the handler goes
   * on. Errors: those of {@link bind}.
   *
   * With `borrowed`, the handler gets a {@link BorrowedMessage}, which is valid until the handler returns; the handler
   * must not return a promise. For programs that read millions of messages a second, or large data. Give such handlers
   * a Ksock of their own: it reuses memory only if all its handlers borrow.
   */
  async listener(
    name: string,
    handler: Handler,
    options?: HandlerOptions & { borrowed?: false | undefined },
  ): Promise<Handling>;
  async listener(
    name: string,
    handler: BorrowingHandler,
    options: HandlerOptions & { borrowed: true },
  ): Promise<Handling>;
  async listener(
    name: string,
    handler: Handler | BorrowingHandler,
    options: ListenerOptions = {},
  ): Promise<Handling> {
    return this.handlers.handle(name, false, handler, options);
  }

  // Settings and state

  /** The number of unread messages in the queue (spec 1 §10.3). */
  async numMessages(): Promise<number> {
    const count = await this.calls.ask('read', Op.NUM_MESSAGES, 'count unread messages');
    return count + this.reconnecting.statuses.length;
  }

  /** The number of Requests that this Ksock has read as Replier and not answered (spec 1 §10.3). */
  async numUnrepliedTo(): Promise<number> {
    return this.calls.ask('read', Op.NUM_UNREPLIED_TO, 'count unanswered Requests');
  }

  /** The id of the last message sent; [0:0] before the first. */
  async lastMsgId(): Promise<MessageId> {
    const { first, second } = await this.calls.call(
      'send',
      Op.LAST_MSG_ID,
      0,
      '',
      'ask for the last id',
    );
    return new MessageId(first, second);
  }

  /** The limit of the queue, in messages. */
  async maxMessages(): Promise<number> {
    return this.setMaxMessages(0);
  }

  /**
   * Sets the limit of the queue, in messages: 1 to 4,294,967,295; 0 asks. Resolves with the limit. The default is 10,000,
   * unless the bus has another. See spec 1 §5.1.
   */
  async setMaxMessages(count: number): Promise<number> {
    checkU32('count', count);
    const what = `set the limit of the queue to ${count}`;
    const { first } = await this.calls.call('maxMessages', Op.MAX_MESSAGES, count, '', what);
    if (count !== 0) this.reconnecting.set(Op.MAX_MESSAGES, count);
    return first;
  }

  /** The largest size of a message on this bus, in bytes, as {@link Message.totalLength} counts. */
  async maxMessageSize(): Promise<number> {
    return this.setMaxMessageSize(0);
  }

  /**
   * Sets the largest size of a message for all programs on this bus: from 100 bytes up to the bus's absolute maximum; 0
   * asks, and 1 asks for that maximum. Resolves with the size. Both are 16 MiB by default. A lowered size does not
   * apply to Replies to Requests that the bus has accepted. See spec 1 §10.2. Errors: EINVAL (out of range).
   */
  async setMaxMessageSize(size: number): Promise<number> {
    checkU32('size', size);
    const what = `set the maximum message size to ${size}`;
    const { first } = await this.calls.call('maxMessageSize', Op.MAX_MESSAGE_SIZE, size, '', what);
    if (size > 1) this.reconnecting.set(Op.MAX_MESSAGE_SIZE, size);
    return first;
  }

  /**
   * With true, a message that several bindings of this Ksock match is queued once only. Resolves with the value before;
   * without an argument, only asks. Default: false. See spec 1 §5.3.
   */
  wantMessagesOnce(onlyOnce?: boolean): Promise<boolean> {
    return this.calls.switch('wantMessagesOnce', Op.WANT_MESSAGES_ONCE, onlyOnce);
  }

  /**
   * With true, this bus reports binds and unbinds of Repliers. Resolves with the value before; without an argument, only
   * asks. Default: false. See spec 1 §9.1. Errors: EBUSY (the queue filled up before it held a report of each Replier;
   * reporting is on nevertheless).
   */
  async reportReplierBinds(report?: boolean): Promise<boolean> {
    try {
      return await this.calls.switch('reportReplierBinds', Op.REPORT_REPLIER_BINDS, report);
    } catch (error) {
      // EBUSY leaves reporting on (spec 1 §9.3).
      if (error instanceof KbusError && error.code === 'EBUSY') {
        this.reconnecting.set(Op.REPORT_REPLIER_BINDS, 1);
      }
      throw error;
    }
  }

  /** With true, this bus writes its debug log. Resolves with the value before; without an argument, only asks. */
  verbose(verbose?: boolean): Promise<boolean> {
    return this.calls.switch('verbose', Op.VERBOSE, verbose);
  }

  /**
   * Makes the next bus; resolves with its number when it can be opened. Errors: EINVAL (256 buses exist), EACCES (the
   * daemon may not create its socket), ENOMEM (it has no file descriptor or disk space for it).
   */
  async newDevice(): Promise<number> {
    return this.calls.ask('newDevice', Op.NEW_DEVICE, 'make a new bus');
  }

  /**
   * Ends another Ksock of this bus, as if its program had died. Calls of that program reject with ECONNABORTED, which says
   * who ended it; it does not reconnect. Errors: EACCES (the access point does not give the right to manage), EINVAL (it
   * is this Ksock itself), EADDRNOTAVAIL (no Ksock with this id is open).
   */
  async kick(id: number): Promise<void> {
    checkU32('id', id);
    await this.calls.call('kick', Op.KICK, id, '', `end Ksock ${id}`);
  }

  /**
   * The access points of this bus, and what their users may do: see spec 1 §13. Without the right to observe or to manage,
   * only that of this Ksock.
   */
  async accessPoints(): Promise<AccessReport[]> {
    const what = 'read the access points';
    return (await this.calls.report(Op.ACCESS, what, 'accessPoints')).flat();
  }

  /** The bindings of this bus, newest first. Errors: EACCES (neither the right to observe nor to manage). */
  async readBindings(): Promise<BindingReport[]> {
    return (await this.calls.report(Op.BINDINGS, 'read the bindings', 'bindings')).flat();
  }

  /** The state of this bus and of its Ksocks, newest first. Errors: EACCES, likewise. */
  async stats(): Promise<BusReport> {
    const pieces = await this.calls.report(Op.STATS, 'read the statistics', 'stats');
    const ksocks = pieces.flatMap((piece) => piece.ksocks);
    ksocks.sort((a, b) => b.ksock - a.ksock);
    return { ...(pieces[0] as BusReport), ksocks };
  }

  /**
   * Leaves the bus (spec 1 §8.1); resolves when the bus has removed the Ksock. Waiting calls reject with EBADF, and
   * iterations end. If the daemon reads and sends nothing for 5 seconds, the Ksock closes the connection without
   * waiting longer.
   *
   * With `finish`, the handlers get no further message, finish the calls that are running, and send their Replies before
   * the Ksock leaves; the Ksock waits for them at most `timeout` ms.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkNames('close', options, 'close');
    const { finish = false, timeout } = options;
    checkWait({ timeout });
    if (finish && !this.reconnecting.isClosed) {
      const finished = (signal: AbortSignal | undefined) => ended(this.finish(), signal);
      await timed(timeout, undefined, this.timers, finished).catch(() => {});
    }
    await this.reconnecting.close();
  }

  private async finish(): Promise<void> {
    await this.handlers.finish();
    await this.reconnecting.port.flushed();
  }

  /**
   * Lets the program exit while this Ksock is open, if nothing else keeps it running. A Ksock on a bus in this process
   * never keeps its program running.
   */
  unref(): this {
    this.reconnecting.keepProgram(false);
    return this;
  }

  /** Undoes `unref`. */
  ref(): this {
    this.reconnecting.keepProgram(true);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
