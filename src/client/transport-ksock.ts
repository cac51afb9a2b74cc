import { systemTimers } from '../base/timers.ts';
import { KsockCore } from './ksock-core.ts';
import { type Environment, openKsock } from './opening.ts';
import { type AnyOpenOptions, checkOpenOptions } from './options.ts';
import { connectWeb } from './ports/connect-web.ts';
import type { Connect } from './ports/port.ts';
import { type WebPlace, webOptions } from './web-place.ts';

const ANYWHERE: Environment = { timers: systemTimers, warn: (text) => console.warn(text) };

/**
 * The options of `Ksock.open` in a browser.
 *
 * @example
 * ```ts
 * import { Ksock, type KsockOptions, type WebPlace } from 'kbus/browser';
 *
 * // A function is asked again at each attempt: a daemon that has started anew has new tokens.
 * const token = async () => (await fetch('/token')).text();
 * const place: WebPlace = { url: 'https://bus.example.org', token };
 * const options: KsockOptions = { ...place, name: 'panel', reconnect: true };
 * const panel = await Ksock.open(0, options);
 * await panel.listener('$.Heater.Target', (message) => {
 *   document.title = `${message.text()} °C`;
 * });
 * ```
 */
export interface WebKsockOptions extends AnyOpenOptions<TransportKsock>, WebPlace {}

/**
 * A Ksock that connects to its bus over WebSocket, or another transport. It runs in browsers.
 *
 * @example
 * ```ts
 * import { Announcement, Ksock } from 'kbus/browser';
 *
 * const token = location.hash.replace('#token=', '');
 * const panel = await Ksock.open(0, { token });
 * const reply = await panel.request('$.Heater.Get', null, { timeout: 2000 });
 * document.title = reply.text();
 * await panel.sendMsg(new Announcement('$.Panel.Seen'));
 * await panel.close();
 * ```
 */
export class TransportKsock extends KsockCore {
  /**
   * Opens a Ksock on a bus of a daemon that serves the web. `where` is the number of the bus, from 0 (default 0). Errors:
   *
   * - ENOENT: no daemon serves the web at `url`, or it does not admit pages of this origin, or the bus does not exist
   * - EACCES: the token is wrong, or not for this bus
   * - EINVAL: `where` is not a bus, `url` is no address, or the mode is neither `r` nor `rw`
   * - EPROTO: the daemon speaks another version of the protocol, or is not kbus
   * - ETIMEDOUT: the daemon did not answer within 5 seconds
   * - ENOMEM: the daemon has reached `max-connections`
   */
  static open(where?: number, options?: WebKsockOptions): Promise<TransportKsock>;
  /** @internal Opens a Ksock over another transport. */
  static open(where: Connect, options?: WebKsockOptions): Promise<TransportKsock>;
  static async open(
    where: number | Connect = 0,
    options: WebKsockOptions = {},
  ): Promise<TransportKsock> {
    return TransportKsock.openIn(ANYWHERE, where, options);
  }

  /** @internal As `open`, with the timers and warnings of an environment. */
  static async openIn(
    environment: Environment,
    where: number | Connect,
    options: WebKsockOptions = {},
  ): Promise<TransportKsock> {
    checkOpenOptions(options, 'openWeb');
    return openKsock(
      async () => connectionTo(where, options),
      typeof where === 'number' ? `bus ${where}` : 'a bus over a transport',
      options,
      (...made) => new TransportKsock(...made),
      environment,
    );
  }
}

function connectionTo(where: number | Connect, options: WebKsockOptions): Connect {
  if (typeof where === 'function') return where;
  return connectWeb(where, webOptions(where, options));
}
