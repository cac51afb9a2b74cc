import type { Bus } from '../bus/bus.ts';
import { checkBindingName, faultOfName } from '../message/name.ts';
import type { ConnectEngine } from './federation/engine.ts';
import { faultOfFederation } from './federation/federation.ts';
import { linkAddress } from './link/address.ts';
import { type Security, SecurityError, tlsOptions } from './link/security.ts';

/**
 * One link of a Limpet: it has an address as one of `server`, `client`, `nats` and `engine`.
 *
 * @example
 * ```ts
 * import { Limpet, type LinkOptions } from 'kbus/limpet';
 *
 * // Everybody on this machine, and one Limpet of another, which gets no more than it needs.
 * const links: LinkOptions[] = [
 *   { server: '/run/kbus/limpet.sock' },
 *   { client: 'attic:7007', keyFile: '/etc/kbus/key', out: ['$.Temp.*'], in: ['$.Attic.*'] },
 * ];
 * export const join = (): Limpet => new Limpet({ id: 1, links });
 * ```
 */
export interface LinkOptions extends Security {
  /** Where to listen: a path, or `host:port`. Any number of Limpets may connect. */
  readonly server?: string | undefined;
  /** Where to connect to. */
  readonly client?: string | undefined;
  /**
   * The servers of an engine, NATS, through which any number of Limpets meet: `nats://host:4222`, with `user:password@`
   * before the host if need be, or `tls://`; several are of one cluster. See docs/machines.md.
   */
  readonly nats?: string | readonly string[] | undefined;
  /** With `nats` or `engine`: the name that all Limpets of the federation give. */
  readonly federation?: string | undefined;
  /** With `nats`: a file with credentials as `nsc` makes it, or with the seed of an nkey. */
  readonly credentials?: string | undefined;
  readonly nkey?: string | undefined;
  /**
   * With `nats` or `engine`: how Announcements travel. `core` (the default): as everything else. `stream`: through a stream
   * that the engine keeps (JetStream), so that all buses hear them in one order, also those that were away.
   */
  readonly mode?: 'core' | 'stream' | undefined;
  /**
   * With mode `stream`: the file in which the Limpet keeps how far its bus has the stream; all Limpets of one bus name the same.
   * Default: it is forgotten when the Limpet ends, and the next one begins with what comes then.
   */
  readonly state?: string | undefined;
  /**
   * With mode `stream`, if the stream must be made: the bytes that it holds at most, the seconds for which it holds a message,
   * what goes at the limit (the oldest messages, or it takes no new one), and how many servers of a cluster keep it.
   */
  readonly maxBytes?: number | undefined;
  readonly maxAge?: number | undefined;
  readonly discard?: 'old' | 'new' | undefined;
  readonly replicas?: number | undefined;
  /**
   * With `nats` or `engine`: what happens to a message whose name and data are longer than the server's max_payload. `pieces` (the
   * default): it goes in pieces. `refuse`: a Request, or its Reply, becomes the Status `$.KBUS.RemoteError.EMSGSIZE`, and other
   * buses are told that they miss an Announcement.
   */
  readonly large?: 'pieces' | 'refuse' | undefined;
  /** In place of `nats`: another engine, or a connection of the program's own. */
  readonly engine?: ConnectEngine | undefined;
  /** A classic link (spec 3 §5). A server that is none takes classic Limpets as well. */
  readonly classic?: boolean | undefined;
  /** What may leave over this link, and what may come: names or wildcards. Default: everything. */
  readonly out?: readonly string[] | undefined;
  readonly in?: readonly string[] | undefined;
}

/**
 * What a {@link Limpet} joins, and how.
 *
 * @see {@link Limpet} for an example
 */
export interface LimpetOptions {
  /** The network id, from 1 to 4,294,967,295; no other Limpet that can be reached has it. */
  readonly id: number;
  /** The number of a bus of this machine's daemon (default 0), or a bus in this process. */
  readonly bus?: number | Bus | undefined;
  /** The folder of the daemon's sockets. */
  readonly directory?: string | undefined;
  readonly links: readonly LinkOptions[];
  /** The names that the Limpet listens to on its bus. Default: `$.*`. */
  readonly names?: readonly string[] | undefined;
  /** The Limpet stops when it hears a message of this name. */
  readonly termination?: string | undefined;
  /** How many bytes of messages to keep while a link is lost. Default: 8 MiB. */
  readonly buffer?: number | undefined;
  /** What happens to the links; default: nothing is told. `isFinal`: it will be so at each attempt. */
  readonly onEvent?: ((event: LimpetEvent) => void) | undefined;
}

