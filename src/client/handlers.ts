import { BorrowedMessage } from '../message/borrowed.ts';
import { Errno } from '../message/errno.ts';
import { REPLIER_ERROR } from '../message/error.ts';
import type { Head } from '../message/head.ts';
import type { MessageId } from '../message/id.ts';
import { type Data, type Message, Reply, replyTo } from '../message/message.ts';
import { isMoreSpecific, matches } from '../message/name.ts';

/** What a Replier's handler may return: the data of the Reply. */
export type ReplyData = Data | null | undefined | void;

export type RequestHandler = (request: Message) => ReplyData | Promise<ReplyData>;

export type Handler = (message: Message) => unknown;

/** A handler that is done with a message when it returns. */
export type BorrowingHandler = (message: BorrowedMessage) => void;

export interface ListenerOptions {
  /** The handler gets a {@link BorrowedMessage}, which is good until it returns. */
  borrowed?: boolean | undefined;
}

/** A handler at work; `stop` (or `await using`) ends it and unbinds its name. */
export interface Handling {
  readonly name: string;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What the handlers need of their Ksock. */
export interface HandlersHost {
  /** The next message if it is at hand already. */
  hand(): Message | null;
  /** The same, shown by `borrowed`; false when there is none. */
  show(borrowed: BorrowedMessage): boolean;
  /**
   * Calls `came` when messages are at hand; resolves when the Ksock is closed, or they are not wanted any
   * more. Rejects when the bus has gone away.
   */
  attend(came: () => void, isWanted: () => boolean): Promise<void>;
  /**
   * Sends a Reply, if what it answers was read on this connection and not one that is lost; `refused` is
   * told when the bus won't have it: see `Port`.
   */
  reply(message: Message, refused: (errno: number, reply: Message) => void): void;
  /** Resolves when a message may be written. */
  writable(): Promise<void>;
  unbind(name: string, replier: boolean): Promise<void>;
  /** The last handler has gone. */
  stop(): Promise<void>;
}

/** What says which Request a Reply is for. */
interface Answering {
  readonly to: number;
  readonly inReplyTo: MessageId;
  readonly connection?: object | undefined;
}

interface Entry extends Handling {
  readonly replier: boolean;
  /** Its handler borrows messages. */
  readonly borrows: boolean;
  readonly handler: Handler | BorrowingHandler | RequestHandler;
}

/** Whom a name concerns: the one that came last is mostly that which comes next. */
interface Concerned {
  readonly name: string;
  readonly listeners: readonly Entry[];
  readonly replier: Entry | undefined;
}

const NOBODY: Concerned = { name: '', listeners: [], replier: undefined };

/** The handlers of one Ksock: they read its messages, each by its name. */
export class Handlers {
  private readonly host: HandlersHost;
  private readonly entries = new Set<Entry>();
  private isRunning = false;
  // Copies of one message come one after the other, one for each binding that matches.
  private lastNetwork = 0;
  private lastSerial = 0;
  private copies = 0;
  private last = NOBODY;
  // Of messages that share a head, only the first is looked at.
  private lastHead: Head | null = null;
  private isAsked = false;
  /** All handlers borrow. */
  private allBorrow = false;

  constructor(host: HandlersHost) {
    this.host = host;
  }

  add(
    name: string,
    replier: boolean,
    borrows: boolean,
    handler: Handler | BorrowingHandler | RequestHandler,
  ): Handling {
    const stop = async (): Promise<void> => {
      if (!this.entries.has(entry)) return;
      await this.host.unbind(name, replier);
      await this.remove(entry);
    };
    const entry: Entry = { name, replier, borrows, handler, stop, [Symbol.asyncDispose]: stop };
    this.entries.add(entry);
    this.forget();
    return entry;
  }

  async remove(handling: Handling): Promise<void> {
    this.entries.delete(handling as Entry);
    this.forget();
    if (this.entries.size === 0) await this.host.stop();
  }

  /** Reads until the last handler has gone, or the Ksock is closed. */
  run(): void {
    if (this.isRunning) return;
    this.isRunning = true;
    this.host.attend(this.handleAll, this.isWanted).then(
      () => {
        this.isRunning = false;
      },
      (error: unknown) => {
        // The bus has gone away: nobody waits for that, so it must be heard of otherwise.
        queueMicrotask(() => {
          throw error;
        });
      },
    );
  }

  private readonly isWanted = (): boolean => this.entries.size > 0;

  /** Everything that is at hand. */
  private readonly handleAll = (): void => {
    const { host } = this;
    while (this.isWanted()) {
      if (this.allBorrow) {
        this.showAll();
        // There is more only if somebody came meanwhile who doesn't borrow.
        if (this.allBorrow) return;
        continue;
      }
      const message = host.hand();
      if (message === null) return;
      if (message.head !== this.lastHead) this.look(message.head);
      if (this.isAsked) this.answer(message);
      else this.hear(message);
    }
  };

