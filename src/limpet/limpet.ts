import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { explain } from '../client/explain.ts';
import { connectionTo } from '../client/ksock.ts';
import { type Connect, PortError } from '../client/ports/port.ts';
import { jittered } from '../client/ports/reconnect-options.ts';
import type { KbusError } from '../message/error.ts';
import { BusSide, IdTakenError, type SpeakerInfo } from './bus-side.ts';
import type { Journal } from './federation/journal.ts';
import { natsEngine } from './federation/nats.ts';
import { FederationPlace } from './federation-place.ts';
import type { Address } from './hub/address.ts';
import { ClassicPort } from './hub/classic-port.ts';
import { Hub, type HubHost } from './hub/hub.ts';
import type { Link } from './hub/link.ts';
import { EVERYTHING } from './hub/patterns.ts';
import { RecentIds } from './hub/recent-ids.ts';
import { Connection, type ConnectionHost, type Greeting } from './link/connection.ts';
import type { Hello } from './link/native-codec.ts';
import { type Security, SecurityError } from './link/security.ts';
import { connectLink, listenForLinks, SocketWire } from './link/socket-wire.ts';
import type { MemoryWire, Wire } from './link/wire.ts';
import { checkOptions, type LimpetEvent, type LimpetOptions, type LinkOptions } from './options.ts';
import type { Place, PlaceHost } from './place.ts';
import { type LimpetReport, type LinkReport, reportOf } from './report.ts';
import { ClientPlace, FIRST_DELAY_MS, LAST_DELAY_MS, ServerPlace } from './socket-places.ts';

const TICK_MS = 1000;

/** After how many ticks a Limpet forgets another one that is out of reach. */
const FORGET_AFTER = 600;

const DEFAULT_BUFFER = 8 * 1024 * 1024;

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
 * @example
 * ```ts
 * import { Announcement, Bus, Ksock } from 'kbus';
 * import { Limpet, type LimpetOptions } from 'kbus/limpet';
 *
 * const [here, there] = [new Bus(), new Bus()];
 * const path = './limpet.sock';
 * const options: LimpetOptions = { id: 1, bus: here, links: [{ server: path }] };
 * const one = new Limpet(options);
 * const other = new Limpet({ id: 2, bus: there, links: [{ client: path }] });
 * await one.start();
 * await other.start();
 *
 * const listener = await Ksock.open(there);
 * await listener.bind('$.Door');
 * const sender = await Ksock.open(here);
 * let heard = null;
 * while (heard === null) {
 *   await sender.sendMsg(new Announcement('$.Door', 'open'));
 *   heard = await listener.waitForMsg({ timeout: 50 }); // The link may not be up yet.
 * }
 * console.log(heard.text(), String(heard.origFrom)); // → open (1,2)
 * await Promise.all([one.stop(), other.stop()]);
 * ```
 */
