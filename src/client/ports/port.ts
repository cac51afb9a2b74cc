import type { BorrowedMessage } from '../../message/borrowed.ts';
import type { Mode, OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';

/** Name of the Status that the client makes for each outstanding Request when the bus goes away. */
export const BUS_GONE_AWAY = '$.KBUS.Bus.GoneAway';

/** The bus refused, or can't be reached; a Ksock makes a KbusError of it, which says what was asked. */
export class PortError extends Error {
  override readonly name = 'PortError';
  readonly errno: number;
  /** Its program has closed the Ksock. */
  readonly isClosed: boolean;
  /** What it means for the call, if that can be said better than the table of meanings does. */
  meaning: string | undefined;

  constructor(errno: number, why = '', cause?: unknown, isClosed = false) {
    super(why, cause === undefined ? undefined : { cause });
    this.errno = errno;
    this.isClosed = isClosed;
  }
}

/** With what the bus said, if it said more than the number. */
export function portErrorFor(errno: number, why: string): PortError {
  const refusal = new PortError(errno);
  if (why !== '') refusal.meaning = why;
  return refusal;
}

/** For what is asked of a Ksock that its program has closed. */
export const closedError = (): PortError => new PortError(Errno.EBADF, '', undefined, true);

export interface CallResult {
  readonly first: number;
  readonly second: number;
  readonly text: string;
}

/**
 * Told of a message that was refused, without a promise for each: its port says `why` until this returns. Without its
 * data, the message is not whole, and must not be sent again.
 */
export type Refused = (errno: number, message: Message, isWhole?: boolean) => void;

/** A Request that waits for its answer: its port calls one of these, once. */
export interface PendingRequest {
  /** By which its port knows it. */
  token: number;
  /** With a Reply or a Status. */
  answered(answer: Message): void;
  refused(refusal: PortError): void;
}

/** What a port tells of itself. */
export interface PortEvents {
  /** The bus can't be reached any more; nothing follows. `null`: `close` was called. */
  closed(error: PortError | null): void;
  /** So many messages were missed, for the queue was full; the name of the first. */
  missed(count: number, name: string): void;
}

/**
 * One Ksock's way to its bus: a connection to a daemon, or the bus itself when it is in this process.
 * Whatever waits ends when the port closes: promises reject with a PortError (ECONNRESET).
 */
export interface Port {
  readonly busNumber: number;
  readonly ksockId: number;

  /** Why the bus refused what it is told of at this moment: a sentence, or '' when it doesn't say. */
  readonly why: string;

  /**
   * Resolves with the message's id when it was sent. With `wait`, that may be when there is room. Rejects with a
   * PortError, or the signal's reason.
   */
  send(message: Message, wait: boolean, signal: AbortSignal | undefined): Promise<MessageId>;

  /**
   * Sends without a promise for each message: `refused` is called if that fails. False when so much is
   * under way that the caller must wait until it is `ready` before the next.
   */
  post(message: Message, wait: boolean, refused: Refused): boolean;

  /** Resolves when more may be posted. */
  ready(): Promise<void>;

  /** Resolves when all that was sent or posted so far has had its outcome. */
  flushed(): Promise<void>;

  /**
   * Sends a Request, and calls `pending` with its Reply or Status, which doesn't pass through the queue. With
   * ALL_OR_WAIT it is sent when there is room for all; with `wait`, when there is for its Reply and for its Replier.
   */
  request(message: Message, pending: PendingRequest, wait: boolean): void;

  /**
   * Nobody waits for the answer any more: if the Request was not sent yet, it never is. Whether it was taken back
   * before anybody read it, as soon as that is known; a daemon that doesn't answer may never say.
   */
  forget(pending: PendingRequest): boolean | Promise<boolean>;

  /**
   * Sends a Reply. If its data has less than SENT_IN_PLACE_BYTES, the memory may be used again when this returns.
   * `refused`, the same for all Replies of a port, is called when that fails, with this Reply or one like it: to the
   * same requester, in reply to the same Request.
   */
  reply(message: Message, refused: Refused): void;

  /** Takes the next message; null when there is none, or when a wait for it was cancelled by the signal. */
  take(wait: boolean, signal: AbortSignal | undefined): Promise<Message | null>;

  /**
   * The next message at hand, for a reader who takes many; null when `readable` must be awaited. It
   * counts as read when it is given.
   */
  tryNext(): Message | null;

  /**
   * The same, shown by `borrowed` until the next is; false when there is none. What it shows lies where it was
   * received, and isn't kept for anybody.
   */
  tryNextInto(borrowed: BorrowedMessage): boolean;

  /** Resolves when `tryNext` will give a message: true; or when `stopReading` was called: false. */
  readable(): Promise<boolean>;

  /**
   * Calls `came` whenever messages come that `tryNext` will give: in the turn in which they came, so that what is
   * sent from there goes out with it. Resolves when `stopReading` was called.
   */
  onReadable(came: () => void): Promise<void>;

  /** The readers of many stop: what is at hand goes back to the queue, unread. */
  stopReading(): Promise<void>;

  call(op: OpCode, argument: number, text: string): Promise<CallResult>;

  /** Resolves when a message may be written (true), or the signal ended the wait (false). */
  writable(signal: AbortSignal | undefined): Promise<boolean>;

  /** Whether its connection, if it has one, keeps the program from ending. */
  keepProgram(isKept: boolean): void;

  /** Leaves the bus; resolves when the bus knows. */
  close(): Promise<void>;
}

/**
 * Opens a port to a bus; what a transport is to a Ksock. Rejects with a PortError, also when the signal
 * ends the wait for it.
 */
export type Connect = (
  mode: Mode,
  events: PortEvents,
  signal: AbortSignal | undefined,
) => Promise<Port>;
