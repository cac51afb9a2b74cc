import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { Bus } from '../bus/bus.ts';
import { explain } from '../client/explain.ts';
import { connectionTo } from '../client/ksock.ts';
import { type Connect, PortError } from '../client/ports/port.ts';
import { jittered } from '../client/ports/reconnect-options.ts';
import { checkBindingName, faultOfName } from '../message/name.ts';
import { BusSide, IdTakenError, type SpeakerInfo } from './bus-side.ts';
import type { Address } from './hub/address.ts';
import { ClassicPort } from './hub/classic-port.ts';
import { Hub, type HubHost } from './hub/hub.ts';
import { EVERYTHING } from './hub/patterns.ts';
import { RecentIds } from './hub/recent-ids.ts';
import type { Link } from './hub/streams.ts';
import { addressText, type LinkAddress, linkAddress, removeSocketFile } from './link/address.ts';
import { Connection, type ConnectionHost, type Greeting } from './link/connection.ts';
import type { Hello } from './link/native-codec.ts';
import { type Security, SecurityError, tlsOptions } from './link/security.ts';
import { connectLink, listenForLinks, SocketWire } from './link/socket-wire.ts';
import type { MemoryWire } from './link/wire.ts';
import { type LimpetReport, type LinkReport, reportOf } from './report.ts';

/** The delays before a Limpet connects again, in milliseconds: they double from the first to the last. */
const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 10_000;

const TICK_MS = 1000;

/** After how many ticks a Limpet forgets another one that is out of reach. */
const FORGET_AFTER = 600;

const DEFAULT_BUFFER = 8 * 1024 * 1024;

/** One link of a Limpet. */
export interface LinkOptions extends Security {
  /** Where to listen: a path, or `host:port`. Any number of Limpets may connect. */
  readonly server?: string | undefined;
  /** Where to connect to. */
  readonly client?: string | undefined;
  /** A classic link (spec 3 §5). A server that is none takes classic Limpets as well. */
  readonly classic?: boolean | undefined;
  /** What may leave over this link, and what may come: names or wildcards. Default: everything. */
  readonly out?: readonly string[] | undefined;
  readonly in?: readonly string[] | undefined;
}

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

export interface LimpetEvent {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
  /** The link can't be made as it is configured: another attempt will fail as well. */
  readonly isFinal?: boolean;
}

/** A link, as configured. */
interface ConfiguredLink {
  readonly number: number;
  readonly options: LinkOptions;
  readonly address: LinkAddress;
  /** While it is not connected: why, if anything is known. */
  trouble: string;
  server: Server | null;
  delay: number;
  timer: NodeJS.Timeout | undefined;
  isConnecting: boolean;
}

/** A life of the Limpet: from finding its bus to losing it. */
interface Life {
  readonly address: Address;
  readonly hub: Hub;
  readonly side: BusSide;
  readonly leaving: AbortController;
}

/**
 * A Limpet: it joins its bus with others, over any number of links (spec 3). See docs/limpets.md.
 *
 * ```js
 * const limpet = new Limpet({ id: 1, bus: 0, links: [{ server: '/run/kbus/limpet.sock' }] });
 * await limpet.start();
 * ```
 */
export class Limpet {
  readonly id: number;
  private readonly options: LimpetOptions;
  private readonly configured: ConfiguredLink[];
  private readonly connections = new Map<Connection, ConfiguredLink | null>();
  private readonly seen = new RecentIds();
  private life: Life | null = null;
  private connect: Connect | null = null;
  private ticker: NodeJS.Timeout | undefined;
  private siblings: { readonly server: Server; readonly folder: string } | null = null;
  private isLookingForSpeaker = false;
  private isStopped = false;
  private retry: NodeJS.Timeout | undefined;
  private readonly stopping = new AbortController();
  private end: () => void = () => {};
  /** Resolves when the Limpet has stopped: by `stop`, or by its termination message. */
  readonly ended: Promise<void> = new Promise((resolve) => {
    this.end = resolve;
  });

  /** Throws a TypeError or a SecurityError that says what is wrong, and what to do. */
  constructor(options: LimpetOptions) {
    checkOptions(options);
    this.options = options;
    this.id = options.id;
    this.configured = options.links.map((link, number) => configuredOf(link, number));
  }

