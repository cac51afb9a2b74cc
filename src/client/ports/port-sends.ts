import { Op } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import { Flag } from '../../message/flags.ts';
import { MessageId } from '../../message/id.ts';
import type { Message } from '../../message/message.ts';
import { type FrameView, wordOf } from '../../wire/frame.ts';
import type { FrameWriter } from '../../wire/frame-writer.ts';
import { ProtocolError, SendDetail } from '../../wire/protocol.ts';
import { AwaitedSend, type AwaitedSendHost } from './awaited-send.ts';
import { BlockedSend } from './blocked-send.ts';
import { InFlightSends, type InFlightSendsHost, type PendingSend } from './in-flight-sends.ts';
import { OwedReplies } from './owed-replies.ts';
import type { PendingRequests } from './pending-requests.ts';
import type { Explain, PendingRequest, Port, PortError, Refused } from './port.ts';
import type { Prefetching } from './prefetching.ts';
import type { Refusals } from './refusals.ts';
import {
  bytesOfRefused,
  errnoOf,
  idOfRefused,
  refusedMessage,
  whySendRefused,
} from './refused-frame.ts';
import type { Tokens } from './tokens.ts';

const ANSWERED_WAIT = SendDetail.WAIT | SendDetail.ANSWERED;
export const LAZY_WAIT = SendDetail.WAIT | SendDetail.LAZY;

/** What PortSends needs of its port. */
export interface PortSendsHost {
  readonly call: Port['call'];
  /** Sends a CANCEL: the answer to the send of this token says how it ended. */
  cancel(token: number): void;
}

/** The messages, Requests and Replies that a port sends to a daemon, and their outcomes. */
export class PortSends implements InFlightSendsHost, AwaitedSendHost {
  /** The message that waits to be sent (EAGAIN); the bus refuses other sends until then. */
  readonly blocked = new BlockedSend();
  readonly owed = new OwedReplies();
  /** The longest frame that the daemon accepts, in bytes. */
  maxFrame = 0;
  readonly inFlight: InFlightSends;
  private readonly host: PortSendsHost;
  private readonly writer: FrameWriter;
  private readonly prefetching: Prefetching;
  private readonly tokens: Tokens;
  private readonly requests: PendingRequests;
  private readonly refusals: Refusals;
  private replyRefused: Refused | null = null;

  constructor(
    host: PortSendsHost,
    writer: FrameWriter,
    prefetching: Prefetching,
    tokens: Tokens,
    requests: PendingRequests,
    refusals: Refusals,
  ) {
    this.host = host;
    this.writer = writer;
    this.prefetching = prefetching;
    this.tokens = tokens;
    this.requests = requests;
    this.refusals = refusals;
    this.inFlight = new InFlightSends(this, tokens);
  }

  send(
    message: Message,
    wait: boolean,
    signal: AbortSignal | undefined,
    explain: Explain,
  ): Promise<MessageId> {
    const { closedBy } = this.refusals;
    if (closedBy !== null) return Promise.reject(explain(closedBy, message));
    return new Promise((resolve) => {
      const detail = wait ? SendDetail.WAIT : 0;
      const send = new AwaitedSend(this, message, detail, this.tokens.take(), explain, resolve);
      if (signal !== undefined) send.cancelOn(signal);
      this.inFlight.submit(send);
    });
  }

  /** Posts a Request. Its Reply comes through the queue; the daemon tells the client the Request's id before. */
  postRequest(message: Message, wait: boolean, refused: Refused): void {
    this.submit(
      message,
      wait ? LAZY_WAIT : SendDetail.LAZY,
      this.tokens.take(),
      (errno) => refused(errno, message),
      (network, serial) => this.requestSent(new MessageId(network, serial)),
    );
  }

  request(message: Message, pending: PendingRequest, wait: boolean): void {
    const { closedBy } = this.refusals;
    if (closedBy !== null) {
      pending.refused(closedBy);
      return;
    }
    const token = this.tokens.take();
    const waits = (message.flags & Flag.ALL_OR_WAIT) !== 0;
    this.requests.add(token, pending);
    const room = wait ? SendDetail.ROOM : 0;
    const detail = (waits ? ANSWERED_WAIT : SendDetail.ANSWERED) | room;
    this.sendQuietly(message, detail, token, waits, this.requestRefused);
  }

  private readonly requestRefused = (errno: number, token: number): void => {
    this.requests.take(token)?.refused(this.refusals.error(errno));
  };

