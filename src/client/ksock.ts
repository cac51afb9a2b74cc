import process from 'node:process';
import { copies, isOfOtherCopy } from '../base/other-copy.ts';
import { systemTimers } from '../base/timers.ts';
import { Bus } from '../bus/bus.ts';
import { KsockCore } from './ksock-core.ts';
import { kindOf, notABus } from './not-a-bus.ts';
import { type Environment, type MakeKsock, openKsock } from './opening.ts';
import { checkOpenOptions, type OpenOptions } from './options.ts';
import { LocalPort } from './ports/local-port.ts';
import type { Connect } from './ports/port.ts';

export type {
  CloseOptions,
  Missed,
  RequestOptions,
  SendOptions,
  WaitOptions,
} from './options.ts';
export type { Connect };

export type KsockOptions = OpenOptions<Ksock>;

const MAX_BUS_NUMBER = 0xffff_ffff;

const NODE: Environment = {
  timers: systemTimers,
  warn: (text) => process.emitWarning(text, 'KbusWarning'),
};

/**
 * A connection to a bus: it sends messages, listens for names, and replies to Requests. All calls are
 * promises; they are carried out in the order in which they were made, whether awaited or not. A call
 * that is refused rejects with a {@link KbusError}, whose `code` is given with each call.
 */
export class Ksock extends KsockCore {
  private constructor(...made: Parameters<MakeKsock<Ksock>>) {
    super(...made);
  }

  /**
   * Opens a Ksock on a bus: by its number, on this machine's daemon; or a {@link Bus} in this process. ENOENT: no
   * such bus (or no daemon). EACCES: not allowed. EPROTO: another version, or not KBUS. ENAMETOOLONG: the path of
   * the socket is too long. ETIMEDOUT: what is there did not answer in 5 seconds.
   */
  static open(where?: number | Bus, options?: KsockOptions): Promise<Ksock>;
  /** @internal By a transport. */
  static open(where: Connect, options?: KsockOptions): Promise<Ksock>;
  static async open(where: number | Bus | Connect = 0, options: KsockOptions = {}): Promise<Ksock> {
    checkOpenOptions(options);
    const target = typeof where === 'number' ? `bus ${where}` : 'a Ksock';
    const chosen = (): Promise<Connect> => wayTo(where, options);
    const make: MakeKsock<Ksock> = (...made) => new Ksock(...made);
    return openKsock(chosen, target, options, make, NODE);
  }
}

/** The way to a bus: within this process, by a transport, or to this machine's daemon. */
async function wayTo(where: number | Bus | Connect, options: KsockOptions): Promise<Connect> {
  if (where instanceof Bus) {
    return async (mode, events) => new LocalPort(where, mode, process.pid, events);
  }
  if (isOfOtherCopy(Bus, where)) {
    throw new TypeError(
      `the Bus and the Ksock are of two copies of kbus, which can't share a bus in one process: ${copies(where as object)}; let the program have one copy`,
    );
  }
  if (typeof where === 'function') return where;
  if (
    typeof where !== 'number' ||
    !Number.isInteger(where) ||
    where < 0 ||
    where > MAX_BUS_NUMBER
  ) {
    throw notABus(where, whyNotABus(where));
  }
  const { connectUnix } = await import('./ports/connect-unix.ts');
  return connectUnix(where, options.directory);
}

function whyNotABus(where: unknown): string {
  if (typeof where === 'number') {
    return `the number of a bus is a whole number from 0 to ${MAX_BUS_NUMBER}`;
  }
  return `a bus is given by its number, as a Bus of this process, or by a transport, not by ${kindOf(where)}`;
}
