import { lstatSync, unlinkSync } from 'node:fs';

/**
 * Where a Limpet listens, or connects to: a path of this machine, or a host and a port.
 *
 * @see {@link parseAddress} for an example
 */
export type LinkAddress =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/** A path, or `host:port` (spec 3 §5.3). Throws a TypeError that says what is wrong. */
export function linkAddress(word: string): LinkAddress {
  if (word === '') throw new TypeError('an address is a path, or host:port, and not empty');
  const colon = word.lastIndexOf(':');
  if (colon < 0 || word.includes('/')) return { path: word };
  const host = word.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const digits = word.slice(colon + 1);
  const port = Number(digits);
  if (host === '' || !/^\d{1,5}$/.test(digits) || port < 1 || port > 65_535) {
    throw new TypeError(
      `'${word}' is no address: give host:port with a port from 1 to 65535, or a path with a '/' such as ./${word.replaceAll(':', '-')}`,
    );
  }
  return { host, port };
}

export function addressText(address: LinkAddress): string {
  if ('path' in address) return address.path;
  const { host, port } = address;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only programs of this machine can connect. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Removes the file of a Unix socket, if there is one; leaves every other file alone.
 *
 * @see {@link connectAsServer} for an example
 */
export function removeSocketFile(path: string): void {
  try {
    if (lstatSync(path).isSocket()) unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
