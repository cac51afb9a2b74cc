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

/** So many Requests of one Ksock may be without their answers, sent or waiting for room. */
const MAX_UNANSWERED_REQUESTS = 65_536;

const NO_OPTIONS: RequestOptions = {};

/** Why a Request is given up: its time is over. */
const TIMED_OUT = Symbol('timed out');
/** The same, and nobody had read it, or will. */
const TIMED_OUT_UNREAD = Symbol('timed out, and unread');

/** A Request whose program awaits the answer: told once how it ended, however many tell it to. */
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

  /** From now on it is given up when the time is over, or the signal says so. */
  limit({ timeout, signal }: WaitOptions): void {
    const { timers } = this;
    let isForgotten = false;
    const abort = (): void => {
      this.endLimit?.();
      if (!isForgotten) this.port.forget(this);
      this.reject(signal?.reason);
    };
    const timeOver = (isTakenBack: boolean): void => {
      this.endLimit?.();
      this.reject(isTakenBack ? TIMED_OUT_UNREAD : TIMED_OUT);
    };
    const giveUp = (): void => {
      isForgotten = true;
      const isTakenBack = this.port.forget(this);
      if (typeof isTakenBack === 'boolean') {
        timeOver(isTakenBack);
        return;
      }
      // Whether it was carried out is worth a moment, but not a wait for a daemon that doesn't answer.
      timer = timers.setTimeout(() => timeOver(false), MAX_ANSWER_MS);
      isTakenBack.then(timeOver);
    };
    // A program that was busy until now may have the answer already: what has come is read first.
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
  /** How many have no answer yet. */
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
      // Made here, and not where the answer came, the error's stack has the line that asked.
      if (reason !== TIMED_OUT && reason !== TIMED_OUT_UNREAD) throw notSent(message, reason);
      const what = `${asked(message)} within ${options.timeout} ms`;
      const unread = {
        meaning: 'no Reply came in time; nobody has read the Request, and nobody will',
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

/** What a Request is made with; nothing, for most. */
function requestFields({ to, flags }: RequestOptions): MessageOptions | undefined {
  if (to === undefined && flags === undefined) return undefined;
  return { ...(to !== undefined && { to }), ...(flags !== undefined && { flags }) };
}

function hasLimit({ timeout, signal }: WaitOptions): boolean {
  return timeout !== undefined || signal !== undefined;
}
