import { BorrowedMessage } from '../message/borrowed.ts';
import { Errno } from '../message/errno.ts';
import { REPLIER_ERROR } from '../message/error.ts';
import type { Head } from '../message/head.ts';
import type { MessageId } from '../message/id.ts';
import { type Data, type Message, Reply, replyTo } from '../message/message.ts';
import { isMoreSpecific, matches } from '../message/name.ts';
import { BY_REFERENCE } from './ports/frame-writer.ts';

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
   * Rejects with EAGAIN, and the handler goes on, when the unbind can't be reported now (section 9).
   */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What the handlers need of their Ksock. */
export interface HandlersHost {
  /** The next message if it is at hand already. */
  tryNext(): Message | null;
  /** The same, shown by `borrowed`; false when there is none. */
  tryNextInto(borrowed: BorrowedMessage): boolean;
  /**
   * Calls `came` when messages are at hand; resolves when the Ksock is closed, or they are not wanted any
   * more. Rejects when the bus has gone away.
   */
  onReadable(came: () => void, isWanted: () => boolean): Promise<void>;
  /**
   * Sends a Reply, if what it answers was read on this connection and not one that is lost; `refused` is
   * told when the bus won't have it: see `Port`.
   */
  reply(message: Message, refused: (errno: number, reply: Message) => void): void;
  /** Resolves when a message may be written. */
  writable(): Promise<void>;
  unbind(name: string, replier: boolean): Promise<void>;
  /** A message comes once only, by whichever binding. */
  isOnceOnly(): boolean;
  /** A handler has failed, or the bus has gone away while handlers wait for messages (`message` is null). */
  failed(error: unknown, message: Message | BorrowedMessage | null): void;
  /** The last handler has gone. */
  stop(): Promise<void>;
}

/** What says which Request a Reply is for. */
interface Answering {
  readonly to: number;
  readonly inReplyTo: MessageId;
  readonly connection?: object | undefined;
}

/** How many calls of a handler may be at work at once, unless it says. */
const DEFAULT_CONCURRENCY = 1000;

/** What an asker is told of an error, in characters at most. */
const MAX_ERROR_TEXT = 2000;

/** Of how many Requests whose answer was refused it is known how often that was. */
const MAX_REFUSED = 1000;

class Entry implements Handling {
  readonly name: string;
  readonly replier: boolean;
  /** Its handler borrows messages. */
  readonly borrows: boolean;
  readonly handler: Handler | BorrowingHandler | RequestHandler;
  readonly concurrency: number;
  private readonly owner: Handlers;
  private stopping: Promise<void> | null = null;
  /** Calls that have begun and are not done. */
  atWork = 0;
  private idle: (() => void)[] = [];

  constructor(
    owner: Handlers,
    name: string,
    replier: boolean,
    borrows: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    concurrency: number,
  ) {
    this.owner = owner;
    this.name = name;
    this.replier = replier;
    this.borrows = borrows;
    this.handler = handler;
    this.concurrency = concurrency;
  }

