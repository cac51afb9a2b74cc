import { checkOptions } from '../base/options.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Mode } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import type { ReconnectOptions } from './ports/reconnect-options.ts';

// The options of the calls of a Ksock, and their checks.

/** The options of `Ksock.open` wherever the bus is; `K` is the class of Ksock that it opens. */
export interface AnyOpenOptions<K> {
  /** `r`: the Ksock may read, bind and change settings. `rw` (default): it may also send. */
  mode?: Mode | undefined;
  /**
   * Name of the program for people, at most 64 characters: errors of other programs and reports show it. Default: the file
   * name of the program; in a page, its title.
   */
  name?: string | undefined;
  /**
   * Opens the Ksock to look at the bus and to manage it only (`stats`, `readBindings`, `accessPoints`, `kick`, settings of
   * the bus): it may neither bind nor send. A daemon that has as many connections as it may keeps a few more for such
   * Ksocks, and ends them after 10 seconds. Default: false.
   */
  manage?: boolean | undefined;
  /**
   * Reconnects when the connection is lost, and lets `open` wait for a daemon until its signal aborts. Default: false.
   *
   * A reconnected Ksock has a new id. Before it calls `onConnected`, it restores its bindings, its settings, and the
   * settings of the bus that it made: the maximum message size, and `reportReplierBinds` and `verbose` if it turned
   * them on. It sends no message again. It does not reconnect after another Ksock has ended it (`kick`).
   *
   * Requests received on a lost connection can no longer be answered: their requesters have been told. The Ksock
   * refuses a Reply to one of them (EADDRNOTAVAIL), drops the Reply of a handler, and refuses a stateful Request to a
   * Replier of the lost connection (EPIPE).
   */
  reconnect?: boolean | ReconnectOptions | undefined;
  /** The Ksock has reconnected: it has a new id, and its bindings. */
  onConnected?: ((ksock: K) => void) | undefined;
  /** The connection was lost, or an attempt to reconnect failed. */
  onDisconnected?: ((error: KbusError) => void) | undefined;
  /**
   * After a reconnection, the bus refused to bind `name`, mostly because another program replies for it now. The other
   * names are bound, and the Ksock retries this one until it succeeds. Default: `console.error`.
   */
  onBindRefused?: ((error: KbusError, name: string) => void) | undefined;
  /**
   * A handler threw, or its promise rejected. The requester, if any, gets a {@link ReplierError}. `message` is the
   * handler's argument, or null when the connection was lost and no handler will be called again. Default:
   * `console.error` for a message; for null, the error is thrown as uncaught unless there is an `onDisconnected`.
   */
  onHandlerError?:
    | ((error: unknown, message: Message | BorrowedMessage | null) => void)
    | undefined;
  /**
   * This Ksock missed messages, because its queue was full (see `setMaxMessages`). Default: one warning of the process.
   */
  onMissed?: ((missed: Missed) => void) | undefined;
  /** Cancels the opening: `open` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Those of Node. */
export interface OpenOptions<K> extends AnyOpenOptions<K> {
  /**
   * Directory of the daemon's sockets. Default: the first of `$KBUS_DIR`, `$XDG_RUNTIME_DIR/kbus` and /run/kbus in
   * which a daemon serves the bus.
   */
  directory?: string | undefined;
  /**
   * Name of an access point of the bus, with rights of its own: `guest` for the socket `kbus0.guest.sock`. Default: the
   * socket without a name, `kbus0.sock`.
   */
  access?: string | undefined;
}

/**
 * The argument of `onMissed`.
 *
 * @see {@link KsockOptions} for an example
 */
export interface Missed {
  /** Messages missed since the last call of `onMissed`. */
  readonly count: number;
  /** The name of the first of them. */
  readonly name: string;
}

/**
 * What ends a wait early.
 *
 * @example
 * ```ts
 * import { Bus, Ksock, type WaitOptions } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * const options: WaitOptions = { timeout: 10 };
 * console.log(await ksock.waitForMsg(options)); // → null
 * await ksock.close();
 * ```
 */
export interface WaitOptions {
  /** The longest wait in milliseconds, from 0. Default: no limit. */
  timeout?: number | undefined;
  /** Cancels the call: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * How `Ksock.close` treats handlers that still run.
 *
 * @example
 * ```ts
 * import { Bus, type CloseOptions, Ksock } from 'kbus';
 *
 * const bus = new Bus();
 * const [panel, heater] = [await Ksock.open(bus), await Ksock.open(bus)];
 * await heater.replier('$.Heater.Set', async () => 'done');
 * const reply = panel.request('$.Heater.Set', '21');
 * const options: CloseOptions = { finish: true, timeout: 2000 };
 * await heater.readBindings(); // By now the handler is at work.
 * await heater.close(options);
 * console.log((await reply).text()); // → done
 * await panel.close();
 * ```
 */
export interface CloseOptions {
  /** Lets handlers finish the calls that are running, and send their Replies. Default: false. */
  finish?: boolean | undefined;
  /** With `finish`: the longest wait for handlers in milliseconds, from 0. Default: no limit. */
  timeout?: number | undefined;
}

/**
 * Options of `Ksock.sendMsg` and of the other calls that send.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock, type SendOptions } from 'kbus';
 *
 * const bus = new Bus({ maxMessages: 1 });
 * const [sensor, logger] = [await Ksock.open(bus), await Ksock.open(bus)];
 * await logger.bind('$.Temp');
 * await sensor.sendMsg(new Announcement('$.Temp', '20'));
 * const options: SendOptions = { wait: true };
 * const sent = sensor.sendMsg(new Announcement('$.Temp', '21'), options);
 * console.log((await logger.readNextMsg())?.text()); // → 20
 * await sent; // The queue has room now.
 * console.log((await logger.readNextMsg())?.text()); // → 21
 * await Promise.all([sensor.close(), logger.close()]);
 * ```
 */
export interface SendOptions {
  /**
   * Sends with ALL_OR_WAIT, and waits while a recipient's queue is full: the promise resolves when the bus has delivered
   * the message to all recipients. Later sends of this Ksock queue behind it. Default: false; for `sendAll`, true.
   */
  wait?: boolean | undefined;
  /** Cancels a waiting send: the promise rejects with the signal's reason, and the message is not sent. */
  signal?: AbortSignal | undefined;
}

/**
 * Options of `Ksock.request`.
 *
 * @example
 * ```ts
 * import { Bus, KbusError, Ksock, type RequestOptions } from 'kbus';
 *
 * const ksock = await Ksock.open(new Bus());
 * await ksock.bind('$.Heater.Set', true); // A Replier that never reads.
 * const options: RequestOptions = { timeout: 10 };
 * const error = await ksock.request('$.Heater.Set', '21', options).catch((reason: unknown) => reason);
 * if (error instanceof KbusError) console.log(error.code); // → ETIMEDOUT
 * await ksock.close();
 * ```
 */
export interface RequestOptions extends WaitOptions {
  /** Ksock id of the only Replier that may answer, from 1: makes the Request stateful. Default: any Replier. */
  to?: number | undefined;
  /** Bits of {@link Flag}. Default: none but WANT_A_REPLY. */
  flags?: number | undefined;
  /**
   * Waits for two queue slots: one in this Ksock's queue, for the Reply, and one in the Replier's. With false, the bus
   * refuses the Request if this Ksock's queue (ENOLCK) or the Replier's (EBUSY) is full. Default: true.
   */
  wait?: boolean | undefined;
}

/** The options of `Ksock.open` wherever the bus is. */
const OPEN_OPTIONS = [
  'mode',
  'name',
  'manage',
  'reconnect',
  'onConnected',
  'onDisconnected',
  'onBindRefused',
  'onHandlerError',
  'onMissed',
  'signal',
] as const;

/** The names of all options, to find misspelt ones. */
const KNOWN_OPTIONS = {
  open: new Set([...OPEN_OPTIONS, 'directory', 'access']),
  openWeb: new Set([...OPEN_OPTIONS, 'url', 'token', 'WebSocket']),
  reconnect: new Set(['minDelay', 'maxDelay']),
  wait: new Set(['timeout', 'signal']),
  send: new Set(['wait', 'signal']),
  request: new Set(['timeout', 'signal', 'to', 'flags', 'wait']),
  listener: new Set(['borrowed', 'concurrency']),
  replier: new Set(['concurrency']),
  close: new Set(['finish', 'timeout']),
} as const;

/** Throws a TypeError for options that `call` doesn't have. */
export function checkNames(
  call: string,
  options: unknown,
  known: keyof typeof KNOWN_OPTIONS,
): void {
  checkOptions(call, options, KNOWN_OPTIONS[known]);
}

/** Throws a TypeError for a wrong option of `Ksock.open`, and EINVAL for an unknown mode. */
export function checkOpenOptions<K>(
  options: OpenOptions<K>,
  known: 'open' | 'openWeb' = 'open',
): void {
  checkNames('Ksock.open', options, known);
  const { mode = 'rw', directory, access, name, manage, reconnect } = options;
  if (mode !== 'r' && mode !== 'rw') {
    const meaning = "the mode is 'r', to read only, or 'rw', to write too";
    const what = `open a Ksock with mode ${JSON.stringify(mode)}`;
    throw new KbusError('open', Errno.EINVAL, what, { meaning });
  }
  const { onBindRefused, onConnected, onDisconnected, onHandlerError, onMissed } = options;
  if (directory !== undefined) mustBe('string', 'directory', directory);
  if (access !== undefined) mustBe('string', 'access', access);
  if (name !== undefined) mustBe('string', 'name', name);
  if (manage !== undefined) mustBe('boolean', 'manage', manage);
  for (const [name, callback] of Object.entries({
    onBindRefused,
    onConnected,
    onDisconnected,
    onHandlerError,
    onMissed,
  })) {
    if (callback !== undefined) mustBe('function', name, callback);
  }
  if (typeof reconnect === 'object') checkNames('reconnect', reconnect, 'reconnect');
}

/** Throws a TypeError for a value of another type. */
export function mustBe(
  type: 'string' | 'boolean' | 'function',
  what: string,
  value: unknown,
): void {
  if (typeof value !== type) throw new TypeError(`${what} must be a ${type}, not ${typeof value}`);
}

export function checkConcurrency(concurrency: unknown): void {
  if (concurrency === undefined || (Number.isInteger(concurrency) && (concurrency as number) >= 1))
    return;
  throw new TypeError(`concurrency must be a whole number from 1, not ${String(concurrency)}`);
}

/** Throws a TypeError for a wrong timeout or signal, and the reason of a signal that has aborted already. */
export function checkWait(options: WaitOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options must be an object such as { timeout: 1000 }, not ${options}`);
  }
  const { timeout, signal } = options;
  if (timeout !== undefined && (typeof timeout !== 'number' || !(timeout >= 0))) {
    throw new TypeError(`timeout must be a number of milliseconds from 0, not ${String(timeout)}`);
  }
  if (signal === undefined) return;
  if (typeof signal?.throwIfAborted !== 'function') {
    throw new TypeError(`signal must be an AbortSignal, not ${String(signal)}`);
  }
  signal.throwIfAborted();
}
