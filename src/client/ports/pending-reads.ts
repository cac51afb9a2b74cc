import type { Timers } from '../../base/timers.ts';
import type { Message } from '../../message/message.ts';
import { whenEnded } from '../time-limit.ts';
import { notAsked } from './not-asked.ts';

interface Reader {
  /** It waits for a message if the queue is empty. */
  wait: boolean;
  /** The token of its TAKE; 0 until that is sent. */
  token: number;
  resolve(message: Message | null): void;
  reject(error: unknown): void;
}

/** What PendingReads needs of its port. */
export interface PendingReadsHost {
  /** Sends a TAKE; gives its token. */
  take(wait: boolean): number;
  /** Sends a CANCEL: the answer to the TAKE of this token says how it ended. */
  cancel(token: number): void;
  /** Notes that the program gets the message. */
  given(message: Message): Message;
}

/**
 * The readers of one message each, in order of arrival, and their TAKEs. A message goes to the longest-waiting reader,
 * whichever TAKE carries it. When a reader has left, its TAKE may still get a message: with no reader waiting, that
 * message is kept unclaimed for the next one.
 */
export class PendingReads {
  private readonly host: PendingReadsHost;
  private readonly timers: Timers;
  private readers: Reader[] = [];
  /** Tokens of unanswered TAKEs whose readers have left. */
  private readonly deserted = new Set<number>();
  /** Messages that arrived when no reader waited. */
  readonly unclaimed: Message[] = [];

  constructor(host: PendingReadsHost, timers: Timers) {
    this.host = host;
    this.timers = timers;
  }

  /** The next message; null if the queue is empty, or the signal ended the wait. */
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
      // Send no TAKE while a deserted one is unanswered: readers that come and leave must not pile up TAKEs.
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

  /** Handles TAKEN. Throws a ProtocolError if there was no such TAKE. */
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

  /** Handles NONE. Throws a ProtocolError if there was no such TAKE. */
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

  /** The connection has ended: each reader gets one of the messages that are left, or its promise rejects. */
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
