import { BorrowedMessage } from '../message/borrowed.ts';
import type { Head } from '../message/head.ts';
import type { Message } from '../message/message.ts';
import { isMoreSpecific, matches } from '../message/name.ts';
import {
  type BorrowingHandler,
  type Handler,
  type ListenerOptions,
  type ReplyData,
  type RequestHandler,
  RunningHandler,
} from './handler.ts';
import { Replies, type RepliesHost } from './replies.ts';

/** The Ksock's reader, from which the handlers get messages. */
export interface MessageSource {
  /** The next message, if the client has it already. */
  tryNext(): Message | null;
  /** As `tryNext`, but lets `borrowed` show the message; false if there is none. */
  tryNextInto(borrowed: BorrowedMessage): boolean;
  /**
   * Calls `readable` when messages are available. Resolves when the Ksock is closed or `isWanted` gives false; rejects
   * when the connection is lost for good.
   */
  onReadable(readable: () => void, isWanted: () => boolean): Promise<void>;
  /** Returns prefetched messages to the queue. */
  stop(): Promise<void>;
}

/** What else Handlers needs of its Ksock. */
export interface HandlersHost extends RepliesHost {
  unbind(name: string, replier: boolean): Promise<void>;
  /** The Ksock gets a message once only, even if several bindings match. */
  isOnceOnly(): boolean;
  /** A handler has failed, or the connection was lost for good (`message` is null). */
  failed(error: unknown, message: Message | BorrowedMessage | null): void;
  /** The last handler has stopped. */
  stopped(): void;
}

/** The handlers for messages of some names, valid until a handler is added or removed. */
class Recipients {
  readonly handlers: Handlers | null;
  readonly epoch: number;
  readonly listeners: readonly RunningHandler[];
  readonly replier: RunningHandler | undefined;

  constructor(
    handlers: Handlers | null,
    epoch: number,
    listeners: readonly RunningHandler[],
    replier: RunningHandler | undefined,
  ) {
    this.handlers = handlers;
    this.epoch = epoch;
    this.listeners = listeners;
    this.replier = replier;
  }
}

const NO_RECIPIENTS = new Recipients(null, 0, [], undefined);

/** The handlers of one Ksock: reads its messages, and calls the handlers for their names. */
export class Handlers {
  private readonly source: MessageSource;
  private readonly host: HandlersHost;
  private readonly replies: Replies;
  private readonly handlers = new Set<RunningHandler>();
  /** Names that stay bound after their handler has stopped: see `end`. */
  private readonly stillBound = new Set<string>();
  private isRunning = false;
  private isHandling = false;
  /** Handlers that have reached their `concurrency`: while there is one, no message is read. */
  private readonly busy = new Set<RunningHandler>();
  // The id of the last message. Copies of a message, one for each matching binding, follow each other.
  private lastNetwork = 0;
  private lastSerial = 0;
  private last = NO_RECIPIENTS;
  /** The ones made last. Names with the same handlers mostly share them, so they stay in the processor's cache. */
  private made = NO_RECIPIENTS;
  /** Counts additions and removals of handlers. */
  private epoch = 0;
  // The recipients of the last message hold for all messages that share its head.
  private lastHead: Head | null = null;
  /** Messages with this head are Requests for this Ksock to answer. */
  private isForReplier = false;
  /** All handlers borrow. */
  private allBorrow = false;

  constructor(source: MessageSource, host: HandlersHost) {
    this.source = source;
    this.host = host;
    this.replies = new Replies(host);
  }

  add(
    name: string,
    replier: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    options: ListenerOptions,
  ): RunningHandler {
    const handling = new RunningHandler(name, replier, handler, options, (each) => this.end(each));
    this.handlers.add(handling);
    this.forget();
    return handling;
  }

  /** Whether a stopped handler has left its binding to this new one. */
  takeOver(name: string, replier: boolean): boolean {
    return !replier && this.stillBound.delete(name);
  }

  /** Removes a handler whose name could not be bound. */
  async remove(handling: RunningHandler): Promise<void> {
    this.handlers.delete(handling);
    this.forget();
    if (this.handlers.size === 0) await this.stop();
  }

