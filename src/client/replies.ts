import { Errno } from '../message/errno.ts';
import type { MessageId } from '../message/id.ts';
import { type Data, type Message, Reply, replyTo } from '../message/message.ts';
import { REPLIER_ERROR } from '../message/request-error.ts';
import { SENT_IN_PLACE_BYTES } from '../wire/frame-writer.ts';
import type { ReplyData } from './handler.ts';

/** What Replies needs of its Ksock. */
export interface RepliesHost {
  /** Sends a Reply, unless the connection of its Request is lost. Calls `refused` if the bus refuses it: see `Port`. */
  reply(message: Message, refused: (errno: number, reply: Message) => void): void;
  /** Resolves when a message may be written. */
  writable(): Promise<void>;
  /** A Reply could not be sent. */
  failed(error: unknown, message: Message): void;
}

/** The fields of a Reply that identify its Request. */
interface Answering {
  readonly to: number;
  readonly inReplyTo: MessageId;
  readonly connection?: object | undefined;
}

/** A requester gets at most this many characters of a handler's error. */
const MAX_ERROR_CHARACTERS = 2000;

/** Sends the Replies of a Ksock's handlers: data, or the error of a handler. */
export class Replies {
  private readonly host: RepliesHost;

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

  /** The bus refused a Reply. Every requester that still waits must get an answer. */
  private readonly refused = (errno: number, reply: Message, lostBytes = 0): void => {
    if (errno === Errno.EMSGSIZE || errno === Errno.ENOMEM) {
      const why =
        errno === Errno.EMSGSIZE
          ? 'is larger than this bus allows'
          : 'exceeds the memory that is left (max-memory)';
      const text = `the Reply ${why}`;
      // In place of a Reply an error with a short text, and in place of an error one without text. What was refused says
      // how far this is, so it ends whatever the bus refuses.
      const isError = reply.name === REPLIER_ERROR;
      const isLast = isError && reply.dataLength + lostBytes === 0;
      if (!isLast) this.replyError(reply, isError ? '' : text);
      if (isLast || !isError) {
        this.host.failed(new Error(`${text}: to Ksock ${reply.to}`), reply);
      }
    } else if (errno === Errno.EALREADY) {
      // Another message of this Ksock waits to be sent: ALL_OR_WAIT.
      this.host.writable().then(
        () => {
          if (lostBytes === 0) this.host.reply(reply, this.refused);
          else this.replyError(reply, 'another message waited to be sent');
        },
        () => {},
      );
    }
  };
}

/**
 * The data in memory of its own: a handler may reuse the memory of its data at once, since it can't know when the Reply
 * was written. The port copies smaller data itself.
 */
function ownData(data: Data | null | undefined): Data | null | undefined {
  const isLarge = ArrayBuffer.isView(data) && data.byteLength >= SENT_IN_PLACE_BYTES;
  return isLarge ? new Uint8Array(data as Uint8Array) : data;
}

/** The text that a requester gets of the value that a handler threw. */
function textOfError(error: unknown): string {
  let text: unknown;
  try {
    const isObject = error !== null && typeof error === 'object';
    const message: unknown = isObject ? (error as { message?: unknown }).message : error;
    text = typeof message === 'string' ? message : String(message ?? error);
  } catch {
    text = `a value of type ${typeof error} that has no text`;
  }
  const whole = String(text);
  return whole.length > MAX_ERROR_CHARACTERS ? `${whole.slice(0, MAX_ERROR_CHARACTERS)}…` : whole;
}
