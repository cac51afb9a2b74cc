import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Data, Message } from '../message/message.ts';

// Handlers: the functions of a program that a Ksock calls with messages.

/**
 * The data of a Reply, as a Replier's handler returns it.
 *
 * @see {@link RequestHandler} for an example
 */
export type ReplyData = Data | null | undefined | void;

/**
 * Is called with each Request of a replier, and gives the data of its Reply. What it throws makes the request fail.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, type ReplyData, type RequestHandler } from 'kbus';
 *
 * const temperatures = new Map([['hall', '18']]);
 * const temperatureOf = (room: string): ReplyData => temperatures.get(room);
 * const handler: RequestHandler = (request) => temperatureOf(request.text());
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.replier('$.Temp.Get', handler);
 * console.log((await ksock.request('$.Temp.Get', 'hall')).text()); // → 18
 * console.log((await ksock.request('$.Temp.Get', 'attic')).dataLength); // → 0
 * await ksock.close();
 * ```
 */
export type RequestHandler = (request: Message) => ReplyData | Promise<ReplyData>;

/**
 * Is called with each message of a listener. What it throws, or rejects with, goes to `onHandlerError`.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, type Handler, Ksock } from 'kbus';
 *
 * const show: Handler = (message) => console.log(message.name, message.text()); // → $.Door open
 * const ksock = await Ksock.open(new Bus());
 * await ksock.listener('$.Door', show);
 * await ksock.sendMsg(new Announcement('$.Door', 'open'));
 * await ksock.close({ finish: true });
 * ```
 */
export type Handler = (message: Message) => unknown;

/**
 * A handler that does not use the message after it returns.
 *
 * @see {@link BorrowedMessage} for an example
 */
export type BorrowingHandler = (message: BorrowedMessage) => void;

/**
 * Options of `Ksock.replier` and `Ksock.listener`.
 *
 * @example
 * ```ts
 * import { Bus, type HandlerOptions, Ksock } from 'kbus';
 *
 * // The device does one thing at a time: further Requests wait in the queue.
 * const options: HandlerOptions = { concurrency: 1 };
 * const ksock = await Ksock.open(new Bus());
 * await ksock.replier('$.Motor.Turn', async (request) => `turned ${request.text()}`, options);
 * console.log((await ksock.request('$.Motor.Turn', '90°')).text()); // → turned 90°
 * await ksock.close();
 * ```
 */
export interface HandlerOptions {
  /**
   * The largest number of pending calls of this handler, from 1. While that many of its promises are pending, the Ksock
   * reads no message: messages stay in the queue, which may fill up. Default: 1000.
   */
  concurrency?: number | undefined;
}

/**
 * Options of `Ksock.listener`.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, type ListenerOptions } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * const options = { borrowed: true } satisfies ListenerOptions;
 * await ksock.listener('$.Frame', (frame) => console.log(frame.dataLength), options); // → 4096
 * await ksock.sendMsg(new Announcement('$.Frame', new Uint8Array(4096)));
 * await ksock.close({ finish: true });
 * ```
 */
export interface ListenerOptions extends HandlerOptions {
  /** The handler gets a {@link BorrowedMessage}, which is valid until the handler returns. Default: false. */
  borrowed?: boolean | undefined;
}

/**
 * A running handler; `stop` (or `await using`) ends it and unbinds its name.
 *
 * @example
 * ```ts
 * import { Bus, type Handling, Ksock } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * const handling: Handling = await ksock.replier('$.Heater.Set', () => 'ok');
 * console.log(handling.name); // → $.Heater.Set
 * await handling.stop();
 * console.log(await ksock.findReplier('$.Heater.Set')); // → null
 * await ksock.close();
 * ```
 */
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