  /**
   * Joins the bus, and begins to listen or to connect; resolves then, whether other Limpets are there or not. Rejects if
   * there is no such bus, another Limpet of this id is on it, or a place to listen is taken.
   */
  async start(): Promise<void> {
    const { bus = 0, directory } = this.options;
    this.connect = await connectionTo(bus, { directory });
    try {
      await this.begin().catch((error: unknown) => {
        throw error instanceof PortError
          ? explain('open', error, 'join the bus of a Limpet')
          : error;
      });
      for (const link of this.configured)
        if (link.options.server !== undefined) await this.listen(link);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    for (const link of this.configured) this.connectSoon(link, 0);
  }

  /** Leaves the bus, and closes all links. */
  async stop(): Promise<void> {
    if (this.isStopped) return;
    this.isStopped = true;
    clearInterval(this.ticker);
    clearTimeout(this.retry);
    this.stopping.abort();
    for (const link of this.configured) {
      clearTimeout(link.timer);
      link.server?.close();
      if ('path' in link.address && link.server !== null) removeSocketFile(link.address.path);
    }
    const { life } = this;
    this.endLife('the other Limpet stops');
    await life?.side.close();
    this.end();
  }

  /** What `kbus limpets` shows. */
  report(): LimpetReport {
    const { life } = this;
    const links = [...this.linkReports()];
    return reportOf(this.id, life?.hub ?? null, links);
  }

  private *linkReports(): Generator<LinkReport> {
    for (const link of this.configured) {
      const kind = link.options.server === undefined ? 'client' : 'server';
      const address = addressText(link.address);
      let isUp = false;
      for (const [connection, of] of this.connections) {
        if (of !== link) continue;
        isUp = true;
        yield this.connectionReport(connection, kind, address);
      }
      if (isUp) continue;
      const state = kind === 'server' ? 'waiting' : 'lost';
      yield { number: link.number, kind, address, state, why: link.trouble };
    }
    for (const [connection, of] of this.connections) {
      if (of === null) yield this.connectionReport(connection, 'sibling', 'same bus');
    }
  }

  private connectionReport(
    connection: Connection,
    kind: LinkReport['kind'],
    address: string,
  ): LinkReport {
    const { link, classic, roundTrip, bytesSent, bytesReceived, greeting } = connection;
    const { number } = greeting;
    if (classic !== null) {
      const { partner: peer, sent, received, cycled: duplicates, unfit } = classic;
      return { number, kind, address, state: 'classic', peer, sent, received, duplicates, unfit };
    }
    if (link === null || this.life === null) return { number, kind, address, state: 'greeting' };
    const state = this.life.hub.streams.isInUse(link) ? 'up' : 'standby';
    const { id: peer } = link.peer;
    return { number, kind, address, state, peer, roundTrip, bytesSent, bytesReceived };
  }

  private tell(level: LimpetEvent['level'], text: string, isFinal = false): void {
    this.options.onEvent?.({ level, text, isFinal });
  }

  // The bus

  /** Begins a life on the bus. */
  private async begin(): Promise<void> {
    const address = { id: this.id, life: randomInt(1, 2 ** 47) };
    const leaving = new AbortController();
    const { names = [], termination = null, buffer: maxBytes = DEFAULT_BUFFER } = this.options;
    let made: Hub | null = null;
    const makeHub = (host: HubHost): Hub => {
      host.transmit = (link, frame) => this.connectionOf(link)?.send(frame) ?? true;
      made = new Hub({ address, maxBytes, forgetAfter: FORGET_AFTER }, host);
      return made;
    };
    const side = await BusSide.open(
      this.connect as Connect,
      names,
      termination,
      makeHub,
      {
        address,
        openSiblings: () => this.openSiblings(),
        speaks: () => this.tell('info', `Limpet ${this.id} speaks for its bus`),
        report: () => this.report(),
        terminated: () => {
          this.tell('info', `Limpet ${this.id} heard '${termination}', and stops`);
          void this.stop();
        },
        slow: (isSlow) => {
          for (const connection of this.connections.keys()) connection.pause(isSlow);
        },
        lost: (error) => this.busLost(error),
        warn: (text) => this.tell('warn', text),
      },
      this.stopping.signal,
    );
    this.life = { address, hub: made as unknown as Hub, side, leaving };
    const speaker = await side.speakOrFind();
    side.start();
    if (speaker !== null) await this.joinSpeaker(speaker);
  }

  private busLost(error: PortError): void {
    if (this.isStopped) return;
    this.tell('warn', `${explain('open', error, 'stay on the bus')}`);
    this.endLife('its bus is lost');
    this.beginAgain(FIRST_DELAY_MS);
  }

  private beginAgain(delay: number): void {
    this.retry = setTimeout(() => {
      if (this.isStopped) return;
      this.begin().then(
        () => {
          this.tell('info', `Limpet ${this.id} is on its bus again`);
          for (const link of this.configured) this.connectSoon(link, 0);
        },
        (error: Error) => {
          this.tell('warn', `Limpet ${this.id} can't join its bus: ${error.message}`);
          this.beginAgain(Math.min(delay * 2, LAST_DELAY_MS));
        },
      );
    }, jittered(delay));
  }

  private endLife(why: string): void {
    const { life, siblings } = this;
    this.life = null;
    this.siblings = null;
    life?.leaving.abort();
    for (const connection of [...this.connections.keys()]) connection.fail(why, false);
    if (siblings === null) return;
    siblings.server.close();
    rmSync(siblings.folder, { recursive: true, force: true });
  }

  // Limpets of the same bus

  private async openSiblings(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'kbus-limpet-'));
    const path = join(folder, 'siblings.sock');
    const accepted = (socket: Socket): void => {
      this.open(socket, null, { ...SIBLING, isServer: true });
    };
    const server = await listenForLinks({ path }, {}, accepted, () => {});
    this.siblings = { server, folder };
    return path;
  }

  /** Stands by: connects to the Limpet that speaks for the bus. */
  private async joinSpeaker({ address, path }: SpeakerInfo): Promise<void> {
    this.tell(
      'info',
      `Limpet ${address.id} speaks for the bus already; Limpet ${this.id} passes on what its links bring, and stands by`,
    );
    const socket = await connectLink({ path }, {}, this.stopping.signal);
    this.open(socket, null, { ...SIBLING, isServer: false });
  }

  /** Speaks for the bus, if nobody does. */
  private lookForSpeaker(): void {
    const { life } = this;
    if (life === null || life.hub.isOnBus || this.isLookingForSpeaker) return;
    for (const [connection, of] of this.connections) {
      if (of === null && !connection.greeting.isServer) return;
    }
    this.isLookingForSpeaker = true;
    const find = async (): Promise<void> => {
      const speaker = await life.side.speakOrFind();
      if (speaker !== null && this.life === life) await this.joinSpeaker(speaker);
    };
    find()
      .catch(() => {})
      .finally(() => {
        this.isLookingForSpeaker = false;
      });
  }

  // Links

  private async listen(link: ConfiguredLink): Promise<void> {
    const { address, options } = link;
    const accepted = (socket: Socket): void => {
      this.open(socket, link, greetingOf(link, true));
    };
    const failed = (why: string): void => {
      link.trouble = why;
      this.tell('warn', `link ${addressText(address)}: a peer could not connect: ${why}`);
    };
    try {
      link.server = await listenForLinks(address, options, accepted, failed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      throw new Error(
        `another program listens at ${addressText(address)}: stop it, or give this Limpet another address (both ends need the same)`,
        { cause: error },
      );
    }
    this.tell('info', `link ${addressText(address)}: listening`);
  }

  private connectSoon(link: ConfiguredLink, delay: number): void {
    if (link.options.client === undefined || this.isStopped || this.life === null) return;
    clearTimeout(link.timer);
    if (delay === 0) this.connectNow(link);
    else link.timer = setTimeout(() => this.connectNow(link), jittered(delay));
  }

  private connectNow(link: ConfiguredLink): void {
    if (link.isConnecting || this.life === null || this.isConnected(link)) return;
    link.isConnecting = true;
    connectLink(link.address, link.options, this.stopping.signal).then(
      (socket) => {
        link.isConnecting = false;
        if (this.life === null) socket.destroy();
        else this.open(socket, link, greetingOf(link, false));
      },
      (error: Error) => {
        link.isConnecting = false;
        if (!this.isStopped) this.linkLost(link, error.message, false);
      },
    );
  }

  private isConnected(link: ConfiguredLink): boolean {
    for (const of of this.connections.values()) if (of === link) return true;
    return false;
  }

  private linkLost(link: ConfiguredLink, why: string, isFinal: boolean): void {
    const isNews = link.trouble !== why;
    link.trouble = why;
    if (isNews) {
      const level = isFinal ? 'error' : 'warn';
      this.tell(level, `link ${addressText(link.address)}: ${why}`, isFinal);
    }
    link.delay = isFinal ? LAST_DELAY_MS : Math.min(link.delay * 2, LAST_DELAY_MS);
    this.connectSoon(link, link.delay);
  }

  /** @internal Joins over a wire in memory: for tests. `link` is the number of a configured link. */
  attach(wire: MemoryWire, link: number, isServer: boolean): void {
    const configured = this.configured[link] as ConfiguredLink;
    const connection = this.connectionFor(configured, greetingOf(configured, isServer));
    connection.begin(wire);
    wire.attach(connection);
  }

  private open(socket: Socket, link: ConfiguredLink | null, greeting: Greeting): void {
    if (this.life === null) {
      socket.destroy();
      return;
    }
    const connection = this.connectionFor(link, greeting);
    connection.begin(new SocketWire(socket, connection));
    socket.resume();
  }

  private connectionFor(link: ConfiguredLink | null, greeting: Greeting): Connection {
    const life = this.life as Life;
    const connection = new Connection(greeting, this.hostOf(life, link));
    this.connections.set(connection, link);
    return connection;
  }

  private hostOf(life: Life, configured: ConfiguredLink | null): ConnectionHost {
    const { hub, side, address } = life;
    const name = configured === null ? 'the same bus' : addressText(configured.address);
    const connected = (text: string): void => {
      if (configured !== null) {
        configured.trouble = '';
        configured.delay = FIRST_DELAY_MS;
      }
      this.tell('info', `link ${name}: ${text}`);
    };
    return {
      address,
      bus: side.bus,
      now: () => performance.now(),
      refuse: (hello, connection) => this.refuse(life, hello, connection),
      linkUp: (connection, link) => {
        this.byLink.set(link, connection);
        connected(`joined with Limpet ${link.peer.id}`);
        hub.linkUp(link);
      },
      received: (link, frame) => hub.received(link, frame),
      drained: (link) => {
        hub.drained(link);
        hub.flush();
      },
      flush: () => hub.flush(),
      refuseClassic: (id) => {
        if (id === this.id) return equalIds(id);
        return hub.isNative(id) ? `Limpet ${id} is joined by native links already` : '';
      },
      classicUp: (connection, id) => {
        connected(`joined with the classic Limpet ${id}`);
        const { out, in: into } = connection.greeting;
        const port = new ClassicPort(
          id,
          hub,
          this.seen,
          { out, in: into },
          {
            write: (message) => connection.sendClassic(message),
            warn: (text) => this.tell('warn', text),
            send: (message, refused) => side.send(message, refused),
          },
        );
        hub.addClassic(port);
        return port;
      },
      closed: (connection, why, isFinal) => {
        this.connections.delete(connection);
        const { link, classic } = connection;
        if (link !== null) {
          this.byLink.delete(link);
          hub.linkDown(link);
        }
        classic?.lost();
        if (this.isStopped || this.life !== life) return;
        if (configured === null) {
          this.lookForSpeaker();
          return;
        }
        if (configured.options.client !== undefined) this.linkLost(configured, why, isFinal);
        else this.tell(isFinal ? 'error' : 'warn', `link ${name}: ${why}`, isFinal);
      },
    };
  }

  private readonly byLink = new Map<Link, Connection>();

  private connectionOf(link: Link): Connection | undefined {
    return this.byLink.get(link);
  }

  /** Why this Limpet may not be joined with the one that greets. */
  private refuse(life: Life, hello: Hello, connection: Connection): string {
    const { isSibling, number } = connection.greeting;
    if (hello.id === this.id) return equalIds(hello.id);
    if (hello.isSibling !== isSibling) return 'this address is for Limpets of the same bus';
    if (!isSibling && hello.bus === life.side.bus) {
      return `Limpets ${this.id} and ${hello.id} are on the same bus, which can't be joined with itself: give one of them another --bus`;
    }
    if (isSibling && hello.bus !== life.side.bus)
      return 'it is on another bus, or on an earlier one';
    // The same link of the same Limpet once more: the connection before is dead, and nobody has noticed.
    for (const other of this.connections.keys()) {
      const { hello: before } = other;
      if (other === connection || before === null || !connection.greeting.isServer) continue;
      const isSameLink = before.id === hello.id && before.link === hello.link;
      if (
        isSameLink &&
        other.greeting.number === number &&
        other.greeting.isSibling === isSibling
      ) {
        other.fail('the same Limpet has connected again', false);
        other.destroy();
      }
    }
    return '';
  }

  private tick(): void {
    for (const connection of this.connections.keys()) connection.tick();
    this.seen.tick();
    this.life?.hub.tick();
    this.life?.side.tick();
    this.lookForSpeaker();
  }
}

