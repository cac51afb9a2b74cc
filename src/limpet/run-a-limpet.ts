import type { Server, Socket } from 'node:net';
import type { Bus } from '../bus/bus.ts';
import { GiveUp } from './errors.ts';
import { Limpet } from './limpet.ts';
import { addressText, type LinkAddress, linkAddress, removeSocketFile } from './link/address.ts';
import { connectLink, listenForLinks } from './link/socket-wire.ts';

/** Of which family an address is. */
export type AddressFamily = 'AF_UNIX' | 'AF_INET';

/** What sort of address a word is: a path, or `host:port`. Throws a TypeError. */
export function parseAddress(word: string): [address: LinkAddress, family: AddressFamily] {
  const address = linkAddress(word);
  return [address, 'path' in address ? 'AF_UNIX' : 'AF_INET'];
}

/** Listens until somebody connects: the server, and the connection. Rejects with a GiveUp. */
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

/** Connects to a Limpet that is the server. Rejects with a GiveUp. */
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

/** Options of `runALimpet`. */
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