export class Limpet {
  readonly id: number;
  private readonly options: LimpetOptions;
  private readonly places: Place[];
  /** Of the federation of mode `stream`, which is the only link then. */
  private readonly journal: Journal | null;
  /** With the place where they met; null: Limpets of the same bus. */
  private readonly connections = new Map<Connection, Place | null>();
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
    const host = this.placeHost();
    this.places = options.links.map((link, number) => placeOf(options, link, number, host));
    this.journal = this.places[0]?.journal ?? null;
  }

  /**
   * Joins the bus, and begins to listen or to connect; resolves then, whether other Limpets are there or not. Rejects if
   * there is no such bus, another Limpet of this id is on it, or a place to listen is taken.
   */
  async start(): Promise<void> {
    const { bus = 0, directory, id } = this.options;
    this.connect = await connectionTo(bus, { directory, name: `Limpet ${id}` }, true);
    try {
      await this.begin().catch((error: unknown) => {
        throw error instanceof PortError
          ? explain('open', error, 'join the bus of a Limpet')
          : error;
      });
      for (const place of this.places) await place.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.ticker = setInterval(() => this.tick(), TICK_MS);
    for (const place of this.places) place.begin();
  }

  /** Leaves the bus, and closes all links. */
  async stop(): Promise<void> {
    if (this.isStopped) return;
    this.isStopped = true;
    for (const place of this.places) await place.finish();
    clearInterval(this.ticker);
    clearTimeout(this.retry);
    this.stopping.abort();
    const { life } = this;
    life?.hub.leave();
    this.endLife('the other Limpet stops');
    for (const place of this.places) await place.stop();
    await life?.side.close();
    this.end();
  }

  /** What `kbus limpets` shows. */
  report(): LimpetReport {
    const { life } = this;
    const links = [...this.linkReports()];
    const refused = this.places.reduce((sum, { limit }) => sum + (limit?.missed ?? 0), 0);
    return reportOf(this.id, life?.hub ?? null, links, refused);
  }

  private *linkReports(): Generator<LinkReport> {
    for (const place of this.places) {
      const { kind, name: address, number, trouble: why } = place;
      let isUp = false;
      for (const [connection, of] of this.connections) {
        if (of !== place) continue;
        isUp = true;
        yield this.connectionReport(connection, kind, address);
      }
      const stream = place.journal?.report();
      if (isUp && stream === undefined) continue;
      const isLost = kind === 'client' || (kind === 'federation' && why !== '');
      const state = isUp ? 'up' : isLost ? 'lost' : 'waiting';
      yield { number, kind, address, state, why, ...(stream && { stream }) };
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

  private placeHost(): PlaceHost {
    const limpet = this;
    return {
      get self() {
        const { life } = limpet;
        if (life === null) return null;
        const { address, hub, side } = life;
        return { address, bus: side.bus, hub, flushed: () => side.port.flushed() };
      },
      stopping: this.stopping.signal,
      connect: (place, greeting, wire) => this.join(place, greeting, wire),
      isConnected: (place) => this.isConnected(place),
      fail: (link, why) => this.connectionOf(link)?.fail(why, false),
      tell: (level, text, isFinal) => this.tell(level, text, isFinal),
    };
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
      made.journal = this.journal;
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
        speaks: () => {
          this.tell('info', `Limpet ${this.id} speaks for its bus`);
          this.journal?.speaks();
        },
        report: () => this.report(),
        terminated: () => {
          this.tell('info', `Limpet ${this.id} heard '${termination}', and stops`);
          void this.stop();
        },
        slow: (isSlow) => {
          for (const connection of this.connections.keys()) connection.pause(isSlow);
          this.journal?.slow(isSlow);
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
    const { meaning } = explain('open', error, 'stay on the bus') as KbusError;
    this.tell('warn', `Limpet ${this.id} has lost its bus, and joins it again: ${meaning}`);
    this.endLife('its bus is lost');
    this.beginAgain(FIRST_DELAY_MS);
  }

  private beginAgain(delay: number): void {
    this.retry = setTimeout(() => {
      if (this.isStopped) return;
      this.begin().then(
        () => {
          this.tell('info', `Limpet ${this.id} is on its bus again`);
          for (const place of this.places) place.begin();
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
    for (const place of this.places) place.pause(why);
    if (siblings === null) return;
    siblings.server.close();
    rmSync(siblings.folder, { recursive: true, force: true });
  }

  // Limpets of the same bus

  private async openSiblings(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), 'kbus-limpet-'));
    const path = join(folder, 'siblings.sock');
    const accepted = (socket: Socket): void => this.joinSibling(socket, true);
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
    this.joinSibling(socket, false);
  }

  private joinSibling(socket: Socket, isServer: boolean): void {
    if (this.life === null) socket.destroy();
    else this.join(null, { ...SIBLING, isServer }, (events) => new SocketWire(socket, events));
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

  private isConnected(place: Place): boolean {
    for (const of of this.connections.values()) if (of === place) return true;
    return false;
  }

  /** @internal Joins over a wire in memory: for tests. `link` is the number of a configured link. */
  attach(wire: MemoryWire, link: number, isServer: boolean): void {
    const place = this.places[link] as Place;
    wire.attach(this.join(place, place.greeting(isServer), () => wire));
  }

  private join(
    place: Place | null,
    greeting: Greeting,
    wire: (connection: Connection) => Wire,
  ): Connection {
    const connection = new Connection(greeting, this.hostOf(this.life as Life, place));
    this.connections.set(connection, place);
    connection.begin(wire(connection));
    return connection;
  }

  private hostOf(life: Life, place: Place | null): ConnectionHost {
    const { hub, side, address } = life;
    const joined = (peer: Address | null, text: string): void => {
      place?.joined(peer);
      this.tell('info', `link ${place?.name ?? 'the same bus'}: joined with ${text}`);
    };
    return {
      address,
      bus: side.bus,
      now: () => performance.now(),
      refuse: (hello, connection) => this.refuse(life, hello, connection),
      linkUp: (connection, link) => {
        this.byLink.set(link, connection);
        joined(link.peer, `Limpet ${link.peer.id}`);
        hub.linkUp(link);
      },
      received: (link, frame) => {
        if (place?.journal) place.journal.received(link, frame);
        else hub.received(link, frame);
      },
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
        joined(null, `the classic Limpet ${id}`);
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
          place?.journal?.linkDown(link);
          hub.linkDown(link);
        }
        classic?.lost();
        if (this.isStopped || this.life !== life) return;
        if (place === null) this.lookForSpeaker();
        else place.lost(why, isFinal);
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
    for (const place of this.places) place.tick();
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
  federation: 0,
  out: [EVERYTHING],
  in: [EVERYTHING],
  limit: null,
} as const;

function equalIds(id: number): string {
  return `both Limpets have the network id ${id}: give one of them another --id`;
}

function placeOf(
  { id, buffer = DEFAULT_BUFFER }: LimpetOptions,
  options: LinkOptions,
  number: number,
  host: PlaceHost,
): Place {
  const { server, client, nats, engine } = options;
  if (server !== undefined) return new ServerPlace(number, options, host);
  if (client !== undefined) return new ClientPlace(number, options, host);
  const connect = engine ?? natsEngine({ ...options, nats: nats ?? [] });
  return new FederationPlace(id, number, options, connect, buffer, host);
}

export {
  IdTakenError,
  type LimpetEvent,
  type LimpetOptions,
  type LinkOptions,
  type Security,
  SecurityError,
};
