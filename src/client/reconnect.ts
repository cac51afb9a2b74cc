import type { BorrowedMessage } from '../message/borrowed.ts';
import { Errno } from '../message/errno.ts';
import type { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import { Op, type OpCode } from '../wire/frames.ts';
import { explain } from './explain.ts';
import { type Port, type PortEvents, Refusal } from './port.ts';

export interface ReconnectOptions {
  /** Milliseconds before the first attempt; each further one waits twice as long. Default 50. */
  minDelay?: number | undefined;
  /** The longest pause between attempts, in milliseconds. Default 2000. */
  maxDelay?: number | undefined;
}

export interface LifelineEvents {
  onConnected(): void;
  onDisconnected(error: KbusError): void;
}

/**
 * A Ksock's port, and, if it wants to come back after the bus went away, what it takes to be the same
 * again: its bindings, oldest first, and its settings.
 */
export class Lifeline {
  private readonly open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>;
  private readonly what: string;
  private readonly delays: { readonly minDelay: number; readonly maxDelay: number } | null;
  private readonly events: LifelineEvents;
  private currentPort: Port | null = null;
  private readonly bindings: { name: string; replier: boolean }[] = [];
  private readonly settings = new Map<OpCode, number>();
  private waiting: ((isRestored: boolean) => void)[] = [];
  private timer: ReturnType<typeof setTimeout> | undefined;
  /** Ports that are lost. */
  private readonly former = new WeakSet<object>();
  /** Ends the attempt to come back, and the port that it has opened. */
  private readonly leaving = new AbortController();
  private opening: Port | null = null;
  /** What KBUS owes for the Requests of the ports before this one: to be read before all else. */
  readonly statuses: Message[] = [];
  isConnected = false;
  isClosed = false;

  constructor(
    open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>,
    what: string,
    reconnect: boolean | ReconnectOptions,
    events: LifelineEvents,
  ) {
    this.open = open;
    this.what = what;
    this.events = events;
    const { minDelay = 50, maxDelay = 2000 } = typeof reconnect === 'object' ? reconnect : {};
    this.delays = reconnect === false ? null : { minDelay, maxDelay };
  }

  /** The port now, or the last one there was. */
  get port(): Port {
    return this.currentPort as Port;
  }

  /** Rejects with a Refusal. */
  async connect(signal?: AbortSignal): Promise<void> {
    // It may be lost at any time, even before it was given to us.
    let isCurrent = false;
    let isLost: Refusal | null = null;
    const closed = (error: Refusal | null): void => {
      if (isCurrent) this.lost(error);
      else isLost = error ?? new Refusal(Errno.ECONNRESET);
    };
    const port = await this.open({ closed }, signal);
    this.opening = port;
    try {
      await this.restore(port);
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
    this.currentPort = port;
    this.isConnected = true;
  }

  private async restore(port: Port): Promise<void> {
    for (const [op, value] of this.settings) await port.call(op, value, '');
    for (const { name, replier } of this.bindings) {
      await port.call(Op.BIND, replier ? 1 : 0, name);
    }
  }

  bound(name: string, replier: boolean): void {
    if (this.delays !== null) this.bindings.push({ name, replier });
  }

  unbound(name: string, replier: boolean): void {
    const at = this.bindings.findLastIndex((b) => b.name === name && b.replier === replier);
    if (at >= 0) this.bindings.splice(at, 1);
  }

  set(op: OpCode, value: number): void {
    this.settings.set(op, value);
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
        signal?.removeEventListener('abort', giveUp);
        resolve(isRestored);
      };
      const giveUp = (): void => {
        this.waiting = this.waiting.filter((waiting) => waiting !== settle);
        settle(false);
      };
      this.waiting.push(settle);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  async close(): Promise<void> {
    this.isClosed = true;
    clearTimeout(this.timer);
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

  private lost(error: Refusal | null): void {
    this.isConnected = false;
    if (this.isClosed || error === null) return;
    if (this.delays !== null) {
      this.former.add(this.port);
      for (;;) {
        const status = this.port.hand();
        if (status === null) break;
        this.mark(status, this.port);
        this.statuses.push(status);
      }
      this.retryIn(this.delays.minDelay);
    }
    this.tell(error);
  }

  private retryIn(delay: number): void {
    this.timer = setTimeout(() => {
      this.connect(this.leaving.signal).then(
        () => {
          if (this.isClosed) return;
          this.events.onConnected();
          this.wake(true);
        },
        (error: unknown) => {
          if (this.isClosed) return;
          this.tell(error);
          this.retryIn(Math.min(delay * 2, this.delays?.maxDelay ?? delay));
        },
      );
    }, delay);
  }

  private wake(isRestored: boolean): void {
    const { waiting } = this;
    this.waiting = [];
    for (const resolve of waiting) resolve(isRestored);
  }

  private tell(error: unknown): void {
    this.events.onDisconnected(explain('open', error, this.what) as KbusError);
  }
}
