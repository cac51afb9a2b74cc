import process from 'node:process';
import { offAbort, onAbort } from '../../base/abort.ts';
import { Errno } from '../../message/errno.ts';
import type { Channel, ChannelEvents } from '../../transport/channel.ts';
import { SocketChannel } from '../../transport/socket-channel.ts';
import { type OpenedSocket, openSocket, receiveMemory } from '../../transport/unix-socket.ts';
import { EventPort, type ObserveRequest } from './event-port.ts';
import { findBus } from './find-bus.ts';
import { FramePort } from './frame-port.ts';
import { type Connect, PortError } from './port.ts';

/** The longest time from connecting to WELCOME. */
const ANSWER_TIMEOUT_MS = 5000;

/** The pause before the next attempt when the daemon's backlog of connections is full. */
const RETRY_DELAY_MS = 10;

/** How to reach a bus of this machine's daemon. */
export interface UnixOptions {
  /** Default: the first of the usual directories in which a daemon serves the bus. */
  directory?: string | undefined;
  /** Name of an access point. Default: the one without a name. */
  access?: string | undefined;
  /** The program, as it calls itself. */
  program?: string | undefined;
  manage?: boolean | undefined;
  /** The daemon must send WELCOME within this time, in milliseconds. */
  timeout?: number | undefined;
}

/** A transport to a bus of this machine's daemon. It remembers the directory in which it has found the bus. */
export function connectUnix(bus: number, options: UnixOptions = {}): Connect {
  const { program = '', manage } = options;
  const reach = socketOf(bus, options);
  return (mode, events, signal) =>
    reach(signal, (connect, cancelled) =>
      FramePort.open(
        connect,
        {
          mode,
          pid: process.pid,
          program,
          manage,
          defer: process.nextTick,
          deferLonger: setImmediate,
          memory: (length) => Buffer.allocUnsafeSlow(length),
          readMemory: receiveMemory,
        },
        events,
        cancelled,
      ),
    );
}

/** Observes a bus of this machine's daemon. */
export function observeUnix(
  bus: number,
  request: ObserveRequest,
  options: UnixOptions,
  signal: AbortSignal | undefined,
): Promise<EventPort> {
  const { program = '' } = options;
  const port = { pid: process.pid, program, readMemory: receiveMemory };
  return socketOf(bus, options)(signal, (connect, cancelled) =>
    EventPort.open(connect, request, port, cancelled),
  );
}

/** Opens what speaks over a channel; `cancelled` aborts after the timeout, or with the caller's signal. */
type OpenOver<T> = (
  connect: (events: ChannelEvents) => Channel,
  cancelled: AbortSignal,
) => Promise<T>;

/** How to reach the socket of a bus. It remembers the directory in which it has found it. */
function socketOf(
  bus: number,
  { access, directory, timeout = ANSWER_TIMEOUT_MS }: UnixOptions,
): <T>(signal: AbortSignal | undefined, open: OpenOver<T>) => Promise<T> {
  let knownDirectory = directory;
  return async (signal, open) => {
    const attempt = new Attempt(signal, timeout);
    try {
      const { directory: found, connected } = await findBus(
        { bus, access },
        knownDirectory,
        (path) => openSocketInTurn(path, attempt),
      );
      const { socket, memory } = connected;
      const opened = await open((events) => {
        memory.events = events;
        return new SocketChannel(socket);
      }, attempt.signal);
      knownDirectory = found;
      return opened;
    } catch (error) {
      throw attempt.isLate ? attempt.lateError() : error;
    } finally {
      attempt.end();
    }
  };
}

/** One attempt to connect: its signal aborts after the timeout, or with the caller's signal. */
class Attempt {
  isLate = false;
  private path = '';
  private readonly controller = new AbortController();
  private readonly given: AbortSignal | undefined;
  private readonly timeout: number;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly giveUp = (): void => this.controller.abort();

  constructor(given: AbortSignal | undefined, timeout: number) {
    this.given = given;
    this.timeout = timeout;
    if (given?.aborted) this.giveUp();
    else onAbort(given, this.giveUp);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Starts the timeout: for each socket path, and again after connecting. */
  begin(path: string): void {
    clearTimeout(this.timer);
    this.path = path;
    // If this process was busy or stopped, it must read its input before it gives up.
    this.timer = setTimeout(() => setImmediate(() => this.late()), this.timeout);
  }

  private late(): void {
    if (this.timer === undefined || this.signal.aborted) return;
    this.isLate = true;
    this.giveUp();
  }

  lateError(): PortError {
    const { path, timeout } = this;
    const why = `${path} did not answer within ${timeout / 1000} s`;
    const refusal = new PortError(Errno.ETIMEDOUT, why);
    refusal.meaning =
      'the program that listens there sends nothing: it is stopped, or it is not kbus';
    return refusal;
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    offAbort(this.given, this.giveUp);
  }
}

/**
 * Connects, and retries while the daemon's backlog of connections is full (EAGAIN). Rejects with the system's error, or
 * with a PortError when the attempt is cancelled.
 */
async function openSocketInTurn(path: string, attempt: Attempt): Promise<OpenedSocket> {
  attempt.begin(path);
  for (;;) {
    let connected: OpenedSocket | null = null;
    try {
      connected = await openSocket(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_DELAY_MS));
    }
    if (attempt.signal.aborted) {
      connected?.socket.destroy();
      throw new PortError(Errno.ECANCELED);
    }
    if (connected === null) continue;
    attempt.begin(path);
    return connected;
  }
}
