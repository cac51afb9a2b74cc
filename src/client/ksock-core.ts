import type { Timers } from '../base/timers.ts';
import { checkU32 } from '../base/u32.ts';
import { type Mode, Op } from '../message/calls.ts';
import { KbusError } from '../message/error.ts';
import { inspect, MessageId } from '../message/id.ts';
import { type Data, Message } from '../message/message.ts';
import type { BindingReport, BusReport } from '../message/reports.ts';
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
import { Messages } from './messages.ts';
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
 * A connection to a bus: it sends messages, listens for names, and replies to Requests. All calls are
 * promises; they are carried out in the order in which they were made, whether awaited or not. A call
 * that is refused rejects with a {@link KbusError}, whose `code` is given with each call.
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

  /** This Ksock's id on its bus: from 1 upwards. Another one after a reconnection. */
  get id(): number {
    return this.reconnecting.port.ksockId;
  }

  ksockId(): number {
    return this.id;
  }

  /** Whether it can be used at this moment: not closed, and its daemon is there. */
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
   * Listens to a name or wildcard; or, with `replier`, answers the Requests of that name. EADDRINUSE
   * (it has a Replier), EBADMSG, ENAMETOOLONG, EAGAIN. See spec 1 §7.1.
   */
  bind(name: string, replier = false): Promise<void> {
    return this.calls.bind(name, replier);
  }

  /**
   * Undoes the newest bind with these very arguments; unread messages that came by it are dropped.
   * EINVAL (there is none), EBADMSG, ENAMETOOLONG, EAGAIN. See spec 1 §7.3.
   */
  unbind(name: string, replier = false): Promise<void> {
    return this.calls.unbind(name, replier);
  }

  /** Id of the Ksock bound as Replier to exactly this name, or null. ENAMETOOLONG. See spec 1 §7.4. */
  async findReplier(name: string): Promise<number | null> {
    mustBe('string', 'name', name);
    const what = `find the Replier of '${name}'`;
    const { first } = await this.calls.call('findReplier', Op.FIND_REPLIER, 0, name, what);
    return first === 0 ? null : first;
  }

  // Sending

  /**
   * Sends a message; resolves with the id it got. All errors of spec 1 §6:
   * ENOLCK, EADDRNOTAVAIL, ECONNREFUSED, EPIPE, EBUSY, EAGAIN (then it waits: `send` it again, or
   * `discard` it), EALREADY, EBADF, EINVAL, EBADMSG, ENAMETOOLONG, EMSGSIZE.
   *
   * The memory of the data is the bus's until the promise resolves, and may be used again then.
   */
  sendMsg(message: Message, options?: SendOptions): Promise<MessageId> {
    const wrong = this.sender.check(message);
    if (wrong instanceof Message) return this.sendMsg(wrong, options);
    if (wrong !== null) return Promise.reject(wrong);
    if (!this.written.isEmpty) return this.sendWritten(message);
    return this.sender.send(message, options);
  }

  /** Behind what was written in part. */
  private async sendWritten(message: Message): Promise<MessageId> {
    await this.written.writeMsg(message);
    return this.send();
  }

  /**
   * Sends without a promise for each message, for those who send very many. Returns undefined when the
   * next may be posted at once, else a promise to wait for; {@link flush} tells the outcome. A refusal
   * makes that promise, or `flush`, reject; what was under way then may have been sent. The memory of the data may
   * be used again when `flush` resolves.
   */
  post(message: Message, options: { wait?: boolean | undefined } = {}): Promise<void> | undefined {
    return this.sender.post(message, options.wait === true);
  }

  /** Resolves when all that was posted has been sent; rejects with the first refusal. */
  flush(): Promise<void> {
    return this.sender.flush();
  }

  /**
   * Sends many messages, one after the other, with as many under way as the bus allows; resolves with
   * their number when all were sent. Waits for room in full queues, unless `wait` is false: then who has a full
   * queue misses messages. Rejects as {@link post} does, or with the signal's reason: what had to wait for room
   * then is not sent any more.
   */
  sendAll(
    messages: Iterable<Message> | AsyncIterable<Message>,
    options: SendOptions = {},
  ): Promise<number> {
    return this.sender.sendAll(messages, options, (message, each) => this.sendMsg(message, each));
  }

  /** Writes a message, without sending it. EBADF, EALREADY, EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE. */
  writeMsg(message: Message): Promise<void> {
    return this.written.writeMsg(message);
  }

  /** Writes some bytes of a message, in the layout of {@link Message.toBytes}. The same errors. */
  writeData(bytes: Uint8Array): Promise<void> {
    return this.written.writeData(bytes);
  }

  /**
   * Sends what was written, or, after EAGAIN, the message that waits. ENOMSG (nothing was written),
   * EINVAL (it is not complete; it is thrown away), and the errors of {@link sendMsg}. See spec 1 §6.10.
   */
  async send(): Promise<MessageId> {
    if (this.sender.isSending) return this.sender.resend();
    return this.sendMsg(this.written.take());
  }

  /** Throws away the message that was written, or the one that waits to be sent. */
  discard(): Promise<void> {
    this.written.clear();
    return this.sender.discard();
  }

  /**
   * Resolves with true when a message may be written: after EAGAIN, when the one that waits was sent,
   * or can never be. With false when the time is over, and always for a read-only Ksock.
   */
  waitWritable(options: WaitOptions = {}): Promise<boolean> {
    return this.sender.waitWritable(options);
  }

  /**
   * Sends a Request and resolves with its Reply, whoever else reads this Ksock. Rejects with a
   * {@link StatusError} when KBUS answered in place of the Replier, with a {@link ReplierError} when
   * the Replier's handler threw, with ETIMEDOUT when the time is over, with the signal's reason, or as
   * {@link sendMsg} does. A Request that is given up before it was sent is never sent. One that was sent is
   * forgotten: its place in this Ksock's queue is free; it leaves the Replier's queue if it is unread there, and
   * the message of the ETIMEDOUT says that nobody carried it out; else its Reply is refused. A daemon that doesn't
   * answer can delay that ETIMEDOUT by a second. See spec 1 §8.2.
   *
   * The memory of the data is the bus's until the promise resolves, and may be used again then.
   */
  request(
    nameOrMessage: string | Message,
    data?: Data | null,
    options?: RequestOptions,
  ): Promise<Message> {
    return this.requests.request(nameOrMessage, data, options);
  }

  // Reading

  /** The next message, or null when there is none. */
  async readNextMsg(): Promise<Message | null> {
    this.handlers.checkNone();
    this.read.drop();
    return this.reader.take(false, undefined);
  }

  /**
   * Waits for the next message; null when the time is over, which a daemon that doesn't answer can delay
   * to a second. Rejects at once with the signal's reason, and with ECONNRESET when the bus goes away. A
   * message is never lost to a wait that ended: the next to read gets it, or who waits already.
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
   * Moves on to the next message, and returns its length in bytes, as {@link Message.toBytes} lays it
   * out; 0 when there is none. What is left of the one before is dropped.
   */
  async nextMsg(): Promise<number> {
    return this.read.begin(await this.readNextMsg());
  }

  /** How many bytes of the current message are still unread. */
  lenLeft(): number {
    return this.read.left;
  }

  /** Up to `count` bytes of the current message; none at its end. */
  async readData(count: number): Promise<Uint8Array> {
    return this.read.readData(count);
  }

  /** The current message, whose length `nextMsg` told; null when there is nothing to read. */
  async readMsg(length: number): Promise<Message | null> {
    return this.read.readMsg(length);
  }

  /** Waits for messages for as long as the Ksock is open. */
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

  /** The messages that are there, until the queue is empty. */
  drain(): AsyncIterableIterator<Message> {
    return new Messages(
      () => this.readNextMsg(),
      async () => {},
    );
  }

  // Handlers

  /**
   * Answers the Requests of a name: with what the handler returns (text, bytes, or nothing), or, when it
   * throws, with a Reply that makes the asker's `request` fail with a {@link ReplierError}. Requests are
   * handled as they come, several at once when the handler waits. Rejects as {@link bind} does. The memory of what
   * the handler returns may be used again at once, for the next Reply say.
   */
  async replier(
    name: string,
    handler: RequestHandler,
    options: HandlerOptions = {},
  ): Promise<Handling> {
    return this.handlers.handle(name, true, handler, options);
  }

  /**
   * Calls the handler with each message of a name or wildcard that this Ksock reads from now on, once, by however
   * many names it is bound. Rejects as {@link bind} does. What a handler throws ends nothing: see `onHandlerError`.
   *
   * With `borrowed`, one object shows the handler many messages, each until the handler returns, in memory that
   * is used again then: see {@link BorrowedMessage}. It must not return a promise. This is for those who read
   * millions a second, or large data, by a Ksock of their own: memory is used again only while all its handlers
   * borrow.
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

  /** Unread messages. */
  async numMessages(): Promise<number> {
    const count = await this.calls.ask('read', Op.NUM_MESSAGES, 'count unread messages');
    return count + this.reconnecting.statuses.length;
  }

  /** Requests that were read as Replier and are not answered yet. */
  async numUnrepliedTo(): Promise<number> {
    return this.calls.ask('read', Op.NUM_UNREPLIED_TO, 'count unanswered Requests');
  }

  /** Id of the last message sent; [0:0] before the first. */
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

  /** How many messages the queue may hold. */
  async maxMessages(): Promise<number> {
    return this.setMaxMessages(0);
  }

  /** Sets how many messages the queue may hold, from 1; resolves with the limit. 0 asks. */
  async setMaxMessages(count: number): Promise<number> {
    checkU32('count', count);
    const what = `set the limit of the queue to ${count}`;
    const { first } = await this.calls.call('maxMessages', Op.MAX_MESSAGES, count, '', what);
    if (count !== 0) this.reconnecting.set(Op.MAX_MESSAGES, count);
    return first;
  }

  /** The size in bytes of the largest message this bus takes, as {@link Message.totalLength} counts. */
  async maxMessageSize(): Promise<number> {
    return this.setMaxMessageSize(0);
  }

  /**
   * Sets the largest size for everybody on this bus, from 100 bytes; resolves with it. 0 asks, and 1
   * asks for the largest that may be set. EINVAL. Answers to Requests that were accepted before may still be as
   * large as was allowed then.
   */
  async setMaxMessageSize(size: number): Promise<number> {
    checkU32('size', size);
    const what = `set the maximum message size to ${size}`;
    const { first } = await this.calls.call('maxMessageSize', Op.MAX_MESSAGE_SIZE, size, '', what);
    if (size > 1) this.reconnecting.set(Op.MAX_MESSAGE_SIZE, size);
    return first;
  }

  /**
   * Whether a message that reaches this Ksock by several bindings comes once only; resolves with what
   * was set before. Without an argument it asks. See spec 1 §5.3.
   */
  wantMessagesOnce(onlyOnce?: boolean): Promise<boolean> {
    return this.calls.switch('wantMessagesOnce', Op.WANT_MESSAGES_ONCE, onlyOnce);
  }

  /** Whether this bus reports Replier binds and unbinds (spec 1 §9.1); likewise. EBUSY. */
  async reportReplierBinds(report?: boolean): Promise<boolean> {
    try {
      return await this.calls.switch('reportReplierBinds', Op.REPORT_REPLIER_BINDS, report);
    } catch (error) {
      // The reports are on all the same.
      if (error instanceof KbusError && error.code === 'EBUSY') {
        this.reconnecting.set(Op.REPORT_REPLIER_BINDS, 1);
      }
      throw error;
    }
  }

  /** Whether this bus writes its debug log; likewise. */
  verbose(verbose?: boolean): Promise<boolean> {
    return this.calls.switch('verbose', Op.VERBOSE, verbose);
  }

  /** Makes the next bus; resolves with its number once it can be opened. EINVAL: there are 256. */
  async newDevice(): Promise<number> {
    return this.calls.ask('newDevice', Op.NEW_DEVICE, 'make a new bus');
  }

  /** The bindings of this bus, newest first. */
  async readBindings(): Promise<BindingReport[]> {
    return (await this.calls.report<BindingReport[]>(Op.BINDINGS, 'read the bindings')).flat();
  }

  /** The state of this bus and its Ksocks. */
  async stats(): Promise<BusReport> {
    const pieces = await this.calls.report<BusReport>(Op.STATS, 'read the statistics');
    const ksocks = pieces.flatMap((piece) => piece.ksocks);
    ksocks.sort((a, b) => b.ksock - a.ksock);
    return { ...(pieces[0] as BusReport), ksocks };
  }

  /**
   * Leaves the bus (spec 1 §8.1); resolves when it knows. What waits ends: waiting calls reject with EBADF, and iterations
   * are done. For a daemon that has taken nothing and said nothing for 5 seconds it doesn't wait any longer:
   * the connection is closed, and the bus knows when that daemon goes on.
   *
   * With `finish`, the handlers take no new message, but what they have begun is done, answered and sent before the
   * Ksock leaves; for `timeout` milliseconds at most, if that is given.
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
   * Lets the program end though this Ksock is open, if nothing else keeps it: for what only sends, or answers as
   * long as there is other work. Bound to a bus in this process, a Ksock never keeps its program.
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
