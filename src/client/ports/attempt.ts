import { offAbort, onAbort } from '../../base/abort.ts';
import { systemTimers, type Timer } from '../../base/timers.ts';
import { Errno } from '../../message/errno.ts';
import { PortError } from './port.ts';

/** The longest time from connecting to WELCOME. */
export const ANSWER_TIMEOUT_MS = 5000;

/** One attempt to connect: its signal aborts after the timeout, or with the caller's signal. */
export class Attempt {
  isLate = false;
  private where = '';
  private readonly controller = new AbortController();
  private readonly given: AbortSignal | undefined;
  private readonly timeout: number;
  private readonly afterInput: (callback: () => void) => void;
  private timer: Timer | undefined;
  private readonly giveUp = (): void => this.controller.abort();

  /** `afterInput` calls back when the input that has arrived was handled. */
  constructor(
    given: AbortSignal | undefined,
    timeout: number,
    afterInput: (callback: () => void) => void,
  ) {
    this.given = given;
    this.timeout = timeout;
    this.afterInput = afterInput;
    if (given?.aborted) this.giveUp();
    else onAbort(given, this.giveUp);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Starts the timeout for an answer from `where`: for each place, and again after connecting. */
  begin(where: string): void {
    systemTimers.clearTimeout(this.timer);
    this.where = where;
    // If this process was busy or stopped, it must read its input before it gives up.
    this.timer = systemTimers.setTimeout(() => this.afterInput(() => this.late()), this.timeout);
  }

  private late(): void {
    if (this.timer === undefined || this.signal.aborted) return;
    this.isLate = true;
    this.giveUp();
  }

  lateError(): PortError {
    const { where, timeout } = this;
    const why = `${where} did not answer within ${timeout / 1000} s`;
    const refusal = new PortError(Errno.ETIMEDOUT, why);
    refusal.meaning =
      'the program that listens there sends nothing: it is stopped, or it is not kbus';
    return refusal;
  }

  end(): void {
    systemTimers.clearTimeout(this.timer);
    this.timer = undefined;
    offAbort(this.given, this.giveUp);
  }
}
