import { offAbort, onAbort } from '../../base/abort.ts';
import { reportThrown } from '../../base/report-thrown.ts';
import { Op, type OpCode } from '../../bus/driver/perform.ts';
import type { BorrowedMessage } from '../../message/borrowed.ts';
import { Errno } from '../../message/errno.ts';
import type { KbusError } from '../../message/error.ts';
import type { Message } from '../../message/message.ts';
import { explain } from '../explain.ts';
import { type Port, PortError, type PortEvents } from './port.ts';

export interface ReconnectOptions {
  /**
   * Milliseconds before the first attempt, from 1; each further one waits twice as long. A random part of up to a
   * half is taken off each pause, so that many clients don't come back in the same moment. Default 50.
   */
  minDelay?: number | undefined;
  /** The longest pause between attempts, in milliseconds, from `minDelay`. Default 2000, or `minDelay` if longer. */
  maxDelay?: number | undefined;
}

type Delays = { readonly minDelay: number; readonly maxDelay: number };

/** Longer than this, in milliseconds, no timer waits. */
const LONGEST_DELAY = 0x7fff_ffff;

/** The delays to keep, or null for a Ksock that doesn't come back. A TypeError for what can't be waited. */
export function reconnectDelays(reconnect: boolean | ReconnectOptions | undefined): Delays | null {
  if (reconnect === undefined || reconnect === false) return null;
  if (reconnect !== true && (typeof reconnect !== 'object' || reconnect === null)) {
    throw new TypeError(
      `reconnect must be true, false or an object such as { minDelay: 50 }, not ${String(reconnect)}`,
    );
  }
  const { minDelay = 50, maxDelay = Math.max(2000, minDelay) } =
    reconnect === true ? {} : reconnect;
  checkDelay('minDelay', minDelay, 1);
  checkDelay('maxDelay', maxDelay, minDelay);
  return { minDelay, maxDelay };
}

function checkDelay(what: string, delay: unknown, from: number): void {
  if (typeof delay === 'number' && delay >= from && delay <= LONGEST_DELAY) return;
  throw new TypeError(
    `${what} must be a number of milliseconds from ${from} to ${LONGEST_DELAY}, not ${String(delay)}`,
  );
}

export interface LifelineEvents {
  onConnected(): void;
  onDisconnected(error: KbusError): void;
  /** A name that was bound before could not be bound again; it is tried again until it can, or is unbound. */
  onBindRefused(error: KbusError, name: string): void;
  /** Messages were missed, for the queue was full. */
  onMissed(missed: { readonly count: number; readonly name: string }): void;
  /** A setting that was made before is none that the new daemon allows. */
  onSettingRefused(error: KbusError): void;
}

interface KeptBinding {
  readonly name: string;
  readonly replier: boolean;
}

/** What says that there is no daemon now, but may be one later. */
const NOT_THERE: readonly number[] = [Errno.ENOENT, Errno.ECONNRESET, Errno.ETIMEDOUT];

/**
 * A Ksock's port, and, if it wants to come back after the bus went away, what it takes to be the same
 * again: its bindings, oldest first, and its settings.
 */
export class ReconnectingPort {
  private readonly open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>;
  /** What it is connected to: `bus 0`. */
  private readonly target: string;
  private readonly delays: Delays | null;
  private readonly events: LifelineEvents;
  private currentPort: Port | null = null;
  private readonly bindings: KeptBinding[] = [];
  /** Those of them that somebody else stood in the way of. */
  private readonly refused = new Set<KeptBinding>();
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
  private isKept = true;

  constructor(
    open: (events: PortEvents, signal: AbortSignal | undefined) => Promise<Port>,
    target: string,
    delays: Delays | null,
    events: LifelineEvents,
  ) {
    this.open = open;
    this.target = target;
    this.delays = delays;
    this.events = events;
  }

  /** The port now, or the last one there was. */
  get port(): Port {
    return this.currentPort as Port;
  }

  /** Connects for the first time; with delays, waits for a daemon to be there. Rejects with a PortError. */
  async begin(signal: AbortSignal | undefined): Promise<void> {
    for (let delay = this.delays?.minDelay ?? 0; ; delay = this.nextDelay(delay)) {
      try {
        await this.connect(signal);
        return;
      } catch (error) {
        const mayCome = error instanceof PortError && NOT_THERE.includes(error.errno);
        if (this.delays === null || !mayCome || signal?.aborted) throw error;
        this.tell(error, 'open');
      }
      await this.pause(delay, signal);
    }
  }