/**
 * What a Limpet tells its program: a line for a log.
 *
 * @example
 * ```ts
 * import { Bus } from 'kbus';
 * import { Limpet, type LimpetEvent } from 'kbus/limpet';
 *
 * const toLog = ({ level, text, isFinal = false }: LimpetEvent): void =>
 *   console.error(`${level}: ${text}${isFinal ? ' (it never will)' : ''}`);
 * const path = './events.sock';
 * const limpet = new Limpet({ id: 1, bus: new Bus(), links: [{ server: path }], onEvent: toLog });
 * await limpet.start();
 * await limpet.stop();
 * ```
 */
export interface LimpetEvent {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
  /** The link can't be made as it is configured: another attempt will fail as well. */
  readonly isFinal?: boolean;
}

/** Throws a TypeError or a SecurityError that says what is wrong, and what to do. */
export function checkOptions({ id, links, names = [], termination, buffer }: LimpetOptions): void {
  if (!Number.isInteger(id) || id < 1 || id > 0xffff_ffff) {
    throw new TypeError(
      `the network id of a Limpet is a whole number from 1 to 4294967295, not ${String(id)}: each Limpet needs one of its own`,
    );
  }
  if (!Array.isArray(links)) throw new TypeError('links must be a list');
  for (const name of names) checkPattern('a name to listen to', name);
  if (termination !== undefined) checkPattern('the termination name', termination);
  if (buffer !== undefined && !(Number.isInteger(buffer) && buffer >= 0)) {
    throw new TypeError(`buffer must be a number of bytes from 0, not ${String(buffer)}`);
  }
  for (const link of links as readonly LinkOptions[]) checkLink(link);
  if (links.length > 1 && links.some(({ mode }) => mode === 'stream')) {
    throw new TypeError(
      'a Limpet in a federation of mode stream has no other link, since it passes nothing on between the two: start another Limpet for the others',
    );
  }
}

const STREAM_OPTIONS = ['state', 'maxBytes', 'maxAge', 'discard', 'replicas'] as const;

function checkStream(link: LinkOptions): void {
  const { mode = 'core', discard = 'old', maxBytes, maxAge, replicas } = link;
  if (mode !== 'core' && mode !== 'stream') {
    throw new TypeError(`the mode of a federation is core or stream, not ${String(mode)}`);
  }
  const extra = STREAM_OPTIONS.find((option) => link[option] !== undefined);
  if (mode === 'core' && extra !== undefined) {
    throw new TypeError(`${extra} is for a federation of mode stream: set mode to stream`);
  }
  if (discard !== 'old' && discard !== 'new') {
    throw new TypeError(`discard is old or new, not ${String(discard)}`);
  }
  for (const [option, value] of Object.entries({ maxBytes, maxAge, replicas })) {
    if (value === undefined || (Number.isInteger(value) && value > 0)) continue;
    throw new TypeError(`${option} is a whole number from 1, not ${String(value)}`);
  }
}

function checkLink(link: LinkOptions): void {
  const { server, client, nats, engine, federation, out = [], in: into = [], classic } = link;
  for (const pattern of [...out, ...into]) checkPattern('a filter of a link', pattern);
  const places = [server, client, nats, engine].filter((place) => place !== undefined);
  if (places.length !== 1) {
    throw new TypeError('a link has an address as `server`, as `client` or as `nats`: one of them');
  }
  if (nats !== undefined || engine !== undefined) {
    const fault = faultOfFederation(federation ?? '');
    if (fault !== '') throw new TypeError(fault);
    if (classic) throw new TypeError('classic Limpets have no links over NATS');
    if (!['pieces', 'refuse', undefined].includes(link.large)) {
      throw new TypeError(`large is pieces or refuse, not ${String(link.large)}`);
    }
    checkStream(link);
    return;
  }
  if (federation !== undefined)
    throw new TypeError('a federation needs `nats`, the address of a server');
  const extra = (['mode', 'large', ...STREAM_OPTIONS] as const).find(
    (option) => link[option] !== undefined,
  );
  if (extra !== undefined) throw new TypeError(`${extra} is for a link over NATS`);
  const address = linkAddress((server ?? client) as string);
  const tls = tlsOptions(address, link, server !== undefined);
  if (classic && tls !== null) {
    throw new SecurityError(
      'a classic link can have no key and no certificate: classic Limpets have no TLS',
    );
  }
}

function checkPattern(what: string, pattern: string): void {
  if (checkBindingName(pattern) === 0) return;
  throw new TypeError(`${what}, '${pattern}', is not valid: ${faultOfName(pattern, 'binding')}`);
}
