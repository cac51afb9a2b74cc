import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { isAbsolute } from 'node:path';
import { WebError } from './web-error.ts';

/** Where the daemon serves the web: at a TCP port, or at the path of a Unix socket, for a proxy in front of it. */
export type WebAddress =
  | { readonly host: string; readonly port: number }
  | { readonly path: string };

const EXAMPLE = 'as in 127.0.0.1:8080, [::1]:8080 or /run/kbus/web.sock';

/** Reads `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080` or an absolute path. Throws a WebError. */
export function parseWebAddress(text: string): WebAddress {
  if (isAbsolute(text)) return { path: text };
  const [, v6, other, digits] = /^(?:\[(.*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 0xffff) {
    throw new WebError(
      `web: '${text}' is neither an address with a port nor an absolute path, ${EXAMPLE}`,
    );
  }
  const host = v6 ?? (other === 'localhost' ? '127.0.0.1' : (other as string));
  if (v6 === undefined ? !isIPv4(host) : !isIPv6(host)) {
    throw new WebError(`web: '${host}' is not an IP address; give one, ${EXAMPLE}`);
  }
  return { host, port };
}

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether only programs of this machine reach the address. */
export function isLocal(address: WebAddress): boolean {
  if ('path' in address) return true;
  return loopback.check(address.host, isIPv6(address.host) ? 'ipv6' : 'ipv4');
}

/** Throws a WebError for an address at which others could read the token on its way. */
export function checkExposure(address: WebAddress, hasTls: boolean, isInsecure: boolean): void {
  if (hasTls || isInsecure || isLocal(address)) return;
  const { host } = address as { host: string };
  throw new WebError(
    `web: ${host} is not an address of this machine alone, and without TLS others on the network can read the token and all messages. Serve at 127.0.0.1 or at a Unix socket with a proxy in front, set web-cert and web-key, or accept the risk with insecure`,
  );
}

/** The names by which the daemon lets itself be called, and the origins whose pages it admits. */
export interface Names {
  /** Values of the Host header. */
  readonly hosts: ReadonlySet<string>;
  /** Values of the Origin header. */
  readonly origins: ReadonlySet<string>;
  /** The origin of its own page, for people; undefined if a proxy has it and was not named. */
  readonly home: string | undefined;
}

/**
 * Exact lists, so that no other spelling of an address and no name that somebody else's DNS gives passes. `given` are the
 * origins of the setting web-origins.
 */
export function namesOf(address: WebAddress, hasTls: boolean, given: readonly string[]): Names {
  const scheme = hasTls ? 'https' : 'http';
  const own =
    'path' in address
      ? []
      : hostsAt(address.host).map((host) => new URL(`${scheme}://${host}:${address.port}`));
  const others = given.map(originOf);
  const hosts = new Set([...own, ...others].map(({ host }) => host));
  // A URL leaves out the usual port; a client need not.
  for (const { protocol, host, port } of [...own, ...others]) {
    if (port === '') hosts.add(`${host}:${protocol === 'https:' ? 443 : 80}`);
  }
  // What Node's clients send to a Unix socket. No browser gets there without a proxy.
  if ('path' in address) hosts.add('localhost');
  const origins = new Set([...own, ...others].map(({ origin }) => origin));
  const [home] = 'path' in address ? others : own;
  return { hosts, origins, home: home?.origin };
}

function hostsAt(host: string): string[] {
  const shown = isIPv6(host) ? `[${host}]` : host;
  if (host === '127.0.0.1' || host === '::1') return [shown, 'localhost'];
  if (host === '0.0.0.0') return ['127.0.0.1', 'localhost'];
  if (host === '::') return ['[::1]', '127.0.0.1', 'localhost'];
  return [shown];
}

/** An origin of the setting, as a URL. Throws a WebError for anything else. */
function originOf(text: string): URL {
  try {
    const url = new URL(text);
    const isWeb = url.protocol === 'http:' || url.protocol === 'https:';
    if (isWeb && url.origin === text) return url;
  } catch {
    // Not even a URL.
  }
  throw new WebError(
    `web-origins: '${text}' is no origin; give scheme, host and port as browsers write them, without a slash at the end, such as https://bus.example.org or http://localhost:5173`,
  );
}
