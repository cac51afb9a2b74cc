import { basename } from 'node:path';
import process from 'node:process';
import { offAbort, onAbort } from '../../base/abort.ts';
import { Errno } from '../../message/errno.ts';
import { SocketChannel } from '../../transport/socket-channel.ts';
import { type OpenedSocket, openSocket, receiveMemory } from '../../transport/unix-socket.ts';
import { findBus } from './find-bus.ts';
import { FramePort } from './frame-port.ts';
import { type Connect, PortError } from './port.ts';

/** What listens at a socket must say within this time that it is KBUS. */
const ANSWER_TIMEOUT_MS = 5000;

/** Where too many connect at once, the next attempt comes after this time. */
const RETRY_DELAY_MS = 10;

/**
 * The way to a bus of this machine's daemon, which it looks for in the folder, or where daemons serve unless told
 * otherwise. Once it was found, it is always at that place. Whoever takes the connection must say within `timeout`
 * milliseconds that it is KBUS.
 */
export function connectUnix(bus: number, directory?: string, timeout = ANSWER_TIMEOUT_MS): Connect {
  let place = directory;
  return async (mode, events, signal) => {
    const attempt = new Attempt(signal, timeout);
    try {
      const { directory: found, connected } = await findBus(bus, place, (path) =>
        openSocketInTurn(path, attempt),
      );
      const { socket, memory } = connected;
      const port = await FramePort.open(
        (toldTo) => {
          memory.events = toldTo;
          return new SocketChannel(socket);
        },
        {
          mode,
          pid: process.pid,
          program: basename(process.argv[1] ?? process.argv0),
          defer: process.nextTick,
          deferLonger: setImmediate,
          memory: (length) => Buffer.allocUnsafeSlow(length),
          readMemory: receiveMemory,
        },
        events,
        attempt.signal,
      );
      place = found;
      return port;
    } catch (error) {
      throw attempt.isLate ? attempt.lateError() : error;
    } finally {
      attempt.end();
    }
  };
}

/** One attempt to connect: its signal ends it when its time is over, or the caller's signal says so. */
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

  /** The time begins, with each socket that is tried and once it is connected. */
  begin(path: string): void {
    clearTimeout(this.timer);
    this.path = path;
    // What came while this process was busy or stopped is read before it is late.
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
      'the program that listens there says nothing; it is stopped, or it is not KBUS';
    return refusal;
  }

  end(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    offAbort(this.given, this.giveUp);
  }
}

/**
 * Connects as soon as the daemon can come to it: so many may do so at once that some must try again. Rejects with the
 * error of the system, or a PortError when the attempt is given up.
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