  /** Rejects with ECANCELED when the signal ends it. */
  private pause(delay: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(this.timer);
        reject(new PortError(Errno.ECANCELED));
      };
      if (signal?.aborted) return end();
      onAbort(signal, end);
      this.timer = setTimeout(() => {
        offAbort(signal, end);
        resolve();
      }, jittered(delay));
    });
  }

  private nextDelay(delay: number): number {
    return Math.min(delay * 2, this.delays?.maxDelay ?? delay);
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
    if (!this.isKept) port.keepProgram(false);
    this.currentPort = port;
    this.isConnected = true;
    if (this.refused.size > 0) this.bindRefusedIn(this.delays?.minDelay ?? 0);
  }

  private async restore(port: Port): Promise<void> {
    // The limit of the queue (the lowest number) before the reports that go into it.
    for (const [op, value] of [...this.settings].sort(([a], [b]) => a - b)) {
      try {
        await port.call(op, value, '');
      } catch (error) {
        if (isOver(error)) throw error;
        this.refuseSetting(op, value, error);
      }
    }
    // While this waits, its program may unbind some of them, or the Ksock be closed.
    const restored: KeptBinding[] = [];
    this.refused.clear();
    for (const binding of [...this.bindings]) {
      if (!this.bindings.includes(binding)) continue;
      try {
        await callWith(port, Op.BIND, binding);
        restored.push(binding);
      } catch (error) {
        if (isOver(error)) throw error;
        this.refuseBind(binding, error);
      }
    }
    for (const binding of restored) {
      if (this.bindings.includes(binding)) continue;
      await callWith(port, Op.UNBIND, binding);
    }
  }

  private refuseSetting(op: OpCode, value: number, error: unknown): void {
    const told =
      op === Op.MAX_MESSAGE_SIZE
        ? explain('maxMessageSize', error, `set the maximum message size to ${value} again`)
        : explain('reportReplierBinds', error, 'report Replier binds again');
    guarded(() => this.events.onSettingRefused(told as KbusError));
  }

  private refuseBind(binding: KeptBinding, error: unknown): void {
    this.refused.add(binding);
    const { name, replier } = binding;
    const what = `bind '${name}' as ${replier ? 'Replier' : 'Listener'} again`;
    const told = explain('bind', error, what) as KbusError;
    guarded(() => this.events.onBindRefused(told, name));
  }

  /** Tries the names again that were refused, for as long as there are some, and this connection lasts. */
  private bindRefusedIn(delay: number): void {
    const { port } = this;
    this.timer = setTimeout(() => {
      this.bindRefused(port).then(
        () => {
          if (this.port !== port || !this.isConnected || this.refused.size === 0) return;
          this.bindRefusedIn(this.nextDelay(delay));
        },
        () => {},
      );
    }, jittered(delay));
    this.keepFor(this.timer);
  }

  private async bindRefused(port: Port): Promise<void> {
    for (const binding of [...this.refused]) {
      if (!this.refused.has(binding)) continue;
      try {
        await callWith(port, Op.BIND, binding);
        if (this.refused.delete(binding)) continue;
        await callWith(port, Op.UNBIND, binding);
      } catch (error) {
        if (isOver(error)) throw error;
      }
    }
  }

  bound(name: string, replier: boolean): void {
    if (this.delays !== null) this.bindings.push({ name, replier });
  }

  /** The bus has undone a binding: it isn't made again. */
  unbound(name: string, replier: boolean): void {
    this.forget((binding) => binding.name === name && binding.replier === replier);
  }

  /**
   * Forgets a binding that the bus doesn't have: this Ksock is away, or the bus has refused it since it came back.
   * False when there is none, and the bus is to be asked.
   */
  unboundHere(name: string, replier: boolean): boolean {
    const isAway = this.delays !== null && !this.isConnected && !this.isClosed;
    return this.forget(
      (binding) =>
        binding.name === name &&
        binding.replier === replier &&
        (isAway || this.refused.has(binding)),
    );
  }

  /** Forgets the newest of such bindings; false when there is none. */
  private forget(isMeant: (binding: KeptBinding) => boolean): boolean {
    const at = this.bindings.findLastIndex(isMeant);
    if (at < 0) return false;
    for (const binding of this.bindings.splice(at, 1)) this.refused.delete(binding);
    return true;
  }

  /** Whether the program goes on for this Ksock alone. */
  keepProgram(isKept: boolean): void {
    this.isKept = isKept;
    this.port.keepProgram(isKept);
    this.opening?.keepProgram(isKept);
    this.keepFor(this.timer);
  }

  /** A timer keeps the program as the Ksock does; browsers' timers are numbers, and keep nothing. */
  private keepFor(timer: ReturnType<typeof setTimeout> | undefined): void {
    if (typeof timer !== 'object') return;
    if (this.isKept) timer.ref();
    else timer.unref();
  }

  setting(op: OpCode): number | undefined {
    return this.settings.get(op);
  }

  set(op: OpCode, value: number): void {
    this.settings.set(op, value);
  }

  /** It is as every Ksock or bus has it at first. */
  unset(op: OpCode): void {
    this.settings.delete(op);
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

  private lost(error: PortError | null): void {
    this.isConnected = false;
    clearTimeout(this.timer);
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
    this.timer = setTimeout(() => {
      this.connect(this.leaving.signal).then(
        () => {
          if (this.isClosed) return;
          guarded(() => this.events.onConnected());
          this.wake(true);
        },
        (error: unknown) => {
          if (this.isClosed) return;
          this.tell(error, 'open');
          this.retryIn(this.nextDelay(delay));
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

function callWith(port: Port, op: OpCode, { name, replier }: KeptBinding): Promise<unknown> {
  return port.call(op, replier ? 1 : 0, name);
}

/** What the program's own function throws is told, and ends nothing. */
function guarded(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    reportThrown('kbus: a callback of Ksock.open failed:', error);
  }
}

/** Half of the pause, or more. */
function jittered(delay: number): number {
  return delay * (1 - Math.random() / 2);
}

/** The connection is lost, or the Ksock is closed: more calls tell nothing. */
function isOver(error: unknown): boolean {
  return (
    !(error instanceof PortError) ||
    error.errno === Errno.ECONNRESET ||
    error.errno === Errno.EPROTO ||
    error.isClosed
  );
}
