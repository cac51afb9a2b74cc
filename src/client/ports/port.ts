import { rejection } from '../../base/rejection.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import type { Mode, OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';

/**
 * The name of the Status that the client makes for each outstanding Request when the connection is lost.
 *
 * @example
 * ```ts
 * import { BUS_GONE_AWAY, Ksock, StatusError } from 'kbus';
 * import { Daemon, Log } from 'kbus/daemon';
 *
 * const directory = './short';
 * const socket = { mode: 0o600, group: undefined };
 * const log = new Log('human', () => {});
 * const daemon = new Daemon({ buses: 1, directory, socket, bus: {}, log });
 * await daemon.start();
 * const ksock = await Ksock.open(0, { directory });
 * await ksock.bind('$.Slow', true);
 * const answer = ksock.request('$.Slow').catch((reason: unknown) => reason);
 * await ksock.waitForMsg(); // The Request has arrived.
 * await daemon.stop('it was told to');
 * const error = await answer;
 * if (error instanceof StatusError) console.log(error.status.name === BUS_GONE_AWAY); // → true
 * ```
 */
export const BUS_GONE_AWAY = '$.KBUS.Bus.GoneAway';

/** The bus refused a call, or can't be reached. A Ksock makes a KbusError of it, which says what was asked. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly errno: number;
  /** The program has closed the Ksock. */
  readonly isClosed: boolean;
  /** What stood in the way, if more is known than the table of meanings says. */
  meaning: string | undefined;

  constructor(errno: number, why = '', cause?: unknown, isClosed = false) {
    super(why, cause === undefined ? undefined : { cause });
    this.errno = errno;
    this.isClosed = isClosed;
  }
}

/** The error of a refused call, with the bus's reason, if it gave one. */
export function portErrorFor(errno: number, why: string): PortError {
  const refusal = new PortError(errno);
  if (why !== '') refusal.meaning = why;
  return refusal;
}

/** The error of calls to a Ksock that its program has closed. */
export const closedError = (): PortError => new PortError(Errno.EBADF, '', undefined, true);

export interface CallResult {
  readonly first: number;
  readonly second: number;
  readonly text: string;
}

/**
 * Called with each refused message; during the call, the port's `why` gives the reason. A message may have lost its data,
 * of `lostBytes` bytes (default: 0): don't send it again.
 */
export type Refused = (errno: number, message: Message, lostBytes?: number) => void;

/** Makes the error that a send rejects with of the bus's refusal. */
export type Explain = (refusal: PortError, message: Message) => unknown;

/** What the promise of a refused send resolves with: it rejects. `errno` is what the bus says; the signal may have cancelled it. */
export function refusedSend(
  errno: number,
  refusal: PortError,
  message: Message,
  explain: Explain,
  signal: AbortSignal | undefined,
): Promise<never> {
  return errno === Errno.ECANCELED && signal?.aborted
    ? Promise.reject(signal.reason)
    : rejection(() => explain(refusal, message));
}

/** A Request that waits for its answer. The port calls `answered` or `refused`, once. */
export interface PendingRequest {
  /** The port identifies the Request by this. */
  token: number;
  /** `answer` is a Reply or a Status. */
  answered(answer: Message): void;
  refused(refusal: PortError): void;
}

/** The callbacks of a port. */
export interface PortEvents {
  /** The port has closed; no further event follows. `error` is null if `close` was called. */
  closed(error: PortError | null): void;
  /** The queue was full and missed `count` messages; `name` is that of the first. */
  missed(count: number, name: string): void;
}

/**
 * The connection of one Ksock to its bus: to a daemon, or to a bus in this process. When the port closes, pending
 * promises reject with a PortError (ECONNRESET).
 */
export interface Port {
  readonly busNumber: number;
  readonly ksockId: number;

  /** During a {@link Refused} call: the bus's reason, a sentence or ''. */
  readonly why: string;

  /**
   * Resolves with the message's id when it was sent. With `wait`, the send waits for free queue slots. Rejects with what
   * `explain` makes of the refusal, or the signal's reason.
   */
  send(
    message: Message,
    wait: boolean,
    signal: AbortSignal | undefined,
    explain: Explain,
  ): Promise<MessageId>;

  /**
   * Sends without a promise for each message, and calls `refused` if that fails. Returns false if the caller must await
   * `ready` before the next message.
   */
  post(message: Message, wait: boolean, refused: Refused): boolean;

  /** Resolves when the caller may post more messages. */
  ready(): Promise<void>;

  /** Resolves when no send or post made so far is in flight. */
  flushed(): Promise<void>;

  /**
   * Sends a Request, and calls `pending` with its Reply or Status, which doesn't go through the queue. With ALL_OR_WAIT
   * it waits for free slots in the queues of all recipients; with `wait`, for a slot for its Reply and one in the
   * Replier's queue.
   */
  request(message: Message, pending: PendingRequest, wait: boolean): void;

  /**
   * Gives up a Request: `pending` is not called any more, and an unsent Request is never sent. Gives whether the Replier
   * never reads it; the promise stays pending if the daemon doesn't answer.
   */
  forget(pending: PendingRequest): boolean | Promise<boolean>;

  /**
   * Sends a Reply. The port copies data of less than SENT_IN_PLACE_BYTES. On failure it calls `refused`, the same
   * function for all Replies of a port, with this Reply or one to the same requester and Request.
   */
  reply(message: Message, refused: Refused): void;

  /** Takes the next message; null if the queue is empty, or the signal cancelled the wait. */
  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null>;

  /**
   * The next message, for readers of many; null if the caller must await `readable` first. The message counts as read.
   */
  tryNext(): Message | null;

  /**
   * As `tryNext`, but `borrowed` shows the message until it shows the next one; false if there is none. The message
   * lies in the receive buffer, which the port reuses.
   */
  tryNextInto(borrowed: BorrowedMessage): boolean;

  /** Resolves with true when `tryNext` has a message, and with false when `stopReading` was called. */
  readable(): Promise<boolean>;

  /**
   * Subscribes: calls `readable` whenever `tryNext` has messages, in the tick in which the port received them, so that
   * messages sent from there share one flush. Resolves when `stopReading` was called.
   */
  onReadable(readable: () => void): Promise<void>;

  /** Ends `readable` and `onReadable`, and returns prefetched messages to the queue, unread. */
  stopReading(): Promise<void>;

  call(op: OpCode, argument: number, text: string): Promise<CallResult>;

  /** Resolves with true when a message may be written, and with false when the signal ended the wait. */
  writable(signal: AbortSignal | undefined): Promise<boolean>;

  /** Sets whether the connection, if there is one, keeps the program running. */
  keepProgram(isKept: boolean): void;

  /** Leaves the bus; resolves when the bus has removed the Ksock. */
  close(): Promise<void>;
}

/**
 * A transport: opens a port to a bus. Rejects with a PortError, also when the signal aborts.
 */
export type Connect = (
  mode: Mode,
  events: PortEvents,
  signal: AbortSignal | undefined,
) => Promise<Port>;
