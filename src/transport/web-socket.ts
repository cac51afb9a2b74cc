import { MAX_TIMER_MS, systemTimers, type Timer } from '../base/timers.ts';
import { type Channel, type ChannelEvents, NO_LISTENER } from './channel.ts';

// The client's end of a WebSocket, in a browser or wherever the platform has one. A connection is a stream of bytes:
// binary messages carry it, cut anywhere. Text messages are heartbeats: see docs/protocol.md.

/** The subprotocol of KBUS: a page that means something else does not connect. */
export const WEB_PROTOCOL = 'kbus';

/** The longest message that the daemon accepts, in bytes. */
export const MAX_WEB_MESSAGE_BYTES = 64 * 1024;

/** With less than this unsent, the channel has no backlog: the platform has copied what it was given. */
const SMALL_BACKLOG_BYTES = 64 * 1024;

/** The interval at which a larger backlog is looked at: the platform does not tell when it goes down. */
const BACKLOG_INTERVAL_MS = 5;

/** The channel looks so many times in the time that a heartbeat gives whether a message has come. */
const LOOKS = 4;
/**
 * After so many looks in vain the daemon is lost. That takes longer than the daemon takes to find that its client is lost: so
 * a Ksock that reconnects does not meet itself.
 */
const MAX_SILENT_LOOKS = 6;

/**
 * What the channel uses of the platform's WebSocket.
 *
 * @see {@link WebSocketClass} for an example
 */
export interface PlatformSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  /** Text, or bytes. */
  send(data: never): void;
  /** Ends the connection, with a code of WebSocket. */
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
}

/**
 * The class `WebSocket` of a browser, of Node 22, or of the package `ws`.
 *
 * @example
 * ```ts
 * import { Ksock, type PlatformSocket, type WebSocketClass } from 'kbus/browser';
 * import { WebSocket } from 'ws';
 *
 * // In Node, which has no WebSocket before version 22.
 * export async function openFar(url: string, token: string): Promise<Ksock> {
 *   const platform: WebSocketClass = WebSocket;
 *   return Ksock.open(0, { url, token, WebSocket: platform });
 * }
 * // To see how much waits.
 * export const waiting = (socket: PlatformSocket): number => socket.bufferedAmount;
 * ```
 */
export type WebSocketClass = new (url: string, protocols: string) => PlatformSocket;

/**
 * Opens a WebSocket; resolves once it is open. Rejects with an Error that has no reason, because browsers tell none, or
 * when the signal aborts.
 */
export function openWebSocket(
  WebSocket: WebSocketClass,
  url: string,
  signal: AbortSignal,
): Promise<WebSocketChannel> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, WEB_PROTOCOL);
    socket.binaryType = 'arraybuffer';
    const failed = (): void => {
      signal.removeEventListener('abort', aborted);
      reject(new Error(`could not open ${url}`));
    };
    const aborted = (): void => {
      socket.close();
      failed();
    };
    socket.onopen = () => {
      signal.removeEventListener('abort', aborted);
      resolve(new WebSocketChannel(socket));
    };
    socket.onclose = failed;
    // `close` follows; without a listener, some implementations throw.
    socket.onerror = () => {};
    signal.addEventListener('abort', aborted, { once: true });
  });
}

/** What a client says to the daemon in a text: it is alive, or wants no bytes for now, or wants them again. */
export const WebText = { ALIVE: '', PAUSE: 'pause', RESUME: 'resume' } as const;

/** The client's end of a WebSocket. */
export class WebSocketChannel implements Channel {
  events: ChannelEvents = NO_LISTENER;
  private readonly socket: PlatformSocket;
  private isClosed = false;
  private backlogTimer: Timer | undefined;
  private lifeTimer: Timer | undefined;
  /** Looks since the last message. */
  private silentLooks = 0;

