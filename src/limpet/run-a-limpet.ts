import type { Server, Socket } from 'node:net';
import type { Bus } from '../bus/bus.ts';
import { GiveUp } from './errors.ts';
import { Limpet } from './limpet.ts';
import { addressText, type LinkAddress, linkAddress, removeSocketFile } from './link/address.ts';
import { connectLink, listenForLinks } from './link/socket-wire.ts';

/**
 * Of which family an address is.
 *
 * @see {@link parseAddress} for an example
 */
export type AddressFamily = 'AF_UNIX' | 'AF_INET';

/**
 * What sort of address a word is: a path, or `host:port`. Throws a TypeError.
 *
 * @example
 * ```ts
 * import { type AddressFamily, type LinkAddress, parseAddress } from 'kbus/limpet';
 *
 * const [address, family]: [LinkAddress, AddressFamily] = parseAddress('localhost:7007');
 * console.log(JSON.stringify(address), family); // → {"host":"localhost","port":7007} AF_INET
 * console.log(parseAddress('/run/limpet')[1]); // → AF_UNIX
 * ```
 */
export function parseAddress(word: string): [address: LinkAddress, family: AddressFamily] {
  const address = linkAddress(word);
  return [address, 'path' in address ? 'AF_UNIX' : 'AF_INET'];
}

/**
 * Listens until somebody connects: the server, and the connection. Rejects with a GiveUp.
 *
 * @example
 * ```ts
 * import type { Socket } from 'node:net';
 * import { connectAsClient, connectAsServer, GiveUp } from 'kbus/limpet';
 * import { parseAddress, removeSocketFile } from 'kbus/limpet';
 *
 * const path = './classic.sock';
 * const [address] = parseAddress(path);
 * async function whenItListens(): Promise<Socket> {
 *   for (;;)
 *     try {
 *       return await connectAsClient(address);
 *     } catch (error) {
 *       if (!(error instanceof GiveUp)) throw error;
 *     }
 * }
 * removeSocketFile(path); // A dead Limpet may have left it.
 * const client = whenItListens().then((end) => end.end('HELO'));
 * const [server, socket] = await connectAsServer(address);
 * for await (const bytes of socket) console.log(String(bytes)); // → HELO
 * await client;
 * server.close();
 * ```
 */
export async function connectAsServer(address: LinkAddress): Promise<[Server, Socket]> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(cantUse('listen at', address, error));
    let first: (socket: Socket) => void = () => {};
    const connected = new Promise<Socket>((accept) => {
      first = accept;
    });
    listenForLinks(
      address,
      { insecure: true },
      (socket) => first(socket),
      () => {},
    ).then(async (server) => resolve([server, await connected]), failed);
  });
}

/**
 * Connects to a Limpet that is the server. Rejects with a GiveUp.
 *
 * @see {@link connectAsServer} for an example
 */
export async function connectAsClient(address: LinkAddress): Promise<Socket> {
  try {
    return await connectLink(address, { insecure: true }, new AbortController().signal);
  } catch (error) {
    throw cantUse('connect to', address, error as Error);
  }
}

function cantUse(what: string, address: LinkAddress, cause: Error): GiveUp {
  return new GiveUp(`can't ${what} ${addressText(address)}: ${cause.message}`, { cause });
}

/**
 * Options of `runALimpet`.
 *
 * @see {@link runALimpet} for an example
 */
export interface RunOptions {
  /** The names that are passed on. Default: `$.*`. */
  readonly messageName?: string | undefined;
  readonly terminationMessage?: string | undefined;
  readonly directory?: string | undefined;
  /** With 0, nothing is printed on stderr. Default: 1. */
  readonly verbosity?: number | undefined;
}

/**
 * Runs a classic Limpet until it reads its termination message; for a link of KBUS's own, use {@link Limpet}. Errors: those
 * of {@link Limpet.start}.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock } from 'kbus';
 * import { parseAddress, runALimpet, type RunOptions } from 'kbus/limpet';
 *
 * const [address] = parseAddress('./run.sock');
 * const options: RunOptions = { terminationMessage: '$.Stop', verbosity: 0 };
 * const [here, there] = [new Bus(), new Bus()];
 * const both = [
 *   runALimpet(true, address, here, 1, options),
 *   runALimpet(false, address, there, 2, options),
 * ];
 * for (const bus of [here, there]) {
 *   const ksock = await Ksock.open(bus);
 *   await ksock.sendMsg(new Announcement('$.Stop'));
 *   await ksock.close();
 * }
 * await Promise.all(both);
 * console.log('both have stopped'); // → both have stopped
 * ```
 */
export async function runALimpet(
  isServer: boolean,
  address: LinkAddress,
  bus: number | Bus,
  networkId: number,
  options: RunOptions = {},
): Promise<void> {
  const { messageName, terminationMessage: termination, directory, verbosity = 1 } = options;
  const where = addressText(address);
  const link = { classic: true, insecure: true };
  const limpet = new Limpet({
    id: networkId,
    bus,
    directory,
    names: messageName === undefined ? [] : [messageName],
    termination,
    links: [isServer ? { ...link, server: where } : { ...link, client: where }],
    onEvent: ({ text }) => {
      if (verbosity > 0) console.error(`kbus: ${text}`);
    },
  });
  await limpet.start();
  await limpet.ended;
}

export { removeSocketFile };
