import type { Timers } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import { ProtocolError } from '../../wire/protocol.ts';
import { whenEnded } from '../time-limit.ts';

interface Reader {
  /** It wants more than what is there already. */
  wait: boolean;
  /** Of its TAKE; 0 until that is sent. */
  token: number;
  resolve(message: Message | null): void;
  reject(error: unknown): void;
}

/** What the readers need of their port. */
export interface PendingReadsHost {
  /** Sends a TAKE; its token. */
  take(wait: boolean): number;
  /** Sends a CANCEL: the TAKE of this token answers how it ended. */
  cancel(token: number): void;
  /** The message is given to the program. */
  given(message: Message): Message;
}

/**
 * Who reads one message each, first come first, and the TAKEs that were sent for them. Messages are for
 * the readers in their order, whichever TAKE brings them. When one has left, the message that its TAKE
 * may bring all the same is for who waits longest, or is kept unclaimed for the next one.
 */
export class PendingReads {
  private readonly host: PendingReadsHost;
  private readonly timers: Timers;
  private readers: Reader[] = [];
  /** TAKEs that are not answered yet, whose readers have left. */
  private readonly deserted = new Set<number>();
  /** Messages that came when nobody waited for them any more. */
  readonly unclaimed: Message[] = [];

  constructor(host: PendingReadsHost, timers: Timers) {
    this.host = host;
    this.timers = timers;
  }

  /** The next message; null when there is none, or the signal has ended the wait. */
  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null> {
    return new Promise((resolve, reject) => {
      const end = whenEnded(
        signal,
        () => {
          reader.wait = false;
          if (reader.token !== 0) this.host.cancel(reader.token);
        },
        () => {
          this.leave(reader);
          reader.resolve(null);
        },
        this.timers,
      );
      const reader: Reader = {
        wait,
        token: 0,
        resolve: (message) => {
          end();
          resolve(message);
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      this.readers.push(reader);
      // So that however often a reader leaves, the daemon is asked one thing only until it answers.
      if (this.deserted.size === 0) this.ask(reader);
    });
  }

  isInUse(token: number): boolean {
    return this.deserted.has(token) || this.readers[0]?.token === token;
  }

  private ask(reader: Reader): void {
    reader.token = this.host.take(reader.wait);
  }

  private leave(reader: Reader): void {
    this.readers.splice(this.readers.indexOf(reader), 1);
    if (reader.token !== 0) this.deserted.add(reader.token);
  }

  /** A TAKE has brought a message. A ProtocolError when there was no such TAKE. */
  taken(token: number, message: Message): void {
    const [first] = this.readers;
    if (first?.token !== token && !this.deserted.has(token)) throw notAsked(token);
    if (first === undefined) {
      this.unclaimed.push(message);
    } else {
      this.readers.shift();
      if (first.token !== token && first.token !== 0) {
        this.host.cancel(first.token);
        this.deserted.add(first.token);
      }
      first.resolve(this.host.given(message));
    }
    this.answered(token);
  }

  /** A TAKE has found none. A ProtocolError when there was no such TAKE. */
  none(token: number): void {
    const at = this.readers.findIndex((reader) => reader.token === token);
    if (at >= 0) this.readers.splice(at, 1)[0]?.resolve(null);
    else if (this.deserted.has(token)) this.answered(token);
    else throw notAsked(token);
  }

  private answered(token: number): void {
    if (!this.deserted.delete(token) || this.deserted.size > 0) return;
    for (const reader of this.readers) if (reader.token === 0) this.ask(reader);
  }

  /** The connection is over: each reader gets one of the messages that are left, or is told. */
  end(left: () => Message | null, refusal: Error): void {
    const { readers } = this;
    this.readers = [];
    for (const reader of readers) {
      const message = left();
      if (message === null) reader.reject(refusal);
      else reader.resolve(message);
    }
  }
}

function notAsked(token: number): ProtocolError {
  return new ProtocolError(`an answer to ${token}, which was not asked`);
}
