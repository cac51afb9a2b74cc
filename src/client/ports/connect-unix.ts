import process from 'node:process';
import { Errno } from '../../message/errno.ts';
import type { Channel, ChannelEvents } from '../../transport/channel.ts';
import { SocketChannel } from '../../transport/socket-channel.ts';
import { type OpenedSocket, openSocket, receiveMemory } from '../../transport/unix-socket.ts';
import { ToldNames } from '../../wire/told-names.ts';
import { ANSWER_TIMEOUT_MS, Attempt } from './attempt.ts';
import { EventPort, type ObserveRequest } from './event-port.ts';
import { findBus } from './find-bus.ts';
import { FramePort } from './frame-port.ts';
import { type Connect, PortError } from './port.ts';

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
  /** All records have their names: others are to read them. */
  spells?: boolean | undefined;
  /** The daemon must send WELCOME within this time, in milliseconds. */
  timeout?: number | undefined;
}

/** A transport to a bus of this machine's daemon. It remembers the directory in which it has found the bus. */
export function connectUnix(bus: number, options: UnixOptions = {}): Connect {
  const { program = '', manage, spells = false } = options;
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
          told: spells ? undefined : new ToldNames(),
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
    const attempt = new Attempt(signal, timeout, setImmediate);
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
