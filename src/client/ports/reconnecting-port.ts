import { offAbort, onAbort } from '../../base/abort.ts';
import { reportThrown } from '../../base/report-thrown.ts';
import type { Timer, Timers } from '../../base/timers.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import type { OpCode } from '../../message/calls.ts';
import { Errno } from '../../message/errno.ts';
import type { KbusError } from '../../message/error.ts';
import type { Message } from '../../message/message.ts';
import { explain } from '../explain.ts';
import { type Port, PortError, type PortEvents } from './port.ts';
import { type Delays, jittered, nextDelay } from './reconnect-options.ts';
import { Restoration } from './restoration.ts';

/** The program's callbacks. If one throws, the error is printed, and the Ksock goes on. */
export interface ReconnectingEvents {
  onConnected(): void;
  onDisconnected(error: KbusError): void;
  /** The bus refused to restore a binding. The Ksock retries until it succeeds, or the program unbinds the name. */
  onBindRefused(error: KbusError, name: string): void;
  /** The queue was full, and missed messages. */
  onMissed(missed: { readonly count: number; readonly name: string }): void;
  /** The new daemon does not allow a setting. */
  onSettingRefused(error: KbusError): void;
}

/** The errors that mean: no daemon runs now, but one may start. */
const NO_DAEMON_ERRNOS: readonly number[] = [Errno.ENOENT, Errno.ECONNRESET, Errno.ETIMEDOUT];

/** A Ksock's port, or, if the Ksock reconnects, its ports one after the other. */
export class ReconnectingPort {
  private readonly open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>;
  /** The name of the bus in errors: `bus 0`. */
  private readonly target: string;
  /** Null: the Ksock does not reconnect; not any more, after another program has ended it. */
  private delays: Delays | null;
  private readonly events: ReconnectingEvents;
  private currentPort: Port | null = null;
  private readonly timers: Timers;
  private readonly restoration: Restoration;
  private waiting: ((isRestored: boolean) => void)[] = [];
  private timer: Timer | undefined;
  /** Lost ports. */
  private readonly former = new WeakSet<object>();
  /** Aborts the attempt to reconnect when the Ksock is closed. */
  private readonly leaving = new AbortController();
  private opening: Port | null = null;
  /** The Statuses for Requests of lost ports: the program reads them before all other messages. */
  readonly statuses: Message[] = [];
  isConnected = false;
  isClosed = false;
  private isKept = true;

  constructor(
    open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>,
    target: string,
    delays: Delays | null,
    events: ReconnectingEvents,
    timers: Timers,
  ) {
    this.open = open;
    this.target = target;
    this.delays = delays;
    this.events = events;
    this.timers = timers;
    this.restoration = new Restoration({
      bindRefused: (error, name) => guarded(() => events.onBindRefused(error, name)),
      settingRefused: (error) => guarded(() => events.onSettingRefused(error)),
    });
  }

  /** The current port, or the last one. */
  get port(): Port {
    return this.currentPort as Port;
  }

  /** Connects for the first time; with delays, retries until a daemon runs. Rejects with a PortError. */
  async begin(signal: AbortSignal | undefined): Promise<void> {
    const { delays } = this;
    for (let delay = delays?.minDelay ?? 0; ; ) {
      try {
        await this.connect(signal);
        return;
      } catch (error) {
        const mayRetry = error instanceof PortError && NO_DAEMON_ERRNOS.includes(error.errno);
        if (delays === null || !mayRetry || signal?.aborted) throw error;
        this.reportDisconnected(error, 'open');
      }
      await this.pause(delay, signal);
      delay = nextDelay(delay, delays);
    }
  }

