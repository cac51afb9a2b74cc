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

/** Where the messages come from: the Ksock's reader. */
export interface MessageSource {
  /** The next message if it is at hand already. */
  tryNext(): Message | null;
  /** The same, shown by `borrowed`; false when there is none. */
  tryNextInto(borrowed: BorrowedMessage): boolean;
  /**
   * Calls `came` when messages are at hand; resolves when the Ksock is closed, or they are not wanted any
   * more. Rejects when the bus has gone away.
   */
  onReadable(came: () => void, isWanted: () => boolean): Promise<void>;
  /** What is at hand goes back to the queue. */
  stop(): Promise<void>;
}

/** What else the handlers need of their Ksock. */
export interface HandlersHost extends RepliesHost {
  unbind(name: string, replier: boolean): Promise<void>;
  /** A message comes once only, by whichever binding. */
  isOnceOnly(): boolean;
  /** A handler has failed, or the bus has gone away while handlers wait for messages (`message` is null). */
  failed(error: unknown, message: Message | BorrowedMessage | null): void;
  /** The last handler has gone. */
  stopped(): void;
}

/** Whom messages of one name concern, for as long as no handler comes or goes. */
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

/** The handlers of one Ksock: they read its messages, each by its name. */
export class Handlers {
  private readonly source: MessageSource;
  private readonly host: HandlersHost;
  private readonly replies: Replies;
  private readonly handlers = new Set<RunningHandler>();
  /** Names that stay bound though their handler has stopped: see `end`. */
  private readonly stillBound = new Set<string>();
  private isRunning = false;
  private isHandling = false;
  /** Handlers with as many calls at work as they may have: nothing is read until one of these is done. */
  private readonly busy = new Set<RunningHandler>();
  // Copies of one message come one after the other, one for each binding that matches: the first counts.
  private lastNetwork = 0;
  private lastSerial = 0;
  private last = NO_RECIPIENTS;
  /** How often a handler has come or gone. */
  private epoch = 0;
  // Of messages that share a head, only the first is looked at.
  private lastHead: Head | null = null;
  private isAsked = false;
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

  /** Whether a handler that has stopped left its binding to one of the same name that comes now. */
  takeOver(name: string, replier: boolean): boolean {
    return !replier && this.stillBound.delete(name);
  }

  /** The name of this handler could not be bound. */
  async remove(handling: RunningHandler): Promise<void> {
    this.handlers.delete(handling);
    this.forget();
    if (this.handlers.size === 0) await this.stop();
  }

  /** Ends a handler: it is not called any more from now on. See `Handling`. */
  async end(handling: RunningHandler): Promise<void> {
    const { host } = this;
    this.handlers.delete(handling);
    this.forget();
    // Its own call can't be done before it goes on.
    const isOwn = this.running === handling;
    try {
      // Of several bindings that match, the newest alone has the message (once only): to unbind it would take
      // the message from the other handlers.
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

  /** Ends all handlers; resolves when what they had begun is done, and answered. */
  async finish(): Promise<void> {
    await Promise.all([...this.handlers].map((handling) => handling.stop()));
  }

  /** The last handler has gone. */
  private async stop(): Promise<void> {
    this.host.stopped();
    await this.source.stop();
  }

  private hasListener(): boolean {
    for (const { replier } of this.handlers) if (!replier) return true;
    return false;
  }

  /** Reads until the last handler has gone, or the Ksock is closed. */
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

  /** Everything that is at hand, while no handler has too much to do. */
  private readonly handleAll = (): void => {
    // A handler that ends a wait, or calls back into its Ksock, must not begin a second loop in this one.
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
        // There is more only if somebody came meanwhile who doesn't borrow.
        if (this.allBorrow) return;
        continue;
      }
      const message = source.tryNext();
      if (message === null) return;
      if (message.head !== this.lastHead) this.look(message.head);
      if (this.isAsked) this.answer(message);
      else this.hear(message);
    }
  }

  /** The same for as long as all handlers borrow. */
  private showAll(): void {
    const { source } = this;
    // Not that of another turn: V8 needs longer to write to an old object, and who kept one sees that it is over.
    const borrowed = new BorrowedMessage();
    while (this.allBorrow && this.busy.size === 0 && source.tryNextInto(borrowed)) {
      if (borrowed.head !== this.lastHead) this.look(borrowed.head);
      if (this.isAsked) this.answer(borrowed.keep());
      else this.hear(borrowed);
    }
    borrowed.end();
  }

  /** The handler whose call is running, up to its first `await`. */
  private running: RunningHandler | null = null;

  /** A call has returned a promise: it is at work until that settles. Of another realm, or no real promise. */
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

  /** The handler may have one more call at work: what waits for that is read. */
  private leaveBusy(handling: RunningHandler): void {
    if (!this.busy.delete(handling) || this.busy.size > 0) return;
    if (this.isRunning) this.handleAll();
  }

  private answer(request: Message): void {
    const handling = this.last.replier;
    if (handling === undefined) {
      this.replies.fail(request, new Error(`nobody here answers '${request.name}' any more`));
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

  // As KBUS chooses.
  private replierOf(name: string): RunningHandler | undefined {
    let best: RunningHandler | undefined;
    for (const handling of this.handlers) {
      if (!handling.replier || !matches(handling.name, name)) continue;
      if (best === undefined || isMoreSpecific(handling.name, best.name)) best = handling;
    }
    return best;
  }

  /**
   * Each binding has brought a copy of its own, or one has for all of them (once only): the first copy is for
   * every handler that matches, and those behind it are for nobody.
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
      // One that was called before it may have stopped it.
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
      `the handler of '${name}' borrows its messages, so it must be done with each when it returns, and can't be async; keep() gives a message that stays`,
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
    this.isAsked = head.wantsUsToReply;
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
    return new Recipients(this, this.epoch, listeners, this.replierOf(name));
  }
}

function ignore(): void {}

/** A promise, of whichever realm or library. What throws when it is asked has thrown. */
function isThenable(value: unknown): boolean {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
