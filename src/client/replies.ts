import { Errno } from '../message/errno.ts';
import type { MessageId } from '../message/id.ts';
import { type Data, type Message, Reply, replyTo } from '../message/message.ts';
import { REPLIER_ERROR } from '../message/request-error.ts';
import { SENT_IN_PLACE_BYTES } from '../wire/frame-writer.ts';
import type { ReplyData } from './handler.ts';

/** What replying needs of its Ksock. */
export interface RepliesHost {
  /**
   * Sends a Reply, if what it answers was read on this connection and not one that is lost; `refused` is
   * told when the bus won't have it: see `Port`.
   */
  reply(message: Message, refused: (errno: number, reply: Message) => void): void;
  /** Resolves when a message may be written. */
  writable(): Promise<void>;
  /** A Reply was not sent. */
  failed(error: unknown, message: Message): void;
}

/** What says which Request a Reply is for. */
interface Answering {
  readonly to: number;
  readonly inReplyTo: MessageId;
  readonly connection?: object | undefined;
}

/** A requester is told so much of an error. */
const MAX_ERROR_CHARACTERS = 2000;

/** Of how many Requests whose answer was refused it is known how often that was. */
const MAX_REFUSED_REQUESTS = 1000;

/** Replies to Requests for the handlers of a Ksock: with data, or with the error of a handler. */
export class Replies {
  private readonly host: RepliesHost;
  /** How often the bus refused the answer to a Request. */
  private readonly refusals = new Map<string, number>();

  constructor(host: RepliesHost) {
    this.host = host;
  }

  reply(request: Message, data: ReplyData): void {
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

  fail(request: Message, error: unknown): void {
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
    if (this.refusals.size > MAX_REFUSED_REQUESTS) {
      const [oldest] = this.refusals.keys();
      this.refusals.delete(oldest as string);
    }
    return times;
  }
}

/**
 * A handler can't know when its Reply has gone, so it may use the memory of its data again at once. What is smaller
 * is copied by the port in any case.
 */
function ownData(data: Data | null | undefined): Data | null | undefined {
  const isLarge = ArrayBuffer.isView(data) && data.byteLength >= SENT_IN_PLACE_BYTES;
  return isLarge ? new Uint8Array(data as Uint8Array) : data;
}

/** What a requester is told of what a handler threw, whatever that is. */
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
  return told.length > MAX_ERROR_CHARACTERS ? `${told.slice(0, MAX_ERROR_CHARACTERS)}…` : told;
}