  forget({ token }: PendingRequest): boolean | Promise<boolean> {
    const { requests } = this;
    if (requests.take(token) === undefined || !this.isOpen) return false;
    if (this.inFlight.withdraw(token)) return true;
    requests.forget(token);
    return this.host.call(Op.FORGET, token, '').then(
      ({ first }) => {
        requests.forgetDone(token);
        return first === 1;
      },
      () => false,
    );
  }

  reply(message: Message, refused: Refused): void {
    if (!this.isOpen) return;
    this.replyRefused = refused;
    // A send in flight may leave the Ksock sending: then this Reply is refused, and sent again later.
    const isBusy = this.blocked.isSending || this.inFlight.isBusy;
    // While the Reply waits here, its handler may change the memory of its data.
    if (isBusy || this.inFlight.mayWait) message.data = new Uint8Array(message.data);
    const notSent = (errno: number): void => refused(errno, message);
    this.sendQuietly(message, 0, this.tokens.take(), isBusy, notSent);
  }

  /**
   * Sends QUIET, which saves the frames of acknowledgements. A message that may wait, or that queues behind one that
   * waits, must be counted, so it can't be QUIET.
   */
  private sendQuietly(
    message: Message,
    detail: number,
    token: number,
    isCounted: boolean,
    failed: (errno: number, token: number) => void,
  ): void {
    const { inFlight } = this;
    if (isCounted || inFlight.mayWait) {
      this.submit(message, detail, token, (errno) => failed(errno, token));
    } else if (inFlight.fits(message)) {
      this.put(message, detail | SendDetail.QUIET, token);
    } else {
      this.tooLarge(message, (errno) => failed(errno, token));
    }
  }

  private submit(
    message: Message,
    detail: number,
    token: number,
    failed: PendingSend['failed'],
    done: PendingSend['done'] = () => {},
  ): void {
    this.inFlight.submit({ count: 1, message, detail, token, done, failed });
  }

  // Outcomes from the daemon

  sent(frame: FrameView): void {
    const count = wordOf(frame, 0);
    const serial = wordOf(frame, 2);
    if (serial + count > 2 ** 32) {
      throw new ProtocolError(`${count} sends with serial numbers from ${serial} on`);
    }
    this.inFlight.done(count, wordOf(frame, 1), serial, wordOf(frame, 3));
  }

  /** Handles a REFUSED of a send. */
  refused(frame: FrameView, isQuiet: boolean, token: number): void {
    const errno = errnoOf(frame);
    this.refusals.why = whySendRefused(frame);
    const described = refusedMessage(frame);
    if (!isQuiet) {
      const id = idOfRefused(frame);
      if (errno === Errno.EAGAIN && !id.isSet)
        throw new ProtocolError('EAGAIN for a message without an id');
      const message = this.inFlight.refused(errno, token, described, bytesOfRefused(frame));
      if (errno === Errno.EAGAIN) this.blocked.begin(message.isRequest() ? id : null);
      return;
    }
    const request = this.requests.take(token);
    if (request !== undefined) request.refused(this.refusals.error(errno));
    else if (!this.requests.isForgotten(token)) {
      this.replyRefused?.(errno, described, bytesOfRefused(frame));
    }
  }

  // Used by InFlightSends

  get isOpen(): boolean {
    return this.refusals.closedBy === null;
  }

  get isCrowded(): boolean {
    return this.writer.isCrowded;
  }

  put(message: Message, detail: number, token: number): void {
    this.writer.message(message, detail, this.prefetching.takeConsumed(), token);
  }

  tooLarge(message: Message, failed: (errno: number) => void): void {
    const size = message.totalLength();
    this.refusals.why = `the message has ${size} bytes; the longest frame of this daemon has ${this.maxFrame} (absolute-max-message-size)`;
    failed(Errno.EMSGSIZE);
    this.refusals.why = '';
  }

  sync(): Promise<unknown> {
    return this.host.call(Op.SYNC, 0, '');
  }

  // Used by AwaitedSend

  requestSent(id: MessageId): void {
    this.owed.add(id);
  }

  refusal(errno: number): PortError {
    return this.refusals.error(errno);
  }

  cancelSend(send: PendingSend): void {
    if (this.inFlight.withdraw(send.token)) send.failed(Errno.ECANCELED, send.message);
    else this.host.cancel(send.token);
  }
}
