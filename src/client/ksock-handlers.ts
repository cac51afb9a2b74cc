import { reportThrown } from '../base/report-thrown.ts';
import type { Timers } from '../base/timers.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import { Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import type { BusCalls } from './bus-calls.ts';
import type {
  BorrowingHandler,
  Handler,
  Handling,
  ListenerOptions,
  RequestHandler,
} from './handler.ts';
import { Handlers, type HandlersHost } from './handlers.ts';
import { checkConcurrency, checkNames, mustBe, type OpenOptions } from './options.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';
import type { Reader } from './reader.ts';
import type { Sender } from './sender.ts';

/** The callbacks of the program for failures of handlers. */
type Callbacks = Pick<OpenOptions<never>, 'onDisconnected' | 'onHandlerError'>;

/** The handlers of a Ksock, while it has any: binds their names, and reports failures to the program. */
export class KsockHandlers implements HandlersHost {
  private readonly reconnecting: ReconnectingPort;
  private readonly reader: Reader;
  private readonly sender: Sender;
  private readonly calls: BusCalls;
  private readonly callbacks: Callbacks;
  private readonly timers: Timers;
  private handlers: Handlers | null = null;

  constructor(
    reconnecting: ReconnectingPort,
    reader: Reader,
    sender: Sender,
    calls: BusCalls,
    callbacks: Callbacks,
    timers: Timers,
  ) {
    this.reconnecting = reconnecting;
    this.reader = reader;
    this.sender = sender;
    this.calls = calls;
    this.callbacks = callbacks;
    this.timers = timers;
  }

  /** Throws a TypeError if handlers read the messages of this Ksock. */
  checkNone(): void {
    if (this.handlers !== null && !this.reconnecting.isClosed) {
      throw new TypeError(
        'this Ksock has handlers, which read its messages; open another Ksock to read',
      );
    }
  }

  async handle(
    name: string,
    replier: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    options: ListenerOptions,
  ): Promise<Handling> {
    mustBe('function', 'handler', handler);
    const kind = replier ? 'replier' : 'listener';
    checkNames(kind, options, kind);
    checkConcurrency(options.concurrency);
    if (replier && this.sender.mode === 'r') {
      const meaning = 'this Ksock is read-only, so it could never send a Reply';
      throw new KbusError('bind', Errno.EBADF, `bind '${name}' as Replier`, { meaning });
    }
    this.handlers ??= new Handlers(this.reader, this);
    const { handlers } = this;
    const handling = handlers.add(name, replier, handler, options);
    if (!handlers.takeOver(name, replier)) {
      try {
        await this.calls.bind(name, replier);
      } catch (error) {
        await handlers.remove(handling);
        throw error;
      }
    }
    handlers.run();
    return handling;
  }

  /** Ends all handlers; resolves when their pending calls are done. */
  async finish(): Promise<void> {
    await this.handlers?.finish();
  }

  // What the handlers need

  reply(message: Message, refused: (errno: number, reply: Message) => void): void {
    if (!this.reconnecting.isOver(message)) this.reconnecting.port.reply(message, refused);
  }

  async writable(): Promise<void> {
    await this.sender.waitWritable({});
  }

  /** Unbinds the name of a handler that stops; does nothing when its Ksock is closed. */
  async unbind(name: string, replier: boolean): Promise<void> {
    try {
      await this.calls.unbind(name, replier);
    } catch (error) {
      if (!this.reconnecting.isClosed) throw error;
    }
  }

  isOnceOnly(): boolean {
    return this.reconnecting.setting(Op.WANT_MESSAGES_ONCE) === 1;
  }

  stopped(): void {
    this.handlers = null;
  }

  failed(error: unknown, message: Message | BorrowedMessage | null): void {
    // A program with onDisconnected knows about the lost connection.
    const { onDisconnected, onHandlerError } = this.callbacks;
    if (message === null && onHandlerError === undefined) {
      if (onDisconnected !== undefined) return;
      // Without a callback the program would never learn that its handlers are deaf: an uncaught error ends it.
      this.timers.queueMicrotask(() => {
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
}
