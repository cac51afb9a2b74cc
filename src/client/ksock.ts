import process from 'node:process';
import { systemTimers } from '../base/timers.ts';
import { Bus } from '../bus/bus.ts';
import { KsockCore } from './ksock-core.ts';
import { type Environment, type MakeKsock, openKsock } from './opening.ts';
import { checkOpenOptions, type OpenOptions } from './options.ts';
import { LocalPort } from './ports/local-port.ts';
import type { Connect } from './ports/port.ts';
import { checkWhere, ownName } from './where.ts';

export type {
  CloseOptions,
  Missed,
  RequestOptions,
  SendOptions,
  WaitOptions,
} from './options.ts';
export type { Connect };

/**
 * Options of `Ksock.open`.
 *
 * @example
 * ```ts
 * import { Ksock, type KsockOptions, type Missed, type Mode, type ReconnectOptions } from 'kbus';
 *
 * const mode: Mode = 'r';
 * const reconnect: ReconnectOptions = { minDelay: 100, maxDelay: 5000 };
 * const options: KsockOptions = {
 *   name: 'logger',
 *   mode,
 *   reconnect,
 *   onDisconnected: (error) => console.error(error.message),
 *   onConnected: (ksock) => console.error(`back on bus ${ksock.number}`),
 *   onMissed: ({ count, name }: Missed) => console.error(`missed ${count} messages since ${name}`),
 * };
 * const logger = await Ksock.open(0, options);
 * console.log(logger.mode, logger.isConnected); // → r true
 * await logger.close();
 * ```
 */
export type KsockOptions = OpenOptions<Ksock>;

const NODE: Environment = {
  timers: systemTimers,
  warn: (text) => process.emitWarning(text, 'KbusWarning'),
};

/**
 * A connection to a bus: it sends messages, listens to names, and replies to Requests. Calls return promises. The bus
 * carries calls out in the order in which the program makes them, awaited or not. A refused call rejects with a
 * {@link KbusError}; each call lists the `code`s that it may have.
 *
 * @example
 * ```ts
 * import { Announcement, Ksock } from 'kbus';
 *
 * const heater = await Ksock.open(0, { name: 'heater', reconnect: true });
 * await heater.replier('$.Heater.Set', (request) => `set to ${request.text()} °C`);
 *
 * const panel = await Ksock.open(0, { name: 'panel' });
 * const reply = await panel.request('$.Heater.Set', '21', { timeout: 2000 });
 * console.log(reply.text()); // → set to 21 °C
 *
 * await panel.bind('$.Door.*');
 * await heater.sendMsg(new Announcement('$.Door.Front', 'open'));
 * for await (const message of panel) {
 *   console.log(message.name, message.text()); // → $.Door.Front open
 *   break;
 * }
 * await Promise.all([heater.close(), panel.close()]);
 * ```
 */
export class Ksock extends KsockCore {
  private constructor(...made: Parameters<MakeKsock<Ksock>>) {
    super(...made);
  }

  /**
   * Opens a Ksock on a bus. `where` is the number of a bus of this machine's daemon, from 0 (default 0), or a
   * {@link Bus} in this process. Errors:
   *
   * - ENOENT: the bus does not exist, or no daemon runs
   * - EACCES: the socket's file mode does not admit this user; the message names access points that do
   * - EINVAL: `where` is not a bus, the mode is neither `r` nor `rw`, or `access` can't be a name
   * - ENAMETOOLONG: the socket path is too long
   * - EPROTO: the daemon speaks another version of the protocol, or is not kbus
   * - ETIMEDOUT: the daemon did not answer within 5 seconds
   * - ENOMEM: the daemon has reached `max-connections`
   */
  static open(where?: number | Bus, options?: KsockOptions): Promise<Ksock>;
  /** @internal Opens a Ksock over a transport. */
  static open(where: Connect, options?: KsockOptions): Promise<Ksock>;
  static async open(where: number | Bus | Connect = 0, options: KsockOptions = {}): Promise<Ksock> {
    checkOpenOptions(options);
    const target =
      typeof where === 'number'
        ? `bus ${where}`
        : typeof where === 'function'
          ? 'a bus over a transport'
          : 'a bus in this process';
    const chosen = (): Promise<Connect> => connectionTo(where, options);
    const make: MakeKsock<Ksock> = (...made) => new Ksock(...made);
    return openKsock(chosen, target, options, make, NODE);
  }
}

/**
 * @internal How to connect to a bus: in this process, over a transport, or to this machine's daemon. `spells`: all records must have
 * their names.
 */
export async function connectionTo(
  where: number | Bus | Connect,
  options: KsockOptions,
  spells = false,
): Promise<Connect> {
  checkWhere(where, options.access);
  if (where instanceof Bus) {
    const { manage = false, name = '' } = options;
    return async (mode, events) => new LocalPort(where, { mode, manage, program: name }, events);
  }
  if (typeof where === 'function') return where;
  const { directory, access, manage } = options;
  const { connectUnix } = await import('./ports/connect-unix.ts');
  return connectUnix(where, { directory, access, manage, spells, program: ownName(options.name) });
}