  constructor(socket: PlatformSocket) {
    this.socket = socket;
    socket.onmessage = ({ data }: { readonly data: unknown }) => this.message(data);
    socket.onclose = ({ code, reason }: { readonly code: number; readonly reason: string }) => {
      const why = reason === '' ? '' : `: ${reason}`;
      this.close(code === 1000 ? null : new Error(`the WebSocket closed with code ${code}${why}`));
    };
  }

  write(pieces: readonly Uint8Array[]): void {
    if (this.isClosed) return;
    for (const message of messagesOf(pieces)) this.send(message);
    if (this.backlog > 0) this.awaitDrain();
  }

  /** The declarations of platforms differ in the kinds of bytes that they name. */
  private send(data: string | Uint8Array): void {
    this.socket.send(data as never);
  }

  get backlog(): number {
    const { bufferedAmount } = this.socket;
    return this.isClosed || bufferedAmount < SMALL_BACKLOG_BYTES ? 0 : bufferedAmount;
  }

  private awaitDrain(): void {
    if (this.backlogTimer !== undefined) return;
    this.backlogTimer = systemTimers.setTimeout(() => this.checkDrain(), BACKLOG_INTERVAL_MS);
  }

  private checkDrain(): void {
    systemTimers.clearTimeout(this.backlogTimer);
    this.backlogTimer = undefined;
    if (this.isClosed) return;
    if (this.backlog > 0) this.awaitDrain();
    this.events.drained();
  }

  /** Browsers can't stop to read: the daemon stops to send. */
  pause(): void {
    if (!this.isClosed) this.send(WebText.PAUSE);
  }

  resume(): void {
    if (!this.isClosed) this.send(WebText.RESUME);
  }

  end(): void {
    if (!this.isClosed) this.socket.close(1000);
  }

  private message(data: unknown): void {
    if (this.isClosed) return;
    this.silentLooks = 0;
    if (typeof data === 'string') {
      this.heartbeat(data);
      return;
    }
    // In a background tab, timers come once a second.
    if (this.backlogTimer !== undefined) this.checkDrain();
    const bytes = new Uint8Array(data as ArrayBuffer);
    this.events.received(bytes, 0, bytes.length);
  }

  /** The daemon gives the time in milliseconds within which it sends the next, and wants an empty text in return. */
  private heartbeat(text: string): void {
    const milliseconds = Number(text);
    if (!(milliseconds > 0 && milliseconds <= MAX_TIMER_MS)) return;
    this.send(WebText.ALIVE);
    if (this.lifeTimer === undefined) this.look(milliseconds);
  }

  /** Counts looks and not time: a page that was asleep has messages to read first. */
  private look(milliseconds: number): void {
    this.lifeTimer = systemTimers.setTimeout(() => {
      if (++this.silentLooks < MAX_SILENT_LOOKS) {
        this.look(milliseconds);
        return;
      }
      const seconds = ((milliseconds / LOOKS) * MAX_SILENT_LOOKS) / 1000;
      this.socket.close();
      this.close(new Error(`the daemon gave no sign of life for ${seconds} s`));
    }, milliseconds / LOOKS);
    if (typeof this.lifeTimer === 'object') this.lifeTimer.unref();
  }

  private close(error: Error | null): void {
    if (this.isClosed) return;
    this.isClosed = true;
    systemTimers.clearTimeout(this.backlogTimer);
    systemTimers.clearTimeout(this.lifeTimer);
    this.events.closed(error);
  }
}

/** The bytes of the pieces, in as few messages as the daemon accepts. */
function* messagesOf(pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  let [first] = pieces;
  if (pieces.length > 1) {
    first = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const piece of pieces) {
      first.set(piece, at);
      at += piece.length;
    }
  }
  if (first === undefined) return;
  if (first.length <= MAX_WEB_MESSAGE_BYTES) {
    yield first;
    return;
  }
  for (let at = 0; at < first.length; at += MAX_WEB_MESSAGE_BYTES) {
    yield first.subarray(at, at + MAX_WEB_MESSAGE_BYTES);
  }
}
