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

/** Told to the program; what it throws is shown, and ends nothing. */
export interface ReconnectingEvents {
  onConnected(): void;
  onDisconnected(error: KbusError): void;
  /** A name that was bound before could not be bound again; it is tried again until it can, or is unbound. */
  onBindRefused(error: KbusError, name: string): void;
  /** Messages were missed, for the queue was full. */
  onMissed(missed: { readonly count: number; readonly name: string }): void;
  /** A setting that was made before is none that the new daemon allows. */
  onSettingRefused(error: KbusError): void;
}

/** What says that there is no daemon now, but may be one later. */
const NO_DAEMON_ERRNOS: readonly number[] = [Errno.ENOENT, Errno.ECONNRESET, Errno.ETIMEDOUT];

/** A Ksock's port: the same one always, or, when it comes back after the bus went away, one after the other. */
export class ReconnectingPort {
  private readonly open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>;
  /** What it is connected to: `bus 0`. */
  private readonly target: string;
  private readonly delays: Delays | null;
  private readonly events: ReconnectingEvents;
  private currentPort: Port | null = null;
  private readonly timers: Timers;
  private readonly restoration: Restoration;
  private waiting: ((isRestored: boolean) => void)[] = [];
  private timer: Timer | undefined;
  /** Ports that are lost. */
  private readonly former = new WeakSet<object>();
  /** Ends the attempt to come back, and the port that it has opened. */
  private readonly leaving = new AbortController();
  private opening: Port | null = null;
  /** What KBUS owes for the Requests of the ports before this one: to be read before all else. */
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

  /** The port now, or the last one there was. */
  get port(): Port {
    return this.currentPort as Port;
  }

  /** Connects for the first time; with delays, waits for a daemon to be there. Rejects with a PortError. */
  async begin(signal: AbortSignal | undefined): Promise<void> {
    const { delays } = this;
    for (let delay = delays?.minDelay ?? 0; ; ) {
      try {
        await this.connect(signal);
        return;
      } catch (error) {
        const mayCome = error instanceof PortError && NO_DAEMON_ERRNOS.includes(error.errno);
        if (delays === null || !mayCome || signal?.aborted) throw error;
        this.tell(error, 'open');
      }
      await this.pause(delay, signal);
      delay = nextDelay(delay, delays);
    }
  }

  /** Rejects with ECANCELED when the signal ends it. */
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
    // It may be lost at any time, even before it was given to us.
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
      // What was bound so far must not stand in the way of the next attempt.
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

  /** Tries the names again that were refused, for as long as there are some, and this connection lasts. */
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

  /** The bus has undone a binding: it isn't made again. */
  unbound(name: string, replier: boolean): void {
    this.restoration.forget(name, replier);
  }

  /**
   * Forgets a binding that the bus doesn't have: this Ksock is away, or the bus has refused it since it came back.
   * False when there is none, and the bus is to be asked.
   */
  unboundHere(name: string, replier: boolean): boolean {
    const isAway = this.delays !== null && !this.isConnected && !this.isClosed;
    const { restoration } = this;
    return isAway ? restoration.forget(name, replier) : restoration.forgetRefused(name, replier);
  }

  /** Whether the program goes on for this Ksock alone. */
  keepProgram(isKept: boolean): void {
    this.isKept = isKept;
    this.port.keepProgram(isKept);
    this.opening?.keepProgram(isKept);
    this.keepFor(this.timer);
  }

  /** A timer keeps the program as the Ksock does; browsers' timers are numbers, and keep nothing. */
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

  /** It is as every Ksock or bus has it at first. */
  unset(op: OpCode): void {
    this.restoration.unset(op);
  }

  /**
   * Resolves with true once the Ksock is connected again; with false at once if it doesn't come back,
   * or when it is closed, or the signal ends the wait.
   */
  restored(signal: AbortSignal | undefined): Promise<boolean> {
    if (this.isClosed || this.delays === null || signal?.aborted) return Promise.resolve(false);
    if (this.isConnected) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (isRestored: boolean): void => {
        offAbort(signal, giveUp);
        resolve(isRestored);
      };
      const giveUp = (): void => {
        this.waiting = this.waiting.filter((waiting) => waiting !== settle);
        settle(false);
      };
      this.waiting.push(settle);
      onAbort(signal, giveUp);
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

  /** Remembers by which port a message was read: the answer to it is for that port alone. */
  mark(message: Message | BorrowedMessage, port: Port): void {
    if (this.delays !== null) message.connection = port;
  }

  /** Whether the message answers, or addresses, what there was on a port that is lost. */
  isOver(message: Message): boolean {
    const { connection } = message;
    if (connection === undefined || !this.former.has(connection)) return false;
    return message.isReply() || message.to !== 0;
  }

  private lost(error: PortError | null): void {
    this.isConnected = false;
    this.timers.clearTimeout(this.timer);
    if (this.isClosed || error === null) return;
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
    this.tell(error, 'lost', `bus ${this.port.busNumber}`);
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
          this.tell(error, 'open');
          if (this.delays !== null) this.retryIn(nextDelay(delay, this.delays));
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

  private tell(error: unknown, what: 'open' | 'lost', target = this.target): void {
    const told = explain('open', error, `${what} ${target}`) as KbusError;
    guarded(() => this.events.onDisconnected(told));
  }
}

/** What the program's own function throws is told, and ends nothing. */
function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    reportThrown('kbus: a callback of Ksock.open failed:', error);
  }
}
