import type { Timers } from '../base/timers.ts';
import { type Mode, Op } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import { MessageId } from '../message/id.ts';
import { Message } from '../message/message.ts';
import type { BusCalls } from './bus-calls.ts';
import { explain, notSent } from './explain.ts';
import { whyNotSent } from './message-check.ts';
import { checkNames, checkWait, type SendOptions, type WaitOptions } from './options.ts';
import { closedError, type Explain, type Port, portErrorFor } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';
import { timed, whenEnded } from './time-limit.ts';

/** `sendAll` with a signal has at most this many sends in flight. */
const MAX_ABORTABLE_SENDS = 256;

const NO_OPTIONS: SendOptions = {};

/** Sends the messages of a Ksock, and keeps track of one that waits to be sent (EAGAIN). */
export class Sender {
  readonly mode: Mode;
  private readonly reconnecting: ReconnectingPort;
  private readonly calls: BusCalls;
  private readonly timers: Timers;
  /** The port on which a message waits to be sent. If the port is lost, so is the message. */
  private sendingBy: Port | null = null;
  /** Makes the error of the first refused post, until a call has reported it. */
  private postFailure: (() => unknown) | null = null;

  constructor(mode: Mode, reconnecting: ReconnectingPort, calls: BusCalls, timers: Timers) {
    this.mode = mode;
    this.reconnecting = reconnecting;
    this.calls = calls;
    this.timers = timers;
  }

  /** A message waits to be sent. */
  get isSending(): boolean {
    return this.sendingBy !== null && this.sendingBy === this.reconnecting.port;
  }

  /** The error for which this Ksock can't send any message now, or 0. */
  get errno(): number {
    if (this.mode === 'r') return Errno.EBADF;
    return this.isSending ? Errno.EALREADY : 0;
  }

  /** Null if the message may be sent, otherwise the error; for a message of another copy of this package, a copy. */
  check(message: Message): KbusError | TypeError | Message | null {
    const isFit =
      message instanceof Message &&
      message.head.isFit &&
      message.connection === undefined &&
      !message.isDetached;
    return isFit && this.mode === 'rw' && !this.isSending ? null : this.whyNotSent(message);
  }

  /** Separate, so that V8 inlines `check`. */
  private whyNotSent(message: Message): KbusError | TypeError | Message | null {
    return whyNotSent(message, this.errno, (sent) => this.reconnecting.isOver(sent));
  }

  /** Sends a message that `check` has accepted. */
  send(message: Message, options: SendOptions = NO_OPTIONS): Promise<MessageId> {
    const { wait = false, signal } = options;
    try {
      if (options !== NO_OPTIONS) checkNames('sendMsg', options, 'send');
      if (signal !== undefined) checkWait(options);
    } catch (error) {
      return Promise.reject(error);
    }
    return this.reconnecting.port.send(message, wait, signal, this.explainRefusal);
  }

  private readonly explainRefusal: Explain = (refusal, message) => {
    // After EAGAIN the bus keeps the message, until this Ksock sends it again or discards it.
    if (refusal.errno === Errno.EAGAIN) this.sendingBy = this.reconnecting.port;
    return notSent(message, refusal);
  };

  post(message: Message, wait: boolean): Promise<void> | undefined {
    const wrong = this.check(message);
    if (wrong instanceof Message) return this.post(wrong, wait);
    if (wrong !== null) return Promise.reject(wrong);
    const { port } = this.reconnecting;
    const isReady = port.post(message, wait, this.postRefused);
    if (this.postFailure !== null) return this.takePostFailure();
    return isReady ? undefined : port.ready().then(() => this.takePostFailure());
  }

  async flush(): Promise<void> {
    await this.reconnecting.port.flushed();
    await this.takePostFailure();
  }

  private readonly postRefused = (errno: number, message: Message): void => {
    const { isClosed, port } = this.reconnecting;
    if (errno === Errno.EAGAIN) this.sendingBy = port;
    if (this.postFailure !== null) return;
    const refusal = isClosed ? closedError() : portErrorFor(errno, port.why);
    this.postFailure = () => notSent(message, refusal);
  };

  private async takePostFailure(): Promise<void> {
    const failure = this.postFailure;
    this.postFailure = null;
    if (failure !== null) throw failure();
  }

  /** Sends all messages; with a signal, each by `sendOne`. */
  async sendAll(
    messages: Iterable<Message> | AsyncIterable<Message>,
    options: SendOptions,
    sendOne: (message: Message, options: SendOptions) => Promise<MessageId>,
  ): Promise<number> {
    checkWait(options);
    checkNames('sendAll', options, 'send');
    const { signal, wait = true } = options;
    let count = 0;
    const sent: Promise<MessageId>[] = [];
    /** Undefined: the next message may follow at once. */
    const send = (message: Message): Promise<unknown> | undefined => {
      signal?.throwIfAborted();
      count++;
      if (signal === undefined) return this.post(message, wait);
      // Only a send with a promise of its own can be cancelled.
      sent.push(sendOne(message, { wait, signal }));
      return sent.length < MAX_ABORTABLE_SENDS ? undefined : Promise.all(sent.splice(0));
    };
    if (Symbol.asyncIterator in messages) {
      for await (const message of messages) await send(message);
    } else {
      // To await each of them would take longer than to send it.
      for (const message of messages) {
        const room = send(message);
        if (room !== undefined) await room;
      }
    }
    await Promise.all(sent);
    if (signal === undefined) await this.flush();
    return count;
  }

  /** Sends the waiting message again. */
  async resend(): Promise<MessageId> {
    try {
      const { first, second } = await this.calls.call('send', Op.RESEND, 0, '', 'send again');
      this.sendingBy = null;
      return new MessageId(first, second);
    } catch (error) {
      if (error instanceof KbusError && error.code !== 'EAGAIN') this.sendingBy = null;
      throw error;
    }
  }

  /** Drops the waiting message. */
  async discard(): Promise<void> {
    const { first } = await this.calls.call('send', Op.DISCARD, 0, '', 'discard');
    if (first === 0) this.sendingBy = null;
  }

  async waitWritable(options: WaitOptions): Promise<boolean> {
    if (this.mode === 'r') return false;
    checkWait(options);
    checkNames('waitWritable', options, 'wait');
    const { timeout, signal } = options;
    const isWritable = await timed(timeout, signal, this.timers, async (either) => {
      try {
        return await this.writable(either);
      } catch (refusal) {
        throw explain('send', refusal, 'wait until a message may be written');
      }
    });
    if (!isWritable) signal?.throwIfAborted();
    return isWritable;
  }

  private writable(signal: AbortSignal | undefined): Promise<boolean> {
    // Note the result even if it arrives after the wait has ended.
    const isWritable = this.reconnecting.port.writable(signal).then((is) => {
      if (is) this.sendingBy = null;
      return is;
    });
    return new Promise((resolve, reject) => {
      const leave = (): void => resolve(false);
      const end = whenEnded(signal, () => {}, leave, this.timers);
      isWritable.then(resolve, reject).finally(end);
    });
  }
}
