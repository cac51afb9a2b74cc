import { checkOptions } from '../base/options.ts';
import type { BorrowedMessage } from '../message/borrowed.ts';
import type { Mode } from '../message/calls.ts';
import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { Message } from '../message/message.ts';
import type { ReconnectOptions } from './ports/reconnect-options.ts';

// What a program may tell the calls of a Ksock, and the checks of that.

/** What `Ksock.open` may be told. */
export interface OpenOptions<K> {
  /** `r` may read, bind and change settings; `rw`, the default, may write too. */
  mode?: Mode | undefined;
  /**
   * Folder of the daemon's sockets. By default the first of these where the bus is served: `$KBUS_DIR`,
   * `$XDG_RUNTIME_DIR/kbus`, /run/kbus.
   */
  directory?: string | undefined;
  /**
   * When the daemon goes away, come back when there is one again: with a new Ksock id, and bindings
   * and settings made again before `onConnected` is called: those of the Ksock, and those of the bus that it
   * has made (the maximum message size; reports of Replier binds and the debug log, if it turned them on). No message is sent again, and nothing is
   * answered any more that was asked on a connection that is lost: who asked has been told, and ids begin
   * anew. A Reply that `replyTo` makes for such a Request is refused (EADDRNOTAVAIL, as for a requester
   * that has gone), a handler's is dropped, and a stateful Request to a Replier of that time is refused
   * (EPIPE). `open` waits for the first daemon too, until its signal ends that. Default: false.
   */
  reconnect?: boolean | ReconnectOptions | undefined;
  /** The Ksock is connected again; it has its bindings, and a new id. */
  onConnected?: ((ksock: K) => void) | undefined;
  /** The connection was lost, or one more attempt to come back failed. */
  onDisconnected?: ((error: KbusError) => void) | undefined;
  /**
   * Back after a loss, the bus refuses a name that was bound before: somebody else replies for it now. The rest is
   * bound; this name is tried again until it can be bound. Default: `console.error`.
   */
  onBindRefused?: ((error: KbusError, name: string) => void) | undefined;
  /**
   * A handler threw, or its promise rejected; whoever asked has been told. `message` is what it was called with,
   * or null when the bus has gone away and no handler hears anything more. Default: `console.error`.
   */
  onHandlerError?:
    | ((error: unknown, message: Message | BorrowedMessage | null) => void)
    | undefined;
  /**
   * Messages were missed: they came while the queue of this Ksock was full (see `setMaxMessages`). `count`
   * is how many since it was called last, `name` that of the first. Default: a warning of the process, once.
   */
  onMissed?: ((missed: Missed) => void) | undefined;
  /** Gives up opening: `open` rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/** Told to `onMissed`. */
export interface Missed {
  readonly count: number;
  readonly name: string;
}

/** What ends a wait early. */
export interface WaitOptions {
  /** In milliseconds; waits without end if it is not given. */
  timeout?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface CloseOptions {
  /** Lets handlers finish and answer what they have begun. */
  finish?: boolean | undefined;
  /** For so many milliseconds at most; without end if it is not given. */
  timeout?: number | undefined;
}

export interface SendOptions {
  /**
   * ALL_OR_WAIT, carried through: when the queue of a recipient is full, the promise resolves when the
   * message was delivered to all. Sends behind it wait their turn.
   */
  wait?: boolean | undefined;
  /** Gives up a send that waits: the promise rejects with the signal's reason, and nothing was sent. */
  signal?: AbortSignal | undefined;
}

export interface RequestOptions extends WaitOptions {
  /** Ksock id of the only Replier that may answer: the Request is stateful. */
  to?: number | undefined;
  /** See {@link Flag}. */
  flags?: number | undefined;
  /**
   * Waits for room: for a place in this Ksock's queue, in which the Reply can come, and for one in the Replier's. True
   * by default; with false, the Request is refused then: ENOLCK, EBUSY.
   */
  wait?: boolean | undefined;
}

/** The options that there are, for those that are misspelt. */
const KNOWN_OPTIONS = {
  open: new Set([
    'mode',
    'directory',
    'reconnect',
    'onConnected',
    'onDisconnected',
    'onBindRefused',
    'onHandlerError',
    'onMissed',
    'signal',
  ]),
  reconnect: new Set(['minDelay', 'maxDelay']),
  wait: new Set(['timeout', 'signal']),
  send: new Set(['wait', 'signal']),
  request: new Set(['timeout', 'signal', 'to', 'flags', 'wait']),
  listener: new Set(['borrowed', 'concurrency']),
  replier: new Set(['concurrency']),
  close: new Set(['finish', 'timeout']),
} as const;

/** A TypeError for options that `call` doesn't have. */
export function checkNames(
  call: string,
  options: unknown,
  known: keyof typeof KNOWN_OPTIONS,
): void {
  checkOptions(call, options, KNOWN_OPTIONS[known]);
}

/** A TypeError for what can't be an option of `Ksock.open`, EINVAL for a mode that there isn't. */
export function checkOpenOptions<K>(options: OpenOptions<K>): void {
  checkNames('Ksock.open', options, 'open');
  const { mode = 'rw', directory, reconnect } = options;
  if (mode !== 'r' && mode !== 'rw') {
    const meaning = "the mode is 'r', to read only, or 'rw', to write too";
    const what = `open a Ksock with mode ${JSON.stringify(mode)}`;
    throw new KbusError('open', Errno.EINVAL, what, { meaning });
  }
  const { onBindRefused, onConnected, onDisconnected, onHandlerError, onMissed } = options;
  if (directory !== undefined) mustBe('string', 'directory', directory);
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

/** A TypeError for what is not of this type. */
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

/** A TypeError for what can't end a wait, and the signal's reason if it has ended already. */
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