  /** The same for as long as all handlers borrow. */
  private showAll(): void {
    const { host } = this;
    // Not that of another turn: V8 needs longer to write to an old object, and who kept one sees that it is over.
    const borrowed = new BorrowedMessage();
    while (this.allBorrow && host.show(borrowed)) {
      if (borrowed.head !== this.lastHead) this.look(borrowed.head);
      if (this.isAsked) this.answer(borrowed.keep());
      else this.hear(borrowed);
    }
    borrowed.end();
  }

  private answer(request: Message): void {
    const entry = this.last.replier;
    if (entry === undefined) {
      this.fail(request, new Error(`nobody here answers '${request.name}' any more`));
      return;
    }
    try {
      const result = (entry.handler as RequestHandler)(request);
      if (result instanceof Promise) {
        result.then(
          (data) => this.reply(request, data),
          (error: unknown) => this.fail(request, error),
        );
      } else {
        this.reply(request, result);
      }
    } catch (error) {
      this.fail(request, error);
    }
  }

  private reply(request: Message, data: ReplyData): void {
    let reply: Message;
    try {
      reply = replyTo(request, data as Data | null | undefined);
    } catch (error) {
      this.fail(request, error);
      return;
    }
    this.host.reply(reply, this.refused);
  }

  private fail(request: Message, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const { from, id, connection } = request;
    this.replyError({ to: from, inReplyTo: id, connection }, text);
  }

  /** Sends an error in place of this Reply. */
  private replyError({ to, inReplyTo, connection }: Answering, text: string): void {
    const error = new Reply(REPLIER_ERROR, text, { to, inReplyTo });
    if (connection !== undefined) error.connection = connection;
    this.host.reply(error, this.refused);
  }

  /** A requester that has gone needs no answer; any other must get one. */
  private readonly refused = (errno: number, reply: Message): void => {
    const isTooMuch = errno === Errno.EMSGSIZE || errno === Errno.ENOMEM;
    if (isTooMuch && reply.name !== REPLIER_ERROR) {
      const larger = errno === Errno.EMSGSIZE ? 'is larger than this bus allows' : 'found no room';
      this.replyError(reply, `the Reply ${larger}`);
    } else if (errno === Errno.EALREADY) {
      // Another message of this Ksock waits to be sent: ALL_OR_WAIT.
      this.host.writable().then(
        () => {
          // Of a Reply that nobody thought could be refused only this much is left.
          if (reply.name === '') {
            this.replyError(reply, 'another message waited to be sent');
          } else {
            this.host.reply(reply, this.refused);
          }
        },
        () => {},
      );
    }
  };

  // As KBUS chooses.
  private replierOf(name: string): Entry | undefined {
    let best: Entry | undefined;
    for (const entry of this.entries) {
      if (!entry.replier || !matches(entry.name, name)) continue;
      if (best === undefined || isMoreSpecific(entry.name, best.name)) best = entry;
    }
    return best;
  }

  // Each binding has brought a copy of its own: the first is for the first handler that matches, and so on.
  private hear(message: Message | BorrowedMessage): void {
    const { idSerial } = message;
    const { idNetwork } = message.head;
    const isCopy = idSerial === this.lastSerial && idNetwork === this.lastNetwork;
    this.copies = isCopy ? this.copies + 1 : 0;
    this.lastSerial = idSerial;
    this.lastNetwork = idNetwork;
    const entry = this.last.listeners[this.copies];
    if (entry === undefined) return;
    try {
      if (entry.borrows) this.lend(entry, message);
      else (entry.handler as Handler)(message as Message);
    } catch (error) {
      // It is nobody's to catch, but the messages behind it are still to be read.
      queueMicrotask(() => {
        throw error;
      });
    }
  }

  private lend(entry: Entry, message: Message | BorrowedMessage): void {
    if (this.allBorrow) {
      this.lendShown(entry, message as BorrowedMessage);
      return;
    }
    const borrowed = new BorrowedMessage();
    borrowed.showMessage(message as Message);
    try {
      this.lendShown(entry, borrowed);
    } finally {
      borrowed.end();
    }
  }

  private lendShown({ name, handler }: Entry, borrowed: BorrowedMessage): void {
    const result: unknown = (handler as BorrowingHandler)(borrowed);
    if (result === undefined || !(result instanceof Promise)) return;
    result.catch(() => {});
    throw new TypeError(
      `the handler of '${name}' borrows its messages, so it must be done with each when it returns, and can't be async; keep() gives a message that stays`,
    );
  }

  private forget(): void {
    this.last = NOBODY;
    this.lastHead = null;
    this.allBorrow = this.isWanted() && [...this.entries].every((entry) => entry.borrows);
  }

  private look(head: Head): void {
    this.lastHead = head;
    this.isAsked = head.wantsUsToReply;
    if (head.name !== this.last.name) this.last = this.lookUp(head.name);
  }

  private lookUp(name: string): Concerned {
    const listeners = [...this.entries].filter(
      (entry) => !entry.replier && matches(entry.name, name),
    );
    return { name, listeners, replier: this.replierOf(name) };
  }
}