  /** Ends a handler: see {@link Handling.stop}. */
  async end(handling: RunningHandler): Promise<void> {
    const { host } = this;
    this.handlers.delete(handling);
    this.forget();
    // A handler that stops itself must not wait for its own call.
    const isOwn = this.running === handling;
    try {
      // With once only, just the newest of the matching bindings has the message: to unbind it would take the message
      // from the other handlers.
      if (!handling.replier && host.isOnceOnly() && this.hasListener())
        this.stillBound.add(handling.name);
      else await host.unbind(handling.name, handling.replier);
    } catch (error) {
      this.handlers.add(handling);
      this.forget();
      this.run();
      throw error;
    }
    if (this.handlers.size === 0) {
      for (const name of this.stillBound) await host.unbind(name, false);
      this.stillBound.clear();
      if (this.handlers.size === 0) await this.stop();
    }
    this.leaveBusy(handling);
    if (!isOwn) await handling.finished();
  }

  /** Ends all handlers; resolves when their pending calls are done, and answered. */
  async finish(): Promise<void> {
    await Promise.all([...this.handlers].map((handling) => handling.stop()));
  }

  private async stop(): Promise<void> {
    this.host.stopped();
    await this.source.stop();
  }

  private hasListener(): boolean {
    for (const { replier } of this.handlers) if (!replier) return true;
    return false;
  }

  /** Reads until the last handler has stopped, or the Ksock is closed. */
  run(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.source.onReadable(this.handleAll, this.isWanted).then(
      () => {
        this.isRunning = false;
      },
      (error: unknown) => {
        this.isRunning = false;
        this.host.failed(error, null);
      },
    );
  }

  private readonly isWanted = (): boolean => this.handlers.size > 0;

  /** Handles all available messages, while no handler is busy. */
  private readonly handleAll = (): void => {
    // A handler that calls back into its Ksock must not begin a second loop within this one.
    if (this.isHandling) return;
    this.isHandling = true;
    try {
      this.readAll();
    } finally {
      this.isHandling = false;
    }
  };

  private readAll(): void {
    const { source } = this;
    while (this.busy.size === 0 && this.isWanted()) {
      if (this.allBorrow) {
        this.showAll();
        // Messages are left only if a handler was added that doesn't borrow.
        if (this.allBorrow) return;
        continue;
      }
      const message = source.tryNext();
      if (message === null) return;
      if (message.head !== this.lastHead) this.look(message.head);
      if (this.isForReplier) this.answer(message);
      else this.hear(message);
    }
  }

  /** As `readAll`, while all handlers borrow. */
  private showAll(): void {
    const { source } = this;
    // A new object each time: V8 writes faster to it than to an old one, and a handler that kept it sees that it is over.
    const borrowed = new BorrowedMessage();
    while (this.allBorrow && this.busy.size === 0 && source.tryNextInto(borrowed)) {
      if (borrowed.head !== this.lastHead) this.look(borrowed.head);
      if (this.isForReplier) this.answer(borrowed.keep());
      else this.hear(borrowed);
    }
    borrowed.end();
  }

  /** The handler whose call is running, up to its first `await`. */
  private running: RunningHandler | null = null;

  /** A call has returned a thenable, perhaps of another realm or library: the call is pending until that settles. */
  private begin(
    handling: RunningHandler,
    result: unknown,
    then: (result: unknown) => void,
    failed: (error: unknown) => void,
  ): void {
    if (++handling.pendingCalls >= handling.concurrency) this.busy.add(handling);
    Promise.resolve(result)
      .then(then, failed)
      .finally(() => {
        handling.done();
        this.leaveBusy(handling);
      });
  }

  /** The handler may be called again: goes on reading, unless another one is busy. */
  private leaveBusy(handling: RunningHandler): void {
    if (!this.busy.delete(handling) || this.busy.size > 0) return;
    if (this.isRunning) this.handleAll();
  }

