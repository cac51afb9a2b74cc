import { Errno } from '../message/errno.ts';
import { KbusError } from '../message/error.ts';
import type { WebSocketClass } from '../transport/web-socket.ts';
import { kindOf, notABus } from './not-a-bus.ts';
import { mustBe } from './options.ts';
import type { WebOptions } from './ports/connect-web.ts';

const MAX_BUS_NUMBER = 0xffff_ffff;

/** The daemon keeps so many characters of a name. */
const MAX_NAME_CHARACTERS = 64;

/** Where a daemon takes WebSockets. */
const WEB_PATH = '/ws';

/**
 * Where a page finds its bus.
 *
 * @see {@link WebKsockOptions} for an example
 */
export interface WebPlace {
  /**
   * Address of the daemon, such as `http://127.0.0.1:8080` or `wss://bus.example.org`. A path in it is that of a proxy, which
   * passes what is below it to the daemon. Default: the origin of the page.
   */
  url?: string | URL | undefined;
  /**
   * The token, which says what the page may do: `kbus web` prints it. A function is called at each attempt to connect, so
   * that it can give the token of a daemon that has started anew. Default: none, which no daemon accepts.
   */
  token?: string | (() => string | Promise<string>) | undefined;
  /** The class of WebSocket. Default: that of the platform, which browsers and Node from 22 on have. */
  WebSocket?: WebSocketClass | undefined;
}

/** What a page knows of itself. */
interface PageGlobals {
  readonly location?: { readonly origin: string };
  readonly document?: { readonly title: string };
  readonly WebSocket?: WebSocketClass;
}

/** Checks where a page finds a bus. Throws EINVAL for what is no bus or no address, and a TypeError for other wrong options. */
export function webOptions(
  bus: number,
  options: WebPlace & { name?: string | undefined; manage?: boolean | undefined },
): WebOptions {
  if (!Number.isInteger(bus) || bus < 0 || bus > MAX_BUS_NUMBER) {
    const why =
      typeof bus === 'number'
        ? `a bus number is a whole number from 0 to ${MAX_BUS_NUMBER}`
        : `give the number of a bus, not ${kindOf(bus)}; options.url says of which daemon`;
    throw notABus(bus, why);
  }
  const page = globalThis as PageGlobals;
  const { manage, token = '', name = page.document?.title ?? '' } = options;
  const { WebSocket = page.WebSocket } = options;
  if (WebSocket === undefined) {
    throw new TypeError(
      'this platform has no WebSocket; use Node from 22 on, or give that of the package ws: { WebSocket }',
    );
  }
  if (typeof token !== 'function') mustBe('string', 'token', token);
  return {
    url: webSocketUrl(bus, options.url ?? page.location?.origin),
    token: typeof token === 'function' ? token : () => token,
    program: name.slice(0, MAX_NAME_CHARACTERS),
    manage,
    WebSocket,
  };
}

/** `ws://127.0.0.1:8080/ws` for `http://127.0.0.1:8080`. */
function webSocketUrl(bus: number, given: string | URL | undefined): string {
  const invalid = (meaning: string): KbusError =>
    new KbusError('open', Errno.EINVAL, `open bus ${bus} at ${JSON.stringify(given)}`, { meaning });
  const example = 'give the address of a daemon, such as { url: "http://127.0.0.1:8080" }';
  if (given === undefined) throw invalid(`this program is not a page of a daemon; ${example}`);
  let url: URL;
  try {
    url = new URL(given);
  } catch {
    throw invalid(`that is no address; ${example}`);
  }
  const scheme = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[url.protocol];
  if (scheme === undefined) throw invalid(`its scheme must be http, https, ws or wss; ${example}`);
  if (url.search !== '' || url.username !== '' || url.password !== '') {
    throw invalid(
      'an address must have neither a query nor a password, because addresses are logged; give the token as options.token',
    );
  }
  return `${scheme}//${url.host}${url.pathname.replace(/\/$/, '')}${WEB_PATH}`;
}
