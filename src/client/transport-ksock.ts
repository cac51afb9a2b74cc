import { systemTimers } from '../base/timers.ts';
import { KsockCore } from './ksock-core.ts';
import { kindOf, notABus } from './not-a-bus.ts';
import { type Environment, openKsock } from './opening.ts';
import { checkOpenOptions, type OpenOptions } from './options.ts';
import type { Connect } from './ports/port.ts';

const ANYWHERE: Environment = { timers: systemTimers, warn: (text) => console.warn(text) };

/** A Ksock that a transport connects to its bus: all that a browser needs. */
export class TransportKsock extends KsockCore {
  /**
   * Opens a Ksock on a bus by a transport. ENOENT: no such bus (or no daemon). EACCES: not allowed. EPROTO: another
   * version, or not KBUS.
   */
  static async open(
    connect: Connect,
    options: OpenOptions<TransportKsock> = {},
  ): Promise<TransportKsock> {
    return TransportKsock.openIn(ANYWHERE, connect, options);
  }

  /** @internal The same, with the timers and warnings of an environment. */
  static async openIn(
    environment: Environment,
    connect: Connect,
    options: OpenOptions<TransportKsock> = {},
  ): Promise<TransportKsock> {
    checkOpenOptions(options);
    const chosen = async (): Promise<Connect> => {
      if (typeof connect === 'function') return connect;
      throw notABus(connect, `a bus is given by a transport, not by ${kindOf(connect)}`);
    };
    return openKsock(
      chosen,
      'a Ksock',
      options,
      (...made) => new TransportKsock(...made),
      environment,
    );
  }
}