  private answer(request: Message): void {
    const handling = this.last.replier;
    if (handling === undefined) {
      this.replies.fail(request, new Error(`the handler of '${request.name}' has stopped`));
      return;
    }
    const failed = (error: unknown): void => {
      this.replies.fail(request, error);
      this.host.failed(error, request);
    };
    const outer = this.running;
    this.running = handling;
    try {
      const result = (handling.handler as RequestHandler)(request);
      if (isThenable(result)) {
        this.begin(
          handling,
          result,
          (data) => this.replies.reply(request, data as ReplyData),
          failed,
        );
      } else {
        this.replies.reply(request, result as ReplyData);
      }
    } catch (error) {
      failed(error);
    }
    this.running = outer;
  }

  /** The most specific Replier: spec 1 §7.2. */
  private replierOf(name: string): RunningHandler | undefined {
    let best: RunningHandler | undefined;
    for (const handling of this.handlers) {
      if (!handling.replier || !matches(handling.name, name)) continue;
      if (best === undefined || isMoreSpecific(handling.name, best.name)) best = handling;
    }
    return best;
  }

  /**
   * Each matching binding gets a copy of the message (with once only, just one of them). The first copy goes to all
   * matching handlers; the others are skipped.
   */
  private hear(message: Message | BorrowedMessage): void {
    const { idSerial } = message;
    const { idNetwork } = message.head;
    if (idSerial === this.lastSerial && idNetwork === this.lastNetwork) return;
    this.lastSerial = idSerial;
    this.lastNetwork = idNetwork;
    const { listeners } = this.last;
    for (let at = 0; at < listeners.length; at++) {
      const handling = listeners[at] as RunningHandler;
      // A handler that was called before may have stopped this one.
      if (at > 0 && !this.handlers.has(handling)) continue;
      const outer = this.running;
      this.running = handling;
      try {
        if (handling.borrows) this.show(handling, message);
        else this.tell(handling, message as Message);
      } catch (error) {
        this.host.failed(error, message);
      }
      this.running = outer;
    }
  }

  private tell(handling: RunningHandler, message: Message): void {
    const result = (handling.handler as Handler)(message);
    if (result === undefined || !isThenable(result)) return;
    this.begin(handling, result, ignore, (error) => this.host.failed(error, message));
  }

  private show(handling: RunningHandler, message: Message | BorrowedMessage): void {
    const isShown = this.allBorrow;
    const borrowed = isShown ? (message as BorrowedMessage) : new BorrowedMessage();
    if (!isShown) borrowed.showMessage(message as Message);
    try {
      this.callBorrowing(handling, borrowed);
    } finally {
      if (!isShown) borrowed.end();
    }
  }

  private callBorrowing({ name, handler }: RunningHandler, borrowed: BorrowedMessage): void {
    const result: unknown = (handler as BorrowingHandler)(borrowed);
    if (result === undefined || !isThenable(result)) return;
    Promise.resolve(result).catch(ignore);
    throw new TypeError(
      `the handler of '${name}' borrows messages, which are valid until it returns, so it can't be async; copy a message with keep()`,
    );
  }

  private forget(): void {
    this.epoch++;
    this.last = NO_RECIPIENTS;
    this.lastHead = null;
    this.allBorrow = this.isWanted() && [...this.handlers].every((handling) => handling.borrows);
  }

  private look(head: Head): void {
    this.lastHead = head;
    this.isForReplier = head.wantsUsToReply;
    const { note } = head;
    if (note instanceof Recipients && note.handlers === this && note.epoch === this.epoch) {
      this.last = note;
      return;
    }
    this.last = this.lookUp(head.name);
    head.note = this.last;
  }

  private lookUp(name: string): Recipients {
    const listeners = [...this.handlers].filter(
      (handling) => !handling.replier && matches(handling.name, name),
    );
    const replier = this.replierOf(name);
    const { made } = this;
    const isSame =
      made.epoch === this.epoch &&
      made.replier === replier &&
      made.listeners.length === listeners.length &&
      listeners.every((handling, at) => handling === made.listeners[at]);
    if (!isSame) this.made = new Recipients(this, this.epoch, listeners, replier);
    return this.made;
  }
}

function ignore(): void {}

/** Whether the value is a promise, of any realm or library. A getter of `then` may throw. */
function isThenable(value: unknown): boolean {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
