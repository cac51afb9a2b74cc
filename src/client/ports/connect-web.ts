import { Errno } from '../../message/errno.ts';
import type { Channel, ChannelEvents } from '../../transport/channel.ts';
import { openWebSocket, type WebSocketClass } from '../../transport/web-socket.ts';
import { wordsFrame } from '../../wire/frame.ts';
import { FrameKind, PROTOCOL_MAGIC } from '../../wire/protocol.ts';
import { ANSWER_TIMEOUT_MS, Attempt } from './attempt.ts';
import { FramePort } from './frame-port.ts';
import { type Connect, PortError } from './port.ts';

/** How to reach a bus of a daemon over WebSocket. */
export interface WebOptions {
  /** `ws:` or `wss:`. */
  readonly url: string;
  /** Asked for at each attempt. */
  token(): string | Promise<string>;
  /** The program, as it calls itself. */
  readonly program: string;
  readonly manage?: boolean | undefined;
  readonly WebSocket: WebSocketClass;
}

/** A transport to a bus over WebSocket. */
export function connectWeb(bus: number, options: WebOptions): Connect {
  const { program, manage } = options;
  return (mode, events, signal) =>
    overWebSocket(bus, options, signal, (connect, cancelled) =>
      FramePort.open(
        connect,
        { mode, pid: 0, program, manage, defer: soonOnce(), deferLonger: afterInput },
        events,
        cancelled,
      ),
    );
}

/** Opens what speaks over a channel; `cancelled` aborts after the timeout, or with the caller's signal. */
type OpenOver<T> = (
  connect: (events: ChannelEvents) => Channel,
  cancelled: AbortSignal,
) => Promise<T>;

/** Opens a WebSocket, and enters the bus. */
export async function overWebSocket<T>(
  bus: number,
  { token, url, WebSocket }: WebOptions,
  signal: AbortSignal | undefined,
  open: OpenOver<T>,
): Promise<T> {
  const attempt = new Attempt(signal, ANSWER_TIMEOUT_MS, (callback) => setTimeout(callback, 0));
  try {
    const text = await token();
    attempt.begin(url);
    const channel = await openWebSocket(WebSocket, url, attempt.signal).catch((error) => {
      throw attempt.signal.aborted ? new PortError(Errno.ECANCELED) : unreachable(url, error);
    });
    attempt.begin(url);
    return await open((events) => {
      channel.events = events;
      channel.write([wordsFrame(FrameKind.ENTER, 0, 0, 0, [PROTOCOL_MAGIC, bus], text)]);
      return channel;
    }, attempt.signal);
  } catch (error) {
    throw attempt.isLate ? attempt.lateError() : error;
  } finally {
    attempt.end();
  }
}

/** Browsers tell a page no reason. */
function unreachable(url: string, cause: unknown): PortError {
  const { origin } = globalThis as { origin?: unknown };
  const page = typeof origin === 'string' ? `pages of ${origin}` : 'this program';
  const refusal = new PortError(Errno.ENOENT, `no WebSocket at ${url}`, cause);
  refusal.meaning = `no daemon serves the web there, or it does not admit ${page}: its log says so, and how to (web-origins)`;
  return refusal;
}

/**
 * Flushes what is sent first at the end of the microtask, so that it leaves at once, and what is sent after that together: a
 * program that awaits each send would else send a WebSocket message for each.
 */
function soonOnce(): (flush: () => void) => void {
  let hasFlushed = false;
  return (flush) => {
    if (hasFlushed) {
      afterInput(flush);
      return;
    }
    hasFlushed = true;
    queueMicrotask(flush);
    afterInput(() => {
      hasFlushed = false;
    });
  };
}

let channel: InstanceType<typeof MessageChannel> | null = null;
let waiting: (() => void)[] = [];

/** Calls back after the events that are there already. Not a timer: those of a background tab come once a second. */
function afterInput(callback: () => void): void {
  if (waiting.push(callback) > 1) return;
  if (channel === null) {
    channel = new MessageChannel();
    const port = channel.port1 as unknown as { onmessage: () => void; unref?(): void };
    port.onmessage = () => {
      const called = waiting;
      waiting = [];
      for (const one of called) one();
    };
    // In Node, it must not keep the program running.
    port.unref?.();
  }
  channel.port2.postMessage(null);
}