const SIBLING = {
  isClassic: false,
  isSibling: true,
  number: 0xffff,
  out: [EVERYTHING],
  in: [EVERYTHING],
} as const;

function equalIds(id: number): string {
  return `both Limpets have the network id ${id}: give one of them another --id`;
}

function greetingOf({ options, number }: ConfiguredLink, isServer: boolean): Greeting {
  const { classic: isClassic = false, out = [EVERYTHING], in: into = [EVERYTHING] } = options;
  return { isServer, isClassic, isSibling: false, number, out, in: into };
}

function configuredOf(options: LinkOptions, number: number): ConfiguredLink {
  const { server, client } = options;
  const address = linkAddress((server ?? client) as string);
  return {
    number,
    options,
    address,
    trouble: '',
    server: null,
    delay: FIRST_DELAY_MS,
    timer: undefined,
    isConnecting: false,
  };
}

function checkOptions({ id, links, names = [], termination, buffer }: LimpetOptions): void {
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
}

function checkLink(link: LinkOptions): void {
  const { server, client, out = [], in: into = [], classic } = link;
  if ((server === undefined) === (client === undefined)) {
    throw new TypeError('a link has an address as `server` or as `client`: one of them');
  }
  for (const pattern of [...out, ...into]) checkPattern('a filter of a link', pattern);
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

export { IdTakenError, type Security, SecurityError };
