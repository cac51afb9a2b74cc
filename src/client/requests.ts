import { offAbort, onAbort } from '../base/abort.ts';
import type { Timer, Timers } from '../base/timers.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { MessageOptions } from '../message/fields.ts';
import { type Data, type Message, ownMessage, Request } from '../message/message.ts';
import { REPLIER_ERROR, ReplierError, StatusError } from '../message/request-error.ts';
import { asked, notSent, tooManyAsked } from './explain.ts';
import { checkNames, checkWait, type RequestOptions, type WaitOptions } from './options.ts';
import type { PendingRequest, Port, PortError } from './ports/port.ts';
import type { ReconnectingPort } from './ports/reconnecting-port.ts';
import type { Sender } from './sender.ts';
import { MAX_ANSWER_MS, timerMs } from './time-limit.ts';

/** At most this many Requests of one Ksock may be unanswered, sent or waiting for queue slots. */
const MAX_UNANSWERED_REQUESTS = 65_536;

const NO_OPTIONS: RequestOptions = {};

/** The Request has timed out. */
const TIMED_OUT = Symbol('timed out');
/** The Request has timed out, and its Replier never reads it. */
const TIMED_OUT_UNREAD = Symbol('timed out, and unread');

/** A Request whose program awaits the answer. Only the first outcome counts. */
class AwaitedRequest implements PendingRequest {
  token = 0;
  private readonly port: Port;
  private readonly timers: Timers;
  private readonly resolve: (answer: Message) => void;
  private readonly reject: (reason: unknown) => void;
  private endLimit: (() => void) | null = null;

  constructor(
    port: Port,
    timers: Timers,
    resolve: (answer: Message) => void,
    reject: (reason: unknown) => void,
  ) {
    this.port = port;
    this.timers = timers;
    this.resolve = resolve;
    this.reject = reject;
  }

  answered(answer: Message): void {
    this.endLimit?.();
    this.resolve(answer);
  }

  refused(refusal: PortError): void {
    this.endLimit?.();
    this.reject(refusal);
  }

  /** Gives the Request up after the timeout, or when the signal aborts. */
  limit({ timeout, signal }: WaitOptions): void {
    const { timers } = this;
    let isForgotten = false;
    const abort = (): void => {
      this.endLimit?.();
      if (!isForgotten) this.port.forget(this);
      this.reject(signal?.reason);
    };
    const timeOver = (isUnread: boolean): void => {
      this.endLimit?.();
      this.reject(isUnread ? TIMED_OUT_UNREAD : TIMED_OUT);
    };
    const giveUp = (): void => {
      isForgotten = true;
      const isUnread = this.port.forget(this);
      if (typeof isUnread === 'boolean') {
        timeOver(isUnread);
        return;
      }
      // Wait for the daemon to say whether the Replier has read the Request, but not for one that doesn't answer.
      timer = timers.setTimeout(() => timeOver(false), MAX_ANSWER_MS);
      isUnread.then(timeOver);
    };
    // If the program was busy until now, the answer may be in its input: read that first.
    const late = (): void => {
      timer = timers.setTimeout(giveUp, 0);
    };
    let timer: Timer | undefined;
    if (timeout !== undefined) timer = timers.setTimeout(late, timerMs(timeout));
    onAbort(signal, abort);
    this.endLimit = () => {
      timers.clearTimeout(timer);
      offAbort(signal, abort);
    };
  }
}

/** The Requests of a Ksock whose answers its program awaits. */
export class Requests {
  private readonly reconnecting: ReconnectingPort;
  private readonly sender: Sender;
  private readonly timers: Timers;
  /** The number of unanswered Requests. */
  private unanswered = 0;

  constructor(reconnecting: ReconnectingPort, sender: Sender, timers: Timers) {
    this.reconnecting = reconnecting;
    this.sender = sender;
    this.timers = timers;
  }

  async request(
    nameOrMessage: string | Message,
    data: Data | null | undefined,
    options: RequestOptions = NO_OPTIONS,
  ): Promise<Message> {
    if (options !== NO_OPTIONS) {
      checkWait(options);
      checkNames('request', options, 'request');
    }
    const message =
      typeof nameOrMessage === 'object' && nameOrMessage !== null
        ? ownMessage(nameOrMessage)
        : new Request(nameOrMessage, data, requestFields(options));
    if (!message.isRequest()) throw new TypeError(`${message} is not a Request`);
    const wrong = this.sender.check(message);
    if (wrong !== null) throw wrong;
    if (this.unanswered >= MAX_UNANSWERED_REQUESTS) {
      throw tooManyAsked(message, MAX_UNANSWERED_REQUESTS);
    }
    const { port } = this.reconnecting;
    let answer: Message;
    this.unanswered++;
    try {
      answer = await new Promise<Message>((resolve, reject) => {
        const pending = new AwaitedRequest(port, this.timers, resolve, reject);
        if (hasLimit(options)) pending.limit(options);
        port.request(message, pending, options.wait !== false);
      });
    } catch (reason) {
      // An error made here has the caller's line in its stack.
      if (reason !== TIMED_OUT && reason !== TIMED_OUT_UNREAD) throw notSent(message, reason);
      const what = `${asked(message)} within ${options.timeout} ms`;
      const unread = {
        meaning: 'no Reply came in time; no Replier has read the Request, and none will',
      };
      const how = reason === TIMED_OUT_UNREAD ? unread : {};
      throw new KbusError('request', Errno.ETIMEDOUT, what, how);
    } finally {
      this.unanswered--;
    }
    this.reconnecting.mark(answer, port);
    if (answer.name === REPLIER_ERROR) throw new ReplierError(asked(message), answer);
    if (answer.isStatus()) throw new StatusError(asked(message), answer);
    return answer;
  }
}

/** The message fields among the options; undefined for most Requests. */
function requestFields({ to, flags }: RequestOptions): MessageOptions | undefined {
  if (to === undefined && flags === undefined) return undefined;
  return { ...(to !== undefined && { to }), ...(flags !== undefined && { flags }) };
}

function hasLimit({ timeout, signal }: WaitOptions): boolean {
  return timeout !== undefined || signal !== undefined;
}
