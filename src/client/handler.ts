import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Data, Message } from '../message/message.ts';

// What a program gives to be called with messages, and what it gets for it.

/** What a Replier's handler may return: the data of the Reply. */
export type ReplyData = Data | null | undefined | void;

export type RequestHandler = (request: Message) => ReplyData | Promise<ReplyData>;

export type Handler = (message: Message) => unknown;

/** A handler that is done with a message when it returns. */
export type BorrowingHandler = (message: BorrowedMessage) => void;

export interface HandlerOptions {
  /**
   * How many calls of this handler may be at work at once, from 1; default 1000. While that many promises it
   * returned are pending, its Ksock reads nothing more: messages stay in the queue, and whoever sends to a full
   * queue is told, or waits.
   */
  concurrency?: number | undefined;
}

export interface ListenerOptions extends HandlerOptions {
  /** The handler gets a {@link BorrowedMessage}, which is good until it returns. */
  borrowed?: boolean | undefined;
}

/** A handler at work; `stop` (or `await using`) ends it and unbinds its name. */
export interface Handling {
  readonly name: string;
  /**
   * Ends the handler: no call begins after this. Resolves when its name is unbound and the calls that had begun
   * are done, but for the one that is running when it is called. Calling it again gives the same promise.
   * Rejects with EAGAIN, and the handler goes on, when the unbind can't be reported now (spec 1 §9.1).
   */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How many calls of a handler may be at work at once, unless it says. */
const DEFAULT_CONCURRENCY = 1000;

/** A handler of a program, and its calls that are at work. */
export class RunningHandler implements Handling {
  readonly name: string;
  readonly replier: boolean;
  /** It borrows messages. */
  readonly borrows: boolean;
  readonly handler: Handler | BorrowingHandler | RequestHandler;
  readonly concurrency: number;
  private readonly end: (handler: RunningHandler) => Promise<void>;
  private stopping: Promise<void> | null = null;
  /** Calls that have begun and are not done. */
  atWork = 0;
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

  /** Resolves when no call is at work. */
  finished(): Promise<void> {
    if (this.atWork === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idle.push(resolve);
    });
  }

  done(): void {
    if (--this.atWork > 0) return;
    const { idle } = this;
    this.idle = [];
    for (const resolve of idle) resolve();
  }
}