  stop(): Promise<void> {
    this.stopping ??= this.owner.end(this).catch((error: unknown) => {
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

/** Whom messages of one name concern, for as long as no handler comes or goes. */
class Concerned {
  readonly handlers: Handlers | null;
  readonly epoch: number;
  readonly listeners: readonly Entry[];
  readonly replier: Entry | undefined;

  constructor(
    handlers: Handlers | null,
    epoch: number,
    listeners: readonly Entry[],
    replier: Entry | undefined,
  ) {
    this.handlers = handlers;
    this.epoch = epoch;
    this.listeners = listeners;
    this.replier = replier;
  }
}

const NOBODY = new Concerned(null, 0, [], undefined);

/** The handlers of one Ksock: they read its messages, each by its name. */
export class Handlers {
  private readonly host: HandlersHost;
  private readonly entries = new Set<Entry>();
  /** Names that stay bound though their handler has stopped: see `end`. */
  private readonly stillBound = new Set<string>();
  private isRunning = false;
  private isHandling = false;
  /** Handlers with as many calls at work as they may have: nothing is read until one of these is done. */
  private readonly busy = new Set<Entry>();
  // Copies of one message come one after the other, one for each binding that matches: the first counts.
  private lastNetwork = 0;
  private lastSerial = 0;
  private last = NOBODY;
  /** How often a handler has come or gone. */
  private epoch = 0;
  // Of messages that share a head, only the first is looked at.
  private lastHead: Head | null = null;
  private isAsked = false;
  /** All handlers borrow. */
  private allBorrow = false;
  /** How often the bus refused the answer to a Request. */
  private readonly refusals = new Map<string, number>();

  constructor(host: HandlersHost) {
    this.host = host;
  }

  add(
    name: string,
    replier: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
    options: ListenerOptions,
  ): Entry {
    const { borrowed = false, concurrency = DEFAULT_CONCURRENCY } = options;
    const entry = new Entry(this, name, replier, borrowed, handler, concurrency);
    this.entries.add(entry);
    this.forget();
    return entry;
  }

  /** Whether a handler that has stopped left its binding to one of the same name that comes now. */
  takeOver(name: string, replier: boolean): boolean {
    return !replier && this.stillBound.delete(name);
  }

  /** The name of this handler could not be bound. */
  async remove(entry: Entry): Promise<void> {
    this.entries.delete(entry);
    this.forget();
    if (this.entries.size === 0) await this.host.stop();
  }

  /** Ends a handler: it is not called any more from now on. See `Handling`. */
  async end(entry: Entry): Promise<void> {
    const { host } = this;
    this.entries.delete(entry);
    this.forget();
    // Its own call can't be done before it goes on.
    const isOwn = this.running === entry;
    try {
      // Of several bindings that match, the newest alone has the message (once only): to unbind it would take
      // the message from the other handlers.
      if (!entry.replier && host.isOnceOnly() && this.hasListener())
        this.stillBound.add(entry.name);
      else await host.unbind(entry.name, entry.replier);
    } catch (error) {
      this.entries.add(entry);
      this.forget();
      this.run();
      throw error;
    }
    if (this.entries.size === 0) {
      for (const name of this.stillBound) await host.unbind(name, false);
      this.stillBound.clear();
      if (this.entries.size === 0) await host.stop();
    }
    this.leaveBusy(entry);
    if (!isOwn) await entry.finished();
  }

  /** Ends all handlers; resolves when what they had begun is done, and answered. */
  async finish(): Promise<void> {
    await Promise.all([...this.entries].map((entry) => entry.stop()));
  }

  private hasListener(): boolean {
    for (const { replier } of this.entries) if (!replier) return true;
    return false;
  }

  /** Reads until the last handler has gone, or the Ksock is closed. */
  run(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.host.onReadable(this.handleAll, this.isWanted).then(
      () => {
        this.isRunning = false;
      },
      (error: unknown) => {
        this.isRunning = false;
        this.host.failed(error, null);
      },
    );
  }

  private readonly isWanted = (): boolean => this.entries.size > 0;

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
    const { host } = this;
    while (this.busy.size === 0 && this.isWanted()) {
      if (this.allBorrow) {
        this.showAll();
        // There is more only if somebody came meanwhile who doesn't borrow.
        if (this.allBorrow) return;
        continue;
      }
      const message = host.tryNext();
      if (message === null) return;
      if (message.head !== this.lastHead) this.look(message.head);
      if (this.isAsked) this.answer(message);
      else this.hear(message);
    }
  }

  /** The same for as long as all handlers borrow. */
  private showAll(): void {
    const { host } = this;
    // Not that of another turn: V8 needs longer to write to an old object, and who kept one sees that it is over.
    const borrowed = new BorrowedMessage();
    while (this.allBorrow && this.busy.size === 0 && host.tryNextInto(borrowed)) {
      if (borrowed.head !== this.lastHead) this.look(borrowed.head);
      if (this.isAsked) this.answer(borrowed.keep());
      else this.hear(borrowed);
    }
    borrowed.end();
  }

  /** The handler whose call is running, up to its first `await`. */
  private running: Entry | null = null;

  /** A call has returned a promise: it is at work until that settles. Of another realm, or no real promise. */
  private begin(
    entry: Entry,
    result: unknown,
    then: (result: unknown) => void,
    failed: (error: unknown) => void,
  ): void {
    if (++entry.atWork >= entry.concurrency) this.busy.add(entry);
    Promise.resolve(result)
      .then(then, failed)
      .finally(() => {
        entry.done();
        this.leaveBusy(entry);
      });
  }

  /** The handler may have one more call at work: what waits for that is read. */
  private leaveBusy(entry: Entry): void {
    if (!this.busy.delete(entry) || this.busy.size > 0) return;
    if (this.isRunning) this.handleAll();
  }

  private answer(request: Message): void {
    const entry = this.last.replier;
    if (entry === undefined) {
      this.fail(request, new Error(`nobody here answers '${request.name}' any more`));
      return;
    }
    const failed = (error: unknown): void => {
      this.fail(request, error);
      this.host.failed(error, request);
    };
    const outer = this.running;
    this.running = entry;
    try {
      const result = (entry.handler as RequestHandler)(request);
      if (isThenable(result)) {
        this.begin(entry, result, (data) => this.reply(request, data as ReplyData), failed);
      } else {
        this.reply(request, result as ReplyData);
      }
    } catch (error) {
      failed(error);
    }
    this.running = outer;
  }

  private reply(request: Message, data: ReplyData): void {
    let reply: Message;
    try {
      reply = replyTo(request, ownData(data as Data | null | undefined));
    } catch (error) {
      this.fail(request, error);
      this.host.failed(error, request);
      return;
    }
    this.host.reply(reply, this.refused);
  }

  private fail(request: Message, error: unknown): void {
    const { from, id, connection } = request;
    this.replyError({ to: from, inReplyTo: id, connection }, textOfError(error));
  }

  /** Sends an error in place of this Reply. */
  private replyError({ to, inReplyTo, connection }: Answering, text: string): void {
    const error = new Reply(REPLIER_ERROR, text, { to, inReplyTo });
    if (connection !== undefined) error.connection = connection;
    this.host.reply(error, this.refused);
  }

  /** A requester that has gone needs no answer; any other must get one. */
  private readonly refused = (errno: number, reply: Message, isWhole = true): void => {
    if (errno === Errno.EMSGSIZE || errno === Errno.ENOMEM) {
      const times = this.timesRefused(reply);
      const larger = errno === Errno.EMSGSIZE ? 'is larger than this bus allows' : 'found no room';
      const text = `the Reply ${larger}`;
      // The shorter error, then none at all: each is refused at most once, so that nobody goes round in circles.
      if (times <= 2) this.replyError(reply, times === 1 ? text : '');
      if (times !== 2) this.host.failed(new Error(`${text}: to Ksock ${reply.to}`), reply);
    } else if (errno === Errno.EALREADY) {
      // Another message of this Ksock waits to be sent: ALL_OR_WAIT.
      this.host.writable().then(
        () => {
          // Of a Reply that nobody thought could be refused, the data is gone.
          if (isWhole) this.host.reply(reply, this.refused);
          else this.replyError(reply, 'another message waited to be sent');
        },
        () => {},
      );
    }
  };

  /** How often the answer to this Request was refused, with this time. */
  private timesRefused({ to, inReplyTo }: Message): number {
    const key = `${to} ${inReplyTo}`;
    const times = (this.refusals.get(key) ?? 0) + 1;
    this.refusals.delete(key);
    this.refusals.set(key, times);
    if (this.refusals.size > MAX_REFUSED) {
      const [oldest] = this.refusals.keys();
      this.refusals.delete(oldest as string);
    }
    return times;
  }

  // As KBUS chooses.
  private replierOf(name: string): Entry | undefined {
    let best: Entry | undefined;
    for (const entry of this.entries) {
      if (!entry.replier || !matches(entry.name, name)) continue;
      if (best === undefined || isMoreSpecific(entry.name, best.name)) best = entry;
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
      const entry = listeners[at] as Entry;
      // One that was called before it may have stopped it.
      if (at > 0 && !this.entries.has(entry)) continue;
      const outer = this.running;
      this.running = entry;
      try {
        if (entry.borrows) this.lend(entry, message);
        else this.tell(entry, message as Message);
      } catch (error) {
        this.host.failed(error, message);
      }
      this.running = outer;
    }
  }

  private tell(entry: Entry, message: Message): void {
    const result = (entry.handler as Handler)(message);
    if (result === undefined || !isThenable(result)) return;
    this.begin(entry, result, ignore, (error) => this.host.failed(error, message));
  }

  private lend(entry: Entry, message: Message | BorrowedMessage): void {
    const isShown = this.allBorrow;
    const borrowed = isShown ? (message as BorrowedMessage) : new BorrowedMessage();
    if (!isShown) borrowed.showMessage(message as Message);
    try {
      this.lendShown(entry, borrowed);
    } finally {
      if (!isShown) borrowed.end();
    }
  }

  private lendShown({ name, handler }: Entry, borrowed: BorrowedMessage): void {
    const result: unknown = (handler as BorrowingHandler)(borrowed);
    if (result === undefined || !isThenable(result)) return;
    Promise.resolve(result).catch(ignore);
    throw new TypeError(
      `the handler of '${name}' borrows its messages, so it must be done with each when it returns, and can't be async; keep() gives a message that stays`,
    );
  }

  private forget(): void {
    this.epoch++;
    this.last = NOBODY;
    this.lastHead = null;
    this.allBorrow = this.isWanted() && [...this.entries].every((entry) => entry.borrows);
  }

  private look(head: Head): void {
    this.lastHead = head;
    this.isAsked = head.wantsUsToReply;
    const { note } = head;
    if (note instanceof Concerned && note.handlers === this && note.epoch === this.epoch) {
      this.last = note;
      return;
    }
    this.last = this.lookUp(head.name);
    head.note = this.last;
  }

  private lookUp(name: string): Concerned {
    const listeners = [...this.entries].filter(
      (entry) => !entry.replier && matches(entry.name, name),
    );
    return new Concerned(this, this.epoch, listeners, this.replierOf(name));
  }
}

function ignore(): void {}

/**
 * A handler can't know when its Reply has gone, so it may use the memory of its data again at once. What is smaller
 * is copied by the port in any case.
 */
function ownData(data: Data | null | undefined): Data | null | undefined {
  const isLarge = ArrayBuffer.isView(data) && data.byteLength >= BY_REFERENCE;
  return isLarge ? new Uint8Array(data as Uint8Array) : data;
}

/** A promise, of whichever realm or library. What throws when it is asked has thrown. */
function isThenable(value: unknown): boolean {
  return (
    value !== null &&
    (typeof value === 'object' || typeof value === 'function') &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}

/** What an asker is told of what a handler threw, whatever that is. */
function textOfError(error: unknown): string {
  let text: unknown;
  try {
    const isObject = error !== null && typeof error === 'object';
    const message: unknown = isObject ? (error as { message?: unknown }).message : error;
    text = typeof message === 'string' ? message : String(message ?? error);
  } catch {
    text = `a value of type ${typeof error} that has no text`;
  }
  const told = String(text);
  return told.length > MAX_ERROR_TEXT ? `${told.slice(0, MAX_ERROR_TEXT)}…` : told;
}
