import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Data, Message } from '../message/message.ts';

// Handlers: the functions of a program that a Ksock calls with messages.

/** The data of a Reply, as a Replier's handler returns it. */
export type ReplyData = Data | null | undefined | void;

/** Is called with each Request of a replier, and gives the data of its Reply. What it throws makes the request fail. */
export type RequestHandler = (request: Message) => ReplyData | Promise<ReplyData>;

/** Is called with each message of a listener. What it throws, or rejects with, goes to `onHandlerError`. */
export type Handler = (message: Message) => unknown;

/** A handler that does not use the message after it returns. */
export type BorrowingHandler = (message: BorrowedMessage) => void;

/** Options of `Ksock.replier` and `Ksock.listener`. */
export interface HandlerOptions {
  /**
   * The largest number of pending calls of this handler, from 1. While that many of its promises are pending, the Ksock
   * reads no message: messages stay in the queue, which may fill up. Default: 1000.
   */
  concurrency?: number | undefined;
}

/** Options of `Ksock.listener`. */
export interface ListenerOptions extends HandlerOptions {
  /** The handler gets a {@link BorrowedMessage}, which is valid until the handler returns. Default: false. */
  borrowed?: boolean | undefined;
}

/** A running handler; `stop` (or `await using`) ends it and unbinds its name. */
export interface Handling {
  readonly name: string;
  /**
   * Ends the handler: the Ksock does not call it again. Resolves when its name is unbound and its pending calls are
   * done (a handler may stop itself: its own call doesn't count). Further calls return the same promise. If the bus can't
   * report the unbind now (spec 1 §9.1), it rejects with EAGAIN and the handler goes on.
   */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Default of {@link HandlerOptions.concurrency}. */
const DEFAULT_CONCURRENCY = 1000;

/** A handler of a program, and its pending calls. */
export class RunningHandler implements Handling {
  readonly name: string;
  readonly replier: boolean;
  /** The handler borrows messages. */
  readonly borrows: boolean;
  readonly handler: Handler | BorrowingHandler | RequestHandler;
  readonly concurrency: number;
  private readonly end: (handler: RunningHandler) => Promise<void>;
  private stopping: Promise<void> | null = null;
  /** Calls that have begun and are not done. */
  pendingCalls = 0;
  private idle: (() => void)[] = [];

  /** `end` is what `stop` does. */
  constructor(
    name: string,
    replier: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    { borrowed = false, concurrency = DEFAULT_CONCURRENCY }: ListenerOptions,
    end: (handler: RunningHandler) => Promise<void>,
  ) {
    this.name = name;
    this.replier = replier;
    this.borrows = borrowed;
    this.handler = handler;
    this.concurrency = concurrency;
    this.end = end;
  }

  stop(): Promise<void> {
    this.stopping ??= this.end(this).catch((error: unknown) => {
      this.stopping = null;
      throw error;
    });
    return this.stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Resolves when no call is pending. */
  finished(): Promise<void> {
    if (this.pendingCalls === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idle.push(resolve);
    });
  }

  done(): void {
    if (--this.pendingCalls > 0) return;
    const { idle } = this;
    this.idle = [];
    for (const resolve of idle) resolve();
  }
}