  /** Rejects with ECANCELED when the signal aborts. */
  private pause(delay: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.timers.clearTimeout(this.timer);
        reject(new PortError(Errno.ECANCELED));
      };
      if (signal?.aborted) return end();
      onAbort(signal, end);
      this.timer = this.timers.setTimeout(() => {
        offAbort(signal, end);
        resolve();
      }, jittered(delay));
    });
  }

  private async connect(signal: AbortSignal | undefined): Promise<void> {
    // The port may be lost before `open` has resolved.
    let isCurrent = false;
    let isLost: PortError | null = null;
    const closed = (error: PortError | null): void => {
      if (isCurrent) this.lost(error);
      else isLost = error ?? new PortError(Errno.ECONNRESET);
    };
    const missed = (count: number, name: string): void =>
      guarded(() => this.events.onMissed({ count, name }));
    const port = await this.open({ closed, missed }, signal);
    this.opening = port;
    try {
      await this.restoration.restore(port);
      if (isLost !== null) throw isLost;
    } catch (error) {
      // The bindings made so far must not stand in the way of the next attempt.
      await port.close();
      throw error;
    } finally {
      this.opening = null;
    }
    if (this.isClosed) {
      await port.close();
      return;
    }
    isCurrent = true;
    if (!this.isKept) port.keepProgram(false);
    this.currentPort = port;
    this.isConnected = true;
    if (this.restoration.hasRefused && this.delays !== null) {
      this.bindRefusedIn(this.delays.minDelay, this.delays);
    }
  }

  /** Retries the refused bindings, until there are none or the connection is lost. */
  private bindRefusedIn(delay: number, delays: Delays): void {
    const { port } = this;
    this.timer = this.timers.setTimeout(() => {
      this.restoration.bindRefused(port).then(
        () => {
          if (this.port !== port || !this.isConnected || !this.restoration.hasRefused) return;
          this.bindRefusedIn(nextDelay(delay, delays), delays);
        },
        () => {},
      );
    }, jittered(delay));
    this.keepFor(this.timer);
  }

  bound(name: string, replier: boolean): void {
    if (this.delays !== null) this.restoration.bound(name, replier);
  }

  /** The bus has removed a binding: a reconnection must not restore it. */
  unbound(name: string, replier: boolean): void {
    this.restoration.forget(name, replier);
  }

  /**
   * Forgets a binding that the bus doesn't have, because the connection is lost or the bus refused to restore it. False
   * if there is none: then ask the bus.
   */
  unboundHere(name: string, replier: boolean): boolean {
    const isLost = this.delays !== null && !this.isConnected && !this.isClosed;
    const { restoration } = this;
    return isLost ? restoration.forget(name, replier) : restoration.forgetRefused(name, replier);
  }

  /** Sets whether this Ksock keeps the program running. */
  keepProgram(isKept: boolean): void {
    this.isKept = isKept;
    this.port.keepProgram(isKept);
    this.opening?.keepProgram(isKept);
    this.keepFor(this.timer);
  }

  /** Lets the timer keep the program running if the Ksock does. (Browsers' timers are numbers.) */
  private keepFor(timer: Timer | undefined): void {
    if (typeof timer !== 'object') return;
    if (this.isKept) timer.ref();
    else timer.unref();
  }

  setting(op: OpCode): number | undefined {
    return this.restoration.setting(op);
  }

  set(op: OpCode, value: number): void {
    this.restoration.set(op, value);
  }

  /** The setting has its default again. */
  unset(op: OpCode): void {
    this.restoration.unset(op);
  }

  /**
   * Resolves with true when the Ksock has reconnected; with false if it never reconnects, is closed, or the signal
   * aborts.
   */
  restored(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.isClosed || this.delays === null || signal?.aborted) return Promise.resolve(false);
    if (this.isConnected) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (isRestored: boolean): void => {
        offAbort(signal, cancel);
        resolve(isRestored);
      };
      const cancel = (): void => {
        this.waiting = this.waiting.filter((waiting) => waiting !== settle);
        settle(false);
      };
      this.waiting.push(settle);
      onAbort(signal, cancel);
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.timers.clearTimeout(this.timer);
    this.isConnected = false;
    this.wake(false);
    this.leaving.abort();
    await Promise.all([this.port.close(), this.opening?.close()]);
  }

  /** Notes the port by which a message was read: only that port can answer it. */
  mark(message: Message | BorrowedMessage, port: Port): void {
    if (this.delays !== null) message.connection = port;
  }

  /** Whether the message answers a Request of a lost port, or addresses a Replier of one. */
  isOver(message: Message): boolean {
    const { connection } = message;
    if (connection === undefined || !this.former.has(connection)) return false;
    return message.isReply() || message.to !== 0;
  }

  private lost(error: PortError | null): void {
    this.isConnected = false;
    this.timers.clearTimeout(this.timer);
    if (this.isClosed || error === null) return;
    if (isKick(error)) this.delays = null;
    if (this.delays !== null) {
      this.former.add(this.port);
      for (;;) {
        const status = this.port.tryNext();
        if (status === null) break;
        this.mark(status, this.port);
        this.statuses.push(status);
      }
      this.retryIn(this.delays.minDelay);
    }
    this.reportDisconnected(error, 'lost', `bus ${this.port.busNumber}`);
  }

  private retryIn(delay: number): void {
    this.timer = this.timers.setTimeout(() => {
      this.connect(this.leaving.signal).then(
        () => {
          if (this.isClosed) return;
          guarded(() => this.events.onConnected());
          this.wake(true);
        },
        (error: unknown) => {
          if (this.isClosed) return;
          if (isKick(error)) this.delays = null;
          this.reportDisconnected(error, 'open');
          if (this.delays !== null) this.retryIn(nextDelay(delay, this.delays));
          else this.wake(false);
        },
      );
    }, jittered(delay));
    this.keepFor(this.timer);
  }

  private wake(isRestored: boolean): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve(isRestored);
  }

  private reportDisconnected(error: unknown, what: 'open' | 'lost', target = this.target): void {
    const kbusError = explain('open', error, `${what} ${target}`) as KbusError;
    guarded(() => this.events.onDisconnected(kbusError));
  }
}

/** Whether another program has ended the Ksock: it must not come back by itself. */
function isKick(error: unknown): boolean {
  return error instanceof PortError && error.errno === Errno.ECONNABORTED;
}

/** Runs a callback of the program, and prints what it throws. */
function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    reportThrown('kbus: a callback of Ksock.open failed:', error);
  }
}
