import { systemTimers } from '../base/timers.ts';
import { KsockCore } from './ksock-core.ts';
import { kindOf, notABus } from './not-a-bus.ts';
import { type Environment, openKsock } from './opening.ts';
import { checkOpenOptions, type OpenOptions } from './options.ts';
import type { Connect } from './ports/port.ts';

const ANYWHERE: Environment = { timers: systemTimers, warn: (text) => console.warn(text) };

/** A Ksock that connects to its bus over a transport. It runs in browsers. */
export class TransportKsock extends KsockCore {
  /**
   * Opens a Ksock on a bus over a transport. Errors: ENOENT (the bus does not exist, or no daemon runs), EACCES (this
   * user may not connect), EPROTO (the daemon speaks another version of the protocol, or is not kbus).
   */
  static async open(
    connect: Connect,
    options: OpenOptions<TransportKsock> = {},
  ): Promise<TransportKsock> {
    return TransportKsock.openIn(ANYWHERE, connect, options);
  }

  /** @internal As `open`, with the timers and warnings of an environment. */
  static async openIn(
    environment: Environment,
    connect: Connect,
    options: OpenOptions<TransportKsock> = {},
  ): Promise<TransportKsock> {
    checkOpenOptions(options);
    const chosen = async (): Promise<Connect> => {
      if (typeof connect === 'function') return connect;
      throw notABus(connect, `give a transport, not ${kindOf(connect)}`);
    };
    return openKsock(
      chosen,
      'a bus over a transport',
      options,
      (...made) => new TransportKsock(...made),
      environment,
    );
  }
}
