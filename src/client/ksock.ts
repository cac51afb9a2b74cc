import { offAbort, onAbort } from '../base/abort.ts';
import { escaped } from '../base/escape.ts';
import { checkOptions } from '../base/options.ts';
import { copies, isOfOtherCopy } from '../base/other-copy.ts';
import { reportThrown } from '../base/report-thrown.ts';
import { checkU32 } from '../base/u32.ts';
import { Bus } from '../bus/bus.ts';
import { Op, type OpCode } from '../bus/driver/perform.ts';
import type { Mode } from '../bus/ksock-state.ts';
import type { BindingReport, BusReport } from '../bus/report.ts';
import { ASK } from '../bus/switches.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Assembler } from '../message/codec/assembler.ts';
import { checkFlags } from '../message/codec/device.ts';
import { asBytes, detached } from '../message/data.ts';
import { type Call, Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { MessageOptions } from '../message/fields.ts';
import { inspect, MessageId } from '../message/id.ts';
import { type Data, Message, ownMessage, Request } from '../message/message.ts';
import { checkMessageName, MAX_NAME } from '../message/name.ts';
import { REPLIER_ERROR, ReplierError, StatusError } from '../message/request-error.ts';
import {
  asked,
  badName,
  explain,
  faultOfHead,
  longName,
  notSent,
  tooManyAsked,
} from './explain.ts';
import {
  type BorrowingHandler,
  type Handler,
  type HandlerOptions,
  Handlers,
  type Handling,
  type ListenerOptions,
  type RequestHandler,
} from './handlers.ts';
import { LocalPort } from './ports/local-port.ts';
import {
  type Asking,
  type CallResult,
  closedError,
  type Port,
  PortError,
  type PortEvents,
  portErrorFor,
} from './ports/port.ts';
import {
  ReconnectingPort,
  type ReconnectOptions,
  reconnectDelays,
} from './ports/reconnecting-port.ts';
import { TIME_TO_TELL, TimeOver, whenEnded } from './time-limit.ts';
import { warnOfMissed } from './warn-of-missed.ts';

/**
 * Opens a port to a bus; what a transport is to a Ksock. Rejects with a PortError, also when the signal
 * ends the wait for it.
 */
export type Connect = (
  mode: Mode,
  events: PortEvents,
  signal: AbortSignal | undefined,
) => Promise<Port>;

export interface KsockOptions {
  /** `r` may read, bind and change settings; `rw`, the default, may write too. */
  mode?: Mode | undefined;
  /**
   * Folder of the daemon's sockets. By default the first of these where the bus is served: `$KBUS_DIR`,
   * `$XDG_RUNTIME_DIR/kbus`, /run/kbus.
   */
  directory?: string | undefined;
  /**
   * When the daemon goes away, come back when there is one again: with a new Ksock id, and bindings
   * and settings made again before `onConnected` is called: those of the Ksock, and those of the bus that it
   * has made (the maximum message size; reports of Replier binds and the debug log, if it turned them on). No message is sent again, and nothing is
   * answered any more that was asked on a connection that is lost: who asked has been told, and ids begin
   * anew. A Reply that `replyTo` makes for such a Request is refused (EADDRNOTAVAIL, as for a requester
   * that has gone), a handler's is dropped, and a stateful Request to a Replier of that time is refused
   * (EPIPE). `open` waits for the first daemon too, until its signal ends that. Default: false.
   */
  reconnect?: boolean | ReconnectOptions | undefined;
  /** The Ksock is connected again; it has its bindings, and a new id. */
  onConnected?: ((ksock: Ksock) => void) | undefined;
  /** The connection was lost, or one more attempt to come back failed. */
  onDisconnected?: ((error: KbusError) => void) | undefined;
  /**
   * Back after a loss, the bus refuses a name that was bound before: somebody else replies for it now. The rest is
   * bound; this name is tried again until it can be bound. Default: `console.error`.
   */
  onBindRefused?: ((error: KbusError, name: string) => void) | undefined;
  /**
   * A handler threw, or its promise rejected; whoever asked has been told. `message` is what it was called with,
   * or null when the bus has gone away and no handler hears anything more. Default: `console.error`.
   */
  onHandlerError?:
    | ((error: unknown, message: Message | BorrowedMessage | null) => void)
    | undefined;
  /**
   * Messages were missed: they came while the queue of this Ksock was full (see {@link Ksock.setMaxMessages}). `count`
   * is how many since it was called last, `name` that of the first. Default: a warning of the process, once.
   */
  onMissed?: ((missed: Missed) => void) | undefined;
  /** Gives up opening: `open` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Told to `onMissed`. */
export interface Missed {
  readonly count: number;
  readonly name: string;
}

/** What ends a wait early. */
export interface WaitOptions {
  /** In milliseconds; waits without end if it is not given. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface CloseOptions {
  /** Lets handlers finish and answer what they have begun. */
  finish?: boolean | undefined;
  /** For so many milliseconds at most; without end if it is not given. */
  timeout?: number | undefined;
}

export interface SendOptions {
  /**
   * ALL_OR_WAIT, carried through: when the queue of a recipient is full, the promise resolves when the
   * message was delivered to all. Sends behind it wait their turn.
   */
  wait?: boolean | undefined;
  /** Gives up a send that waits: the promise rejects with the signal's reason, and nothing was sent. */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions extends WaitOptions {
  /** Ksock id of the only Replier that may answer: the Request is stateful. */
  to?: number | undefined;
  /** See {@link Flag}. */
  flags?: number | undefined;
  /**
   * Waits for room: for a place in this Ksock's queue, in which the Reply can come, and for one in the Replier's. True
   * by default; with false, the Request is refused then: ENOLCK, EBUSY.
   */
  wait?: boolean | undefined;
}

const U32_MAX = 0xffff_ffff;
/** So many Requests of one Ksock may be without their answers, sent or waiting for room. */
const MAX_ASKED = 65_536;
const NO_BYTES = new Uint8Array(0);
/** Of sends that each may be given up, so many are under way. */
const SENT_AT_ONCE = 256;
const NO_OPTIONS: RequestOptions = {};
/** The options that there are, for those that are misspelt. */
const OPTIONS = {
  open: new Set([
    'mode',
    'directory',
    'reconnect',
    'onConnected',
    'onDisconnected',
    'onBindRefused',
    'onHandlerError',
    'onMissed',
    'signal',
  ]),
  reconnect: new Set(['minDelay', 'maxDelay']),
  wait: new Set(['timeout', 'signal']),
  send: new Set(['wait', 'signal']),
  request: new Set(['timeout', 'signal', 'to', 'flags', 'wait']),
  listener: new Set(['borrowed', 'concurrency']),
  replier: new Set(['concurrency']),
  close: new Set(['finish', 'timeout']),
} as const;
/** What can be put into a message as bytes, one each. */
const LATIN_1 = /^[\0-\xff]*$/;

/** Returns one Ksock's messages for as long as it is open, or until its queue is empty. */
class Messages implements AsyncIterableIterator<Message> {
  private readonly next1: () => Promise<Message | null>;
  private readonly stop: () => Promise<void>;

  constructor(next: () => Promise<Message | null>, stop: () => Promise<void>) {
    this.next1 = next;
    this.stop = stop;
  }

  async next(): Promise<IteratorResult<Message, undefined>> {
    const message = await this.next1();
    return message === null ? { value: undefined, done: true } : { value: message, done: false };
  }

  async return(): Promise<IteratorResult<Message, undefined>> {
    await this.stop();
    return { value: undefined, done: true };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}

/** The time of a request is over. */
const LATE = Symbol('late');
/** The same, and nobody had read the Request, or will. */
const LATE_UNREAD = Symbol('late, and unread');

/** Who asked: told once how it ended, however many tell it to. */
class Asker implements Asking {
  token = 0;
  private readonly port: Port;
  private readonly resolve: (answer: Message) => void;
  private readonly reject: (reason: unknown) => void;
  private endLimit: (() => void) | null = null;

  constructor(port: Port, resolve: (answer: Message) => void, reject: (reason: unknown) => void) {
    this.port = port;
    this.resolve = resolve;
    this.reject = reject;
  }

  answered(answer: Message): void {
    this.endLimit?.();
    this.resolve(answer);
  }

  refused(refusal: PortError): void {
    this.endLimit?.();
    this.reject(refusal);
  }

  /** From now on it is given up when the time is over, or the signal says so. */
  limit({ timeout, signal }: WaitOptions): void {
    let isForgotten = false;
    const abort = (): void => {
      this.endLimit?.();
      if (!isForgotten) this.port.forget(this);
      this.reject(signal?.reason);
    };
    const timeOver = (isTakenBack: boolean): void => {
      this.endLimit?.();
      this.reject(isTakenBack ? LATE_UNREAD : LATE);
    };
    const giveUp = (): void => {
      isForgotten = true;
      const isTakenBack = this.port.forget(this);
      if (typeof isTakenBack === 'boolean') {
        timeOver(isTakenBack);
        return;
      }
      // Whether it was carried out is worth a moment, but not a wait for a daemon that doesn't answer.
      timer = setTimeout(timeOver, TIME_TO_TELL, false);
      isTakenBack.then(timeOver);
    };
    // A program that was busy until now may have the answer already: what has come is read first.
    const late = (): void => {
      timer = setTimeout(giveUp, 0);
    };
    let timer = timeout === undefined ? undefined : setTimeout(late, longest(timeout));
    onAbort(signal, abort);
    this.endLimit = () => {
      clearTimeout(timer);
      offAbort(signal, abort);
    };
  }
}

/**
 * A connection to a bus: it sends messages, listens for names, and replies to Requests. All calls are
 * promises; they are carried out in the order in which they were made, whether awaited or not. A call
 * that is refused rejects with a {@link KbusError}, whose `code` is given with each call.
 */
export class Ksock implements AsyncIterable<Message> {
  /** Number of the bus. */
  readonly number: number;
  readonly mode: Mode;
  private readonly reconnecting: ReconnectingPort;
  private assembler = new Assembler();
  /** `connection` of the message that was written. */
  private writtenIn: object | undefined;
  private unread: Uint8Array = NO_BYTES;
  private unreadAt = 0;
  /** The port by which a message waits to be sent; it is lost with it. */
  private sendingBy: Port | null = null;
  private handlers: Handlers | null = null;
  /** Requests that have no answer yet. */
  private asked = 0;
  /** The first post that was refused; its error is made for whoever is told of it. */
  private postFailure: { readonly refusal: PortError; readonly message: Message } | null = null;

  private readonly options: KsockOptions;

  private constructor(mode: Mode, reconnecting: ReconnectingPort, options: KsockOptions) {
    this.mode = mode;
    this.options = options;
    this.reconnecting = reconnecting;
    this.number = reconnecting.port.busNumber;
  }

  /**
   * Opens a Ksock on a bus: by its number, on this machine's daemon; or a {@link Bus} in this process. ENOENT: no
   * such bus (or no daemon). EACCES: not allowed. EPROTO: another version, or not KBUS. ENAMETOOLONG: the path of
   * the socket is too long. ETIMEDOUT: what is there did not answer in 5 seconds.
   */
  static open(where?: number | Bus, options?: KsockOptions): Promise<Ksock>;
  /** @internal By a transport. */
  static open(where: Connect, options?: KsockOptions): Promise<Ksock>;
  static async open(where: number | Bus | Connect = 0, options: KsockOptions = {}): Promise<Ksock> {
    checkOptions('Ksock.open', options, OPTIONS.open);
    const { mode = 'rw' } = options;
    if (mode !== 'r' && mode !== 'rw') {
      const meaning = "the mode is 'r', to read only, or 'rw', to write too";
      const what = `open a Ksock with mode ${JSON.stringify(mode)}`;
      throw new KbusError('open', Errno.EINVAL, what, { meaning });
    }
    const { directory, signal } = options;
    const { onBindRefused, onConnected, onDisconnected, onHandlerError, onMissed } = options;
    if (directory !== undefined) mustBe('string', 'directory', directory);
    for (const [name, callback] of Object.entries({
      onBindRefused,
      onConnected,
      onDisconnected,
      onHandlerError,
      onMissed,
    })) {
      if (callback !== undefined) mustBe('function', name, callback);
    }
    if (typeof options.reconnect === 'object') {
      checkOptions('reconnect', options.reconnect, OPTIONS.reconnect);
    }
    const delays = reconnectDelays(options.reconnect);
    checkWait(options);
    const connect = await connectTo(where, options);
    const target = typeof where === 'number' ? `bus ${where}` : 'a Ksock';
    const reconnecting = new ReconnectingPort(
      (events, signal) => connect(mode, events, signal),
      target,
      delays,
      {
        onConnected: () => onConnected?.(ksock),
        onDisconnected: (error) => onDisconnected?.(error),
        onBindRefused: (error, name) => {
          if (onBindRefused !== undefined) onBindRefused(error, name);
          else console.error(`kbus: ${error.message}; it is tried again until it can be bound`);
        },
        onMissed: onMissed ?? warnOfMissed(target),
        onSettingRefused: (error) => console.error(`kbus: ${error.message}`),
      },
    );
    try {
      await reconnecting.begin(signal);
    } catch (refusal) {
      signal?.throwIfAborted();
      throw explain('open', refusal, `open ${target}`);
    }
    const ksock: Ksock = new Ksock(mode, reconnecting, options);
    return ksock;
  }

  private get port(): Port {
    return this.reconnecting.port;
  }

  private get isSending(): boolean {
    return this.sendingBy !== null && this.sendingBy === this.port;
  }

  /** This Ksock's id on its bus: from 1 upwards. Another one after a reconnection. */
  get id(): number {
    return this.port.ksockId;
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
  async bind(name: string, replier = false): Promise<void> {
    mustBe('string', 'name', name);
    mustBe('boolean', 'replier', replier);
    const what = `bind '${name}' as ${replier ? 'Replier' : 'Listener'}`;
    await this.call('bind', Op.BIND, replier ? 1 : 0, name, what);
    this.reconnecting.bound(name, replier);
  }

  /**
   * Undoes the newest bind with these very arguments; unread messages that came by it are dropped.
   * EINVAL (there is none), EBADMSG, ENAMETOOLONG, EAGAIN. See spec 1 §7.3.
   */
  async unbind(name: string, replier = false): Promise<void> {
    mustBe('string', 'name', name);
    mustBe('boolean', 'replier', replier);
    const what = `unbind '${name}' as ${replier ? 'Replier' : 'Listener'}`;
    const { reconnecting } = this;
    if (reconnecting.unboundHere(name, replier)) return;
    try {
      await this.call('unbind', Op.UNBIND, replier ? 1 : 0, name, what);
    } catch (error) {
      // The connection was lost meanwhile, and with it the binding, which must not come back.
      if (reconnecting.unboundHere(name, replier)) return;
      throw error;
    }
    reconnecting.unbound(name, replier);
  }

  /** Id of the Ksock bound as Replier to exactly this name, or null. ENAMETOOLONG. See spec 1 §7.4. */
  async findReplier(name: string): Promise<number | null> {
    mustBe('string', 'name', name);
    const { first } = await this.call(
      'findReplier',
      Op.FIND_REPLIER,
      0,
      name,
      `find the Replier of '${name}'`,
    );
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
  async sendMsg(message: Message, options: SendOptions = NO_OPTIONS): Promise<MessageId> {
    const wrong = this.checkMessage(message);
    if (wrong instanceof Message) return this.sendMsg(wrong, options);
    if (wrong !== null) throw wrong;
    if (!this.assembler.isEmpty) {
      await this.writeMsg(message);
      return this.send();
    }
    if (options !== NO_OPTIONS) checkOptions('sendMsg', options, OPTIONS.send);
    const { wait = false, signal } = options;
    if (signal !== undefined) checkWait(options);
    const { port } = this;
    try {
      return await port.send(message, wait, signal);
    } catch (refusal) {
      // After EAGAIN the message is the bus's to keep, and this Ksock's to go on with.
      if (refusal instanceof PortError && refusal.errno === Errno.EAGAIN) this.sendingBy = port;
      throw notSent(message, refusal);
    }
  }

  /**
   * Sends without a promise for each message, for those who send very many. Returns undefined when the
   * next may be posted at once, else a promise to wait for; {@link flush} tells the outcome. A refusal
   * makes that promise, or `flush`, reject; what was under way then may have been sent. The memory of the data may
   * be used again when `flush` resolves.
   */
  post(message: Message, options: { wait?: boolean | undefined } = {}): Promise<void> | undefined {
    const wrong = this.checkMessage(message);
    if (wrong instanceof Message) return this.post(wrong, options);
    if (wrong !== null) return Promise.reject(wrong);
    const isReady = this.port.post(message, options.wait === true, this.postRefused);
    if (this.postFailure !== null) return this.takePostFailure();
    return isReady ? undefined : this.port.ready().then(() => this.takePostFailure());
  }

  /** Resolves when all that was posted has been sent; rejects with the first refusal. */
  async flush(): Promise<void> {
    await this.port.flushed();
    await this.takePostFailure();
  }

  private readonly postRefused = (errno: number, message: Message): void => {
    if (errno === Errno.EAGAIN) this.sendingBy = this.port;
    if (this.postFailure !== null) return;
    const { isClosed } = this.reconnecting;
    const refusal = isClosed ? closedError() : portErrorFor(errno, this.port.why);
    this.postFailure = { refusal, message };
  };

  private async takePostFailure(): Promise<void> {
    const failure = this.postFailure;
    this.postFailure = null;
    if (failure === null) return;
    const { refusal, message } = failure;
    throw notSent(message, refusal);
  }

  /**
   * Sends many messages, one after the other, with as many under way as the bus allows; resolves with
   * their number when all were sent. Waits for room in full queues, unless `wait` is false: then who has a full
   * queue misses messages. Rejects as {@link post} does, or with the signal's reason: what had to wait for room
   * then is not sent any more.
   */
  async sendAll(
    messages: Iterable<Message> | AsyncIterable<Message>,
    options: SendOptions = {},
  ): Promise<number> {
    checkWait(options);
    checkOptions('sendAll', options, OPTIONS.send);
    const { signal, wait = true } = options;
    let count = 0;
    let sent: Promise<MessageId>[] = [];
    for await (const message of messages) {
      signal?.throwIfAborted();
      count++;
      if (signal === undefined) {
        await this.post(message, { wait });
        continue;
      }
      // One by one, so that each can be given up.
      sent.push(this.sendMsg(message, { wait, signal }));
      if (sent.length < SENT_AT_ONCE) continue;
      await Promise.all(sent);
      sent = [];
    }
    await Promise.all(sent);
    if (signal === undefined) await this.flush();
    return count;
  }

  /** Null, or why the message can't be sent; of one that another copy of this package made, its like. */
  private checkMessage(message: Message): KbusError | TypeError | Message | null {
    const isFit =
      message instanceof Message &&
      message.head.isFit &&
      message.connection === undefined &&
      !message.isDetached;
    return isFit && this.mode === 'rw' && !this.isSending ? null : this.whyNotSent(message);
  }

  /** Apart, so that the check above is small enough to become part of what calls it. */
  private whyNotSent(message: Message): KbusError | TypeError | Message | null {
    if (!(message instanceof Message)) {
      try {
        return ownMessage(message);
      } catch (error) {
        return error as TypeError;
      }
    }
    const { head } = message;
    let errno = 0;
    if (this.mode === 'r') errno = Errno.EBADF;
    else if (this.isSending) errno = Errno.EALREADY;
    else if (head.name.length === 0) errno = Errno.EINVAL;
    else if (head.name.length > MAX_NAME) errno = Errno.ENAMETOOLONG;
    else if (this.reconnecting.isOver(message)) {
      errno = message.isReply() ? Errno.EADDRNOTAVAIL : Errno.EPIPE;
    } else errno = checkFlags(head.flags, head.isReply);
    if (errno === 0) {
      errno = checkMessageName(head.name);
      if (errno === 0) head.isFit = true;
      // The bus says it of the rest, for it may be too large in the first place.
      else if (LATIN_1.test(head.name)) errno = 0;
    }
    if (errno === 0 && message.isDetached) return detached();
    if (errno === Errno.EBADMSG) return badName('send', asked(message), head.name);
    if (errno === Errno.ENAMETOOLONG) return longName('send', asked(message), head.name);
    if (errno === 0) return null;
    const meaning = errno === Errno.EINVAL ? faultOfHead(head) : overMeaning(errno, message);
    return new KbusError('send', errno, asked(message), meaning === undefined ? {} : { meaning });
  }

  /** Writes a message, without sending it. EBADF, EALREADY, EINVAL, ENAMETOOLONG, EBADMSG, EMSGSIZE. */
  async writeMsg(message: Message): Promise<void> {
    const ours = ownMessage(message);
    this.writtenIn = ours.connection;
    await this.write(ours.toBytes(), `write ${ours.kind} '${ours.name}'`);
  }

  /** Writes some bytes of a message, in the layout of {@link Message.toBytes}. The same errors. */
  async writeData(bytes: Uint8Array): Promise<void> {
    const ours = asBytes(bytes);
    if (ours === null) throw new TypeError(`bytes must be a Uint8Array, not ${typeof bytes}`);
    if (this.assembler.isEmpty) this.writtenIn = undefined;
    await this.write(ours, `write ${ours.length} bytes`);
  }

  private async write(bytes: Uint8Array, what: string): Promise<void> {
    if (this.mode === 'r') throw new KbusError('write', Errno.EBADF, what);
    if (this.isSending) throw new KbusError('write', Errno.EALREADY, what);
    // What is called next must find it written: only the maximum size is asked for behind its back.
    const { assembler } = this;
    const errno = assembler.write(bytes, Number.POSITIVE_INFINITY);
    const isPointy = assembler.pointy !== null;
    if (isPointy) assembler.clear();
    const { size, isReply } = assembler;
    // How large a Reply may be depends on its Request: `send` tells.
    if (size > 0 && !isReply && size > (await this.maxMessageSize())) {
      if (this.assembler === assembler) this.assembler = new Assembler();
      throw new KbusError('write', Errno.EMSGSIZE, what);
    }
    if (isPointy) throw new KbusError('write', Errno.EFAULT, `${what} with pointers into memory`);
    if (errno !== 0) throw new KbusError('write', errno, what);
  }

  /**
   * Sends what was written, or, after EAGAIN, the message that waits. ENOMSG (nothing was written),
   * EINVAL (it is not complete; it is thrown away), and the errors of {@link sendMsg}. See spec 1 §6.10.
   */
  async send(): Promise<MessageId> {
    if (this.isSending) {
      try {
        const { first, second } = await this.call('send', Op.RESEND, 0, '', 'send again');
        this.sendingBy = null;
        return new MessageId(first, second);
      } catch (error) {
        if (error instanceof KbusError && error.code !== 'EAGAIN') this.sendingBy = null;
        throw error;
      }
    }
    if (this.assembler.isEmpty) throw new KbusError('send', Errno.ENOMSG, 'send');
    const { isComplete, position } = this.assembler;
    const message = isComplete ? this.assembler.message() : null;
    this.assembler = new Assembler();
    if (message === null) {
      throw new KbusError('send', Errno.EINVAL, `send what ${position} bytes make`);
    }
    if (this.writtenIn !== undefined) message.connection = this.writtenIn;
    return this.sendMsg(message);
  }

  /** Throws away the message that was written, or the one that waits to be sent. */
  async discard(): Promise<void> {
    this.assembler = new Assembler();
    const { first } = await this.call('send', Op.DISCARD, 0, '', 'discard');
    if (first === 0) this.sendingBy = null;
  }

  /**
   * Resolves with true when a message may be written: after EAGAIN, when the one that waits was sent,
   * or can never be. With false when the time is over, and always for a read-only Ksock.
   */
  async waitWritable(options: WaitOptions = {}): Promise<boolean> {
    if (this.mode === 'r') return false;
    const isWritable = await timed('waitWritable', options, async (signal) => {
      try {
        return await this.writable(signal);
      } catch (refusal) {
        throw explain('send', refusal, 'wait until a message may be written');
      }
    });
    if (!isWritable) options.signal?.throwIfAborted();
    return isWritable;
  }

  private writable(signal: AbortSignal | undefined): Promise<boolean> {
    // It may turn out that the message was sent after the wait has ended.
    const isWritable = this.port.writable(signal).then((is) => {
      if (is) this.sendingBy = null;
      return is;
    });
    return new Promise((resolve, reject) => {
      const end = whenEnded(
        signal,
        () => {},
        () => resolve(false),
      );
      isWritable.then(resolve, reject).finally(end);
    });
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
  async request(
    nameOrMessage: string | Message,
    data?: Data | null,
    options: RequestOptions = NO_OPTIONS,
  ): Promise<Message> {
    if (options !== NO_OPTIONS) {
      checkWait(options);
      checkOptions('request', options, OPTIONS.request);
    }
    const message =
      typeof nameOrMessage === 'object' && nameOrMessage !== null
        ? ownMessage(nameOrMessage)
        : new Request(nameOrMessage, data, requestFields(options));
    if (!message.isRequest()) throw new TypeError(`${message} is not a Request`);
    const wrong = this.checkMessage(message);
    if (wrong !== null) throw wrong;
    if (this.asked >= MAX_ASKED) throw tooManyAsked(message, MAX_ASKED);
    const { port } = this;
    let answer: Message;
    this.asked++;
    try {
      answer = await new Promise<Message>((resolve, reject) => {
        const asking = new Asker(port, resolve, reject);
        if (hasLimit(options)) asking.limit(options);
        port.request(message, asking, options.wait !== false);
      });
    } catch (reason) {
      // Made here, and not where the answer came, the error's stack has the line that asked.
      if (reason !== LATE && reason !== LATE_UNREAD) throw notSent(message, reason);
      const what = `${asked(message)} within ${options.timeout} ms`;
      const unread = {
        meaning: 'no Reply came in time; nobody has read the Request, and nobody will',
      };
      const how = reason === LATE_UNREAD ? unread : {};
      throw new KbusError('request', Errno.ETIMEDOUT, what, how);
    } finally {
      this.asked--;
    }
    this.reconnecting.mark(answer, port);
    if (answer.name === REPLIER_ERROR) throw new ReplierError(asked(message), answer);
    if (answer.isStatus()) throw new StatusError(asked(message), answer);
    return answer;
  }

  // Reading

  /** The next message, or null when there is none. */
  async readNextMsg(): Promise<Message | null> {
    this.mustReadItself();
    this.unread = NO_BYTES;
    return this.take(false, undefined);
  }

  /**
   * Waits for the next message; null when the time is over, which a daemon that doesn't answer can delay
   * to a second. Rejects at once with the signal's reason, and with ECONNRESET when the bus goes away. A
   * message is never lost to a wait that ended: the next to read gets it, or who waits already.
   */
  async waitForMsg(options: WaitOptions = {}): Promise<Message | null> {
    this.mustReadItself();
    const message = await timed('waitForMsg', options, (signal) => this.take(true, signal));
    if (message === null) options.signal?.throwIfAborted();
    return message;
  }

  private async take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    for (;;) {
      const status = this.reconnecting.statuses.shift();
      if (status !== undefined) return status;
      try {
        const { port } = this;
        const message = await port.take(wait, signal);
        if (message !== null) this.reconnecting.mark(message, port);
        return message;
      } catch (refusal) {
        if (wait && (await this.reconnecting.restored(signal))) continue;
        if (wait && signal?.aborted) return null;
        const why = this.reconnecting.isClosed ? closedError() : refusal;
        throw explain('read', why, wait ? 'wait for a message' : 'read the next message');
      }
    }
  }

  /**
   * Moves on to the next message, and returns its length in bytes, as {@link Message.toBytes} lays it
   * out; 0 when there is none. What is left of the one before is dropped.
   */
  async nextMsg(): Promise<number> {
    const message = await this.readNextMsg();
    this.unread = message === null ? NO_BYTES : message.toBytes();
    this.unreadAt = 0;
    return this.unread.length;
  }

  /** How many bytes of the current message are still unread. */
  lenLeft(): number {
    return this.unread.length - this.unreadAt;
  }

  /** Up to `count` bytes of the current message; none at its end. */
  async readData(count: number): Promise<Uint8Array> {
    checkU32('count', count);
    const bytes = this.unread.slice(this.unreadAt, this.unreadAt + count);
    this.unreadAt += bytes.length;
    return bytes;
  }

  /** The current message, whose length `nextMsg` told; null when there is nothing to read. */
  async readMsg(length: number): Promise<Message | null> {
    const bytes = await this.readData(length);
    return bytes.length === 0 ? null : Message.fromBytes(bytes);
  }

  /** Waits for messages for as long as the Ksock is open. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message> {
    this.mustReadItself();
    let isWanted = true;
    return new Messages(
      () => this.nextOfMany(() => isWanted),
      () => {
        isWanted = false;
        return this.port.stopReading();
      },
    );
  }

  private tryNext(): Message | null {
    const { statuses, port } = this.reconnecting;
    if (statuses.length > 0) return statuses.shift() as Message;
    const message = port.tryNext();
    if (message !== null) this.reconnecting.mark(message, port);
    return message;
  }

  private tryNextInto(borrowed: BorrowedMessage): boolean {
    const { statuses, port } = this.reconnecting;
    if (statuses.length > 0) {
      borrowed.showMessage(statuses.shift() as Message);
      return true;
    }
    if (!port.tryNextInto(borrowed)) return false;
    this.reconnecting.mark(borrowed, port);
    return true;
  }

  /** The next message for a reader of many, for as long as it is wanted. */
  private async nextOfMany(isWanted: () => boolean): Promise<Message | null> {
    for (;;) {
      if (!isWanted()) return null;
      const message = this.tryNext();
      if (message !== null) return message;
      if (this.reconnecting.isClosed) return null;
      await this.unlessLost(this.port.readable());
    }
  }

  /** Calls `came` when messages are at hand, for as long as they are wanted. */
  private async onReadable(came: () => void, isWanted: () => boolean): Promise<void> {
    for (;;) {
      came();
      if (!isWanted() || this.reconnecting.isClosed) return;
      await this.unlessLost(this.port.onReadable(came));
    }
  }

  /** Resolves when the wait has ended: by itself, with the Ksock, or because the connection was lost and is back. */
  private async unlessLost(wait: Promise<unknown>): Promise<void> {
    try {
      await wait;
    } catch (refusal) {
      if (this.reconnecting.isClosed || (await this.reconnecting.restored(undefined))) return;
      if (this.reconnecting.isClosed) return;
      throw explain('read', refusal, 'wait for messages');
    }
  }

  /** The messages that are there, until the queue is empty. */
  drain(): AsyncIterableIterator<Message> {
    return new Messages(
      () => this.readNextMsg(),
      async () => {},
    );
  }

  private mustReadItself(): void {
    if (this.handlers !== null && !this.reconnecting.isClosed) {
      throw new TypeError(
        'this Ksock has handlers, and they read its messages; open another to read',
      );
    }
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
    return this.handle(name, true, handler, options);
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
    return this.handle(name, false, handler, options);
  }

  private async handle(
    name: string,
    replier: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    options: ListenerOptions,
  ): Promise<Handling> {
    mustBe('function', 'handler', handler);
    checkOptions(
      replier ? 'replier' : 'listener',
      options,
      OPTIONS[replier ? 'replier' : 'listener'],
    );
    checkConcurrency(options.concurrency);
    if (replier && this.mode === 'r') {
      const meaning = 'this Ksock was opened to read only, so it could never send a Reply';
      throw new KbusError('bind', Errno.EBADF, `bind '${name}' as Replier`, { meaning });
    }
    this.handlers ??= new Handlers({
      tryNext: () => this.tryNext(),
      tryNextInto: (borrowed) => this.tryNextInto(borrowed),
      onReadable: (came, isWanted) => this.onReadable(came, isWanted),
      reply: (message, refused) => {
        if (!this.reconnecting.isOver(message)) this.port.reply(message, refused);
      },
      writable: async () => {
        await this.waitWritable();
      },
      unbind: (bound, asReplier) => this.unbindHandler(bound, asReplier),
      isOnceOnly: () => this.reconnecting.setting(Op.WANT_MESSAGES_ONCE) === 1,
      failed: (error, message) => this.handlerFailed(error, message),
      stop: async () => {
        this.handlers = null;
        await this.port.stopReading();
      },
    });
    const { handlers } = this;
    const entry = handlers.add(name, replier, handler, options);
    if (!handlers.takeOver(name, replier)) {
      try {
        await this.bind(name, replier);
      } catch (error) {
        await handlers.remove(entry);
        throw error;
      }
    }
    handlers.run();
    return entry;
  }

  /** A handler that stops has no binding when its Ksock is closed. */
  private async unbindHandler(name: string, replier: boolean): Promise<void> {
    try {
      await this.unbind(name, replier);
    } catch (error) {
      if (!this.reconnecting.isClosed) throw error;
    }
  }

  private handlerFailed(error: unknown, message: Message | BorrowedMessage | null): void {
    // Who was told that the bus is lost, or sees to it that it comes back, knows.
    const { onDisconnected, onHandlerError } = this.options;
    if (message === null && onHandlerError === undefined) {
      if (onDisconnected !== undefined) return;
      // Nobody is told that no handler hears anything more: to end is better than to be deaf.
      queueMicrotask(() => {
        throw error;
      });
      return;
    }
    const what = `kbus: the handler of '${message?.name}' failed:`;
    if (onHandlerError === undefined) {
      reportThrown(what, error);
      return;
    }
    try {
      onHandlerError(error, message);
    } catch (further) {
      reportThrown(what, error);
      reportThrown('kbus: and so did onHandlerError:', further);
    }
  }

  // Settings and state

  /** Unread messages. */
  async numMessages(): Promise<number> {
    const count = await this.ask('read', Op.NUM_MESSAGES, 'count unread messages');
    return count + this.reconnecting.statuses.length;
  }

  /** Requests that were read as Replier and are not answered yet. */
  async numUnrepliedTo(): Promise<number> {
    return this.ask('read', Op.NUM_UNREPLIED_TO, 'count unanswered Requests');
  }

  /** Id of the last message sent; [0:0] before the first. */
  async lastMsgId(): Promise<MessageId> {
    const { first, second } = await this.call('send', Op.LAST_MSG_ID, 0, '', 'ask for the last id');
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
    const { first } = await this.call('maxMessages', Op.MAX_MESSAGES, count, '', what);
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
    const { first } = await this.call('maxMessageSize', Op.MAX_MESSAGE_SIZE, size, '', what);
    if (size > 1) this.reconnecting.set(Op.MAX_MESSAGE_SIZE, size);
    return first;
  }

  /**
   * Whether a message that reaches this Ksock by several bindings comes once only; resolves with what
   * was set before. Without an argument it asks. See spec 1 §5.3.
   */
  async wantMessagesOnce(onlyOnce?: boolean): Promise<boolean> {
    return this.switch('wantMessagesOnce', Op.WANT_MESSAGES_ONCE, onlyOnce);
  }

  /** Whether this bus reports Replier binds and unbinds (spec 1 §9.1); likewise. EBUSY. */
  async reportReplierBinds(report?: boolean): Promise<boolean> {
    try {
      return await this.switch('reportReplierBinds', Op.REPORT_REPLIER_BINDS, report);
    } catch (error) {
      // The reports are on all the same.
      if (error instanceof KbusError && error.code === 'EBUSY') {
        this.reconnecting.set(Op.REPORT_REPLIER_BINDS, 1);
      }
      throw error;
    }
  }

  /** Whether this bus writes its debug log; likewise. */
  async verbose(verbose?: boolean): Promise<boolean> {
    return this.switch('verbose', Op.VERBOSE, verbose);
  }

  private async switch(call: Call, op: OpCode, on: boolean | undefined): Promise<boolean> {
    if (on !== undefined) mustBe('boolean', 'the switch', on);
    const value = on === undefined ? ASK : on ? 1 : 0;
    const { first } = await this.call(call, op, value, '', `${call}(${on ?? ''})`);
    if (on === true) this.reconnecting.set(op, 1);
    // As it is by itself: to make that again could undo what another program has set since.
    else if (on === false) this.reconnecting.unset(op);
    return first !== 0;
  }

  /** Makes the next bus; resolves with its number once it can be opened. EINVAL: there are 256. */
  async newDevice(): Promise<number> {
    return this.ask('newDevice', Op.NEW_DEVICE, 'make a new bus');
  }

  /** The bindings of this bus, newest first. */
  async readBindings(): Promise<BindingReport[]> {
    return (await this.report<BindingReport[]>(Op.BINDINGS, 'read the bindings')).flat();
  }

  /** The state of this bus and its Ksocks. */
  async stats(): Promise<BusReport> {
    const pieces = await this.report<BusReport>(Op.STATS, 'read the statistics');
    const ksocks = pieces.flatMap((piece) => piece.ksocks);
    ksocks.sort((a, b) => b.ksock - a.ksock);
    return { ...(pieces[0] as BusReport), ksocks };
  }

  /** All pieces of a report. */
  private async report<T>(op: OpCode, what: string): Promise<T[]> {
    const pieces: T[] = [];
    let next = 0;
    do {
      const { first, text } = await this.call('read', op, next, '', what);
      pieces.push(parsed(text, what));
      next = first;
    } while (next !== 0);
    return pieces;
  }

  private async ask(call: Call, op: OpCode, what: string): Promise<number> {
    return (await this.call(call, op, 0, '', what)).first;
  }

  private async call(
    call: Call,
    op: OpCode,
    argument: number,
    text: string,
    what: string,
  ): Promise<CallResult> {
    try {
      return await this.port.call(op, argument, text);
    } catch (refusal) {
      throw explain(call, refusal, what, text);
    }
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
    checkOptions('close', options, OPTIONS.close);
    const { finish = false, timeout } = options;
    checkWait({ timeout });
    if (finish && !this.reconnecting.isClosed) {
      await timed('close', { timeout }, (signal) => ended(this.finish(), signal)).catch(ignore);
    }
    await this.reconnecting.close();
  }

  private async finish(): Promise<void> {
    await this.handlers?.finish();
    await this.port.flushed();
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

async function connectTo(where: number | Bus | Connect, options: KsockOptions): Promise<Connect> {
  if (where instanceof Bus) {
    return async (mode, events) => new LocalPort(where, mode, processId(), events);
  }
  if (isOfOtherCopy(Bus, where)) {
    throw new TypeError(
      `the Bus and the Ksock are of two copies of kbus, which can't share a bus in one process: ${copies(where as object)}; let the program have one copy`,
    );
  }
  if (typeof where === 'function') return where;
  if (typeof where !== 'number' || !Number.isInteger(where) || where < 0 || where > U32_MAX) {
    const meaning = whyNoBus(where);
    throw new KbusError('open', Errno.EINVAL, `open bus ${shown(where)}`, { meaning });
  }
  const { connectUnix } = await import('./ports/connect-unix.ts');
  return connectUnix(where, options.directory);
}

/** A refusal for what there was on a connection that is lost. */
function overMeaning(errno: number, { to }: Message): string | undefined {
  if (errno === Errno.EADDRNOTAVAIL) {
    return `Ksock ${to} asked on a connection that has been lost since, and has been told so`;
  }
  if (errno !== Errno.EPIPE) return undefined;
  return `Ksock ${to} was the Replier on a connection that has been lost since`;
}

/** Something that was given in place of another thing: `'0'`, `{ mode: 'r' }`. */
function shown(value: unknown): string {
  if (typeof value === 'string') return `'${escaped(value.slice(0, 50))}'`;
  if (typeof value !== 'object' || value === null) return String(value);
  const keys = Object.keys(value);
  return keys.length === 0 ? '{}' : `{ ${escaped(keys.join(', ').slice(0, 50))} }`;
}

/** Why something is no bus that can be opened. */
function whyNoBus(where: unknown): string {
  if (typeof where === 'number') {
    return `the number of a bus is a whole number from 0 to ${U32_MAX}`;
  }
  if (typeof where === 'object' && where !== null) {
    return 'the bus comes first, and the options behind it: Ksock.open(0, { ... })';
  }
  const what = where === null ? 'null' : `a ${typeof where}`;
  return `a bus is given by its number, as a Bus of this process, or by a transport, not by ${what}`;
}

function processId(): number {
  return typeof process === 'undefined' ? 0 : process.pid;
}

function mustBe(type: 'string' | 'boolean' | 'function', what: string, value: unknown): void {
  if (typeof value !== type) throw new TypeError(`${what} must be a ${type}, not ${typeof value}`);
}

function checkConcurrency(concurrency: unknown): void {
  if (concurrency === undefined || (Number.isInteger(concurrency) && (concurrency as number) >= 1))
    return;
  throw new TypeError(`concurrency must be a whole number from 1, not ${String(concurrency)}`);
}

/** A TypeError for what can't end a wait, and the signal's reason if it has ended already. */
function checkWait(options: WaitOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options must be an object such as { timeout: 1000 }, not ${options}`);
  }
  const { timeout, signal } = options;
  if (timeout !== undefined && (typeof timeout !== 'number' || !(timeout >= 0))) {
    throw new TypeError(`timeout must be a number of milliseconds from 0, not ${String(timeout)}`);
  }
  if (signal === undefined) return;
  if (typeof signal?.throwIfAborted !== 'function') {
    throw new TypeError(`signal must be an AbortSignal, not ${String(signal)}`);
  }
  signal.throwIfAborted();
}

/** A piece of a report that a daemon made. EPROTO. */
function parsed<T>(text: string, what: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    const meaning = 'what the daemon answered is no JSON';
    throw new KbusError('read', Errno.EPROTO, what, { meaning, cause });
  }
}

function ignore(): void {}

/** Resolves when the promise does, or the signal ends the wait for it. */
function ended(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    onAbort(signal, resolve);
    promise.then(resolve, reject).finally(() => offAbort(signal, resolve));
  });
}

/** What a Request is made with; nothing, for most. */
function requestFields({ to, flags }: RequestOptions): MessageOptions | undefined {
  if (to === undefined && flags === undefined) return undefined;
  return { ...(to !== undefined && { to }), ...(flags !== undefined && { flags }) };
}

/** Longer than timers can wait is as good as without end. */
function longest(timeout: number): number {
  return Math.min(timeout, 0x7fff_ffff);
}

function hasLimit({ timeout, signal }: WaitOptions): boolean {
  return timeout !== undefined || signal !== undefined;
}

/** Runs a wait with a signal that ends it when the time is over, or the caller's signal says so. */
async function timed<T>(
  call: string,
  options: WaitOptions,
  wait: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  checkWait(options);
  checkOptions(call, options, OPTIONS.wait);
  const { timeout, signal } = options;
  if (timeout === undefined) return wait(signal);
  const controller = new AbortController();
  const abort = (): void => controller.abort(signal?.reason);
  const timer = setTimeout(() => controller.abort(new TimeOver(signal)), longest(timeout));
  onAbort(signal, abort);
  try {
    return await wait(controller.signal);
  } finally {
    clearTimeout(timer);
    offAbort(signal, abort);
  }
}
