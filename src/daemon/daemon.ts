import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import process from 'node:process';
import { Deadlines } from '../base/deadlines.ts';
import { FlushScheduler } from '../base/flush-scheduler.ts';
import { Slab } from '../base/slab.ts';
import type { Bus } from '../bus/bus.ts';
import { Buses } from '../bus/buses.ts';
import { Memory, type Share } from '../bus/memory.ts';
import { type BusSettings, COSTS, type Given } from '../bus/settings.ts';
import { Work } from '../bus/work.ts';
import type { DeviceFolder } from '../device/folder.ts';
import { NameNumbers } from '../message/codec/name-numbers.ts';
import { Errno } from '../message/errno.ts';
import { MadeFolders } from '../system/made-folders.ts';
import { defaultMaxMemory } from '../system/memory.ts';
import { userOfProcess } from '../system/process-user.ts';
import { absolute, checkSocketPath, socketPath } from '../system/socket-folder.ts';
import { addressFile } from '../system/web-address-file.ts';
import type { Channel, ChannelEvents } from '../transport/channel.ts';
import type { WebOptions, WebServer } from '../web/web-server.ts';
import { AcceptedChannel } from './accepted-channel.ts';
import {
  type AccessPoint,
  AccessPoints,
  connectionsFor,
  type DeviceFile,
  type Door,
  folderRightsFor,
} from './access-points.ts';
import { BusyPoll } from './busy-poll.ts';
import { Chunks } from './chunks.ts';
import { Departures } from './departures.ts';
import { History } from './history.ts';
import type { Log } from './log.ts';
import { MAX_SILENT_CONNECTIONS, Newcomers } from './newcomers.ts';
import { ReceiveBuffers } from './receive-buffers.ts';
import { ReceivePools } from './receive-pools.ts';
import { Reserve } from './reserve.ts';
import { Session } from './session.ts';
import { DEFAULT_HELLO_TIMEOUT_S, DEFAULT_MAX_CONNECTIONS } from './settings.ts';
import { listenAt, type Ownership, type SocketFile } from './socket-file.ts';
import { MAX_EVENT_MS, TURN_STEPS, Turns } from './turns.ts';
import { type Collector, Uncollected } from './uncollected.ts';
import { NoRoomError, whyNoBus } from './why-no-bus.ts';

/** The size of the slabs in which small frames are encoded. */
const FRAME_SLAB_BYTES = 64 * 1024;

/** How long a peer may take to read its last bytes before its connection is destroyed. */
const FAREWELL_TIMEOUT_MS = 5000;

/** The same while the daemon stops. */
const STOP_TIMEOUT_MS = 500;

/**
 * What a {@link Daemon} serves, and where.
 *
 * @see {@link Daemon} for an example
 */
export interface DaemonOptions {
  /** The number of buses at the start. */
  buses: number;
  /** Folder of the sockets; created if it doesn't exist. */
  directory: string;
  /** Permissions of each socket. The folder gets matching ones. */
  socket: Ownership;
  bus: Given<BusSettings>;
  /** The most connections and open device files at once. */
  maxConnections?: number | undefined;
  /** Seconds within which a new connection must send HELLO. */
  helloTimeout?: number | undefined;
  /** Microseconds to poll after each read. */
  spin?: number | undefined;
  /** Further access points of each bus, beside the socket without a name, which has all rights. */
  access?: readonly AccessPoint[] | undefined;
  /** To serve the buses as files, too. */
  device?: DeviceFiles | undefined;
  /** To serve the buses to browsers, too. */
  web?: WebOptions | undefined;
  /** How many bytes of the last events to keep of each bus; 0: none. */
  history?: number | undefined;
  /** Whether each bus starts with its debug log on. */
  verbose?: boolean | undefined;
  log: Log;
  /** Descriptors of listening sockets for the first buses (systemd's socket activation). */
  listening?: readonly number[] | undefined;
}

/**
 * Buses as files, for programs that use the calls of the kernel module.
 *
 * @example
 * ```ts
 * import type { DaemonOptions, DeviceFiles } from 'kbus/daemon';
 *
 * const device: DeviceFiles = { directory: '/dev/kbus', links: '/dev' };
 * export const withFiles = (options: DaemonOptions): DaemonOptions => ({ ...options, device });
 * ```
 */
export interface DeviceFiles {
  /** The folder to mount. */
  directory: string;
  /** Folder for a symbolic link to each file. */
  links?: string | undefined;
  /** Permissions of the files. Default: those of the sockets. */
  files?: Ownership | undefined;
  /** Name of the access point whose rights the users of the files have. Default: all rights. */
  access?: string | undefined;
}

/**
 * Serves several buses: a socket for each bus, a session for each connection.
 *
 * @example
 * ```ts
 * import { Ksock } from 'kbus';
 * import { Daemon, type DaemonOptions, Log, type Ownership } from 'kbus/daemon';
 *
 * const directory = './own';
 * const socket: Ownership = { mode: 0o600, group: undefined };
 * const options: DaemonOptions = {
 *   buses: 2,
 *   directory,
 *   socket,
 *   bus: { maxMessages: 500 },
 *   log: new Log('human', (line) => console.error(line)),
 * };
 * const daemon = new Daemon(options);
 * await daemon.start();
 * const ksock = await Ksock.open(1, { directory });
 * console.log(ksock.number, await ksock.maxMessages()); // → 1 500
 * console.log(daemon.path(1).endsWith('/own/kbus1.sock')); // → true
 * await ksock.close();
 * await daemon.stop('it was told to');
 * ```
 */
export class Daemon {
  /** @internal */
  readonly flushes = new FlushScheduler();
  /** @internal */
  readonly slab = new Slab(FRAME_SLAB_BYTES, Buffer.alloc);
  /** @internal */
  readonly pid = process.pid;
  readonly buses: Buses;
  /** @internal */
  readonly turns: Turns;
  /** @internal */
  readonly chunks: Chunks;
  private readonly memory: Memory;
  private readonly options: DaemonOptions;
  /** Closes each server. */
  private readonly closeServers: (() => Promise<void>)[] = [];
  private readonly accessPoints: AccessPoints;
  private readonly reserve = new Reserve();
  private readonly sessions = new Map<Session, Socket>();
  private readonly newcomers: Newcomers;
  private readonly departures: Departures;
  /** Connections that end once the peer has read everything. */
  private readonly leaving = new Deadlines<Socket>(FAREWELL_TIMEOUT_MS, (socket) =>
    socket.destroy(),
  );
  private readonly receiveBuffers: ReceiveBuffers;
  private readonly folders = new MadeFolders();
  /** The last call for a new bus. */
  private making: Promise<unknown> = Promise.resolve();
  private readonly histories = new Map<Bus, History>();
  private deviceOrNull: DeviceFolder | null = null;
  private web: WebServer | null = null;
  private isStopping = false;

  constructor(options: DaemonOptions) {
    this.accessPoints = new AccessPoints(options.access ?? [], options.device?.access);
    this.options = options;
    const work = new Work(TURN_STEPS, MAX_EVENT_MS);
    work.clock = () => performance.now();
    const { maxMemory = defaultMaxMemory() } = options.bus;
    const memory = new Memory(maxMemory);
    this.memory = memory;
    this.buses = new Buses(options.buses, options.bus, {
      memory,
      work,
      names: new NameNumbers(),
    });
    this.chunks = new Chunks(memory, work);
    this.turns = new Turns(work, setImmediate, this.flushes);
    this.receiveBuffers = new ReceiveBuffers(
      new BusyPoll(options.spin ?? 0).onHandled,
      new ReceivePools(this.chunks),
    );
    this.departures = new Departures(this.turns);
    this.newcomers = new Newcomers(options.helloTimeout ?? DEFAULT_HELLO_TIMEOUT_S, (what) =>
      this.departures.add(what),
    );
  }

  /**
   * Serves all buses. Throws a SocketInUseError if another daemon does, a WebError if it can't serve the web as it was
   * asked to, or an error of the file system.
   */
  async start(): Promise<void> {
    try {
      for (const bus of this.buses) await this.serve(bus);
      await this.openWeb();
    } catch (error) {
      await this.stop('the daemon could not start');
      throw error;
    }
    await this.openDevice();
  }

  /** @internal Collects garbage in time, so that this process uses little more memory than programs may hold. */
  collectWith(collector: Collector): void {
    const uncollected = new Uncollected(this.memory, collector);
    this.turns.onLook = () => uncollected.look();
  }

  /** The folder of the device files; null if there are none. */
  get device(): string | null {
    return this.deviceOrNull?.directory ?? null;
  }

  /** Serves device files; if that fails, logs why, and the sockets go on. */
  private async openDevice(): Promise<void> {
    const { device, socket, log } = this.options;
    if (device === undefined) return;
    const access = this.accessPoints.deviceAccess;
    // Imported on demand: most daemons serve no device files.
    const { DeviceFolder } = await import('../device/folder.ts');
    const host = {
      tick: () => this.turns.work.tick(),
      flushes: this.flushes,
      buses: this.buses,
      isFull: () => this.isFull,
      newDevice: () => this.newDevice().catch((error) => this.noNewDevice(error)),
    };
    try {
      this.deviceOrNull = await DeviceFolder.open(
        { ...device, ...(device.files ?? socket), access },
        host,
        (error) => {
          this.deviceOrNull = null;
          if (this.isStopping) return;
          const why = error === undefined ? 'another process unmounted it' : String(error);
          log.error(`${device.directory}: ${why}; the daemon now serves sockets only`);
        },
      );
    } catch (error) {
      log.error(`${(error as Error).message}. The daemon serves sockets only.`);
      return;
    }
    for (const bus of this.buses) await this.link(bus.number);
  }

  /** The address of the daemon's page, without a token; null if it serves none, or does not know how its proxy is called. */
  get page(): string | null {
    return this.web?.home ?? null;
  }

  private async openWeb(): Promise<void> {
    const { access = [], directory, socket, web } = this.options;
    if (web === undefined) return;
    // Imported on demand: most daemons serve no web.
    const { WebServer } = await import('../web/web-server.ts');
    const accessNames = ['', ...access.flatMap(({ name, web }) => (web ? [name] : []))];
    const server = new WebServer(web, {
      directory: absolute(directory),
      accessNames,
      gather: (...pieces) => this.receiveBuffers.gather(...pieces),
      leaving: this.leaving,
      depart: (what) => this.departures.add(what),
      maxConnections: this.maxConnections,
      maxSilent: MAX_SILENT_CONNECTIONS,
      listenAt: async (server, path) => {
        // Nobody else may be able to replace the socket.
        if (process.platform !== 'win32')
          this.folders.make(dirname(path), folderRightsFor([socket]));
        const file = await listenAt(server, path, socket);
        return () => file.close();
      },
      letIn: (...entry) => this.letIn(...entry),
      warn: (text) => this.warn(text),
    });
    // With sockets of systemd, nothing has made it yet.
    this.makeDirectory();
    await server.start();
    this.web = server;
    this.accessPoints.webFile = (name) =>
      accessNames.includes(name) ? addressFile(absolute(directory), name) : '';
  }

  /** Lets a WebSocket in to a bus, by an access point. */
  private letIn(
    number: number,
    access: string,
    channel: Channel & { events: ChannelEvents },
    connection: Socket,
  ): Session | { errno: number; why: string } {
    const bus = this.buses.get(number);
    if (bus === undefined || this.isStopping) {
      const why = `there is no bus ${number}; the daemon serves ${this.buses.count} from 0 on`;
      return { errno: Errno.ENOENT, why };
    }
    const door = this.accessPoints.find(bus, access);
    if (door === undefined) {
      const why = `access point '${access}', of which the token is, is not for bus ${number}`;
      return { errno: Errno.EACCES, why };
    }
    return this.admit(bus, { ...door, isForPages: true }, connection, channel, (session) => {
      channel.events = session;
    });
  }

  private noNewDevice(error: unknown): number {
    const { errno, why } = whyNoBus(error);
    this.warn(`can't create another bus: ${why}`);
    return -errno;
  }

  private async link(bus: number): Promise<void> {
    try {
      await this.deviceOrNull?.link(bus);
    } catch (error) {
      this.warn(`can't link to bus ${bus}: ${(error as Error).message}`);
    }
  }

  /** The path of a bus's socket, or of that of a further access point. */
  path(bus: number, access?: string): string {
    return socketPath(this.options.directory, bus, access);
  }

  /** Creates the next bus; resolves with its number, or -EINVAL when there are 256. Rejects if it has no socket. */
  newDevice(): Promise<number> {
    // One at a time, so that the number of a bus without a socket is free for the next one.
    const made = this.making.then(() => this.makeBus());
    this.making = made.catch(() => {});
    return made;
  }

  private async makeBus(): Promise<number> {
    // Programs with all rights make buses.
    const share = this.memory.share('');
    if (!share.hasRoom(COSTS.bus, COSTS.bus)) {
      throw new NoRoomError(`no memory is free for another bus: ${this.memory.says}`);
    }
    const bus = this.buses.next();
    if (bus === null) return -Errno.EINVAL;
    const { number } = bus;
    try {
      await this.serve(bus);
    } catch (error) {
      this.buses.drop(bus);
      throw error;
    }
    this.buses.add(bus);
    share.hold(COSTS.bus);
    await this.link(number);
    this.options.log.info(`created bus ${number}`, { bus: number });
    return number;
  }

  /** @internal */
  warn(text: string): void {
    this.options.log.warn(text);
  }

  /** @internal */
  historyOf(bus: Bus): History | null {
    return this.histories.get(bus) ?? null;
  }

  /** @internal */
  userOf(pid: number): number {
    return userOfProcess(pid);
  }

  /** Sends every client the reason, closes all connections and servers, and removes the files that the daemon created. */
  async stop(why: string): Promise<void> {
    this.isStopping = true;
    for (const session of [...this.sessions.keys()]) session.farewell(Errno.ECONNRESET, why);
    this.flushes.flush();
    const closed = this.closeServers.map((close) => close());
    if (this.web !== null) closed.push(this.web.stop());
    for (const socket of this.sessions.values()) closed.push(hasClosed(socket));
    await this.deviceOrNull?.close().catch((error: Error) => this.warn(error.message));
    const timer = setTimeout(() => {
      for (const socket of this.sessions.values()) socket.destroy();
    }, STOP_TIMEOUT_MS);
    await Promise.all(closed);
    clearTimeout(timer);
    for (const history of this.histories.values()) history.stop();
    this.newcomers.stop();
    this.reserve.stop();
    this.leaving.stop();
    this.folders.remove();
  }

  private makeDirectory(): void {
    if (process.platform === 'win32') return;
    const { directory, socket, access = [] } = this.options;
    const sockets = [socket, ...access.map((point) => point.socket)];
    this.folders.make(directory, folderRightsFor(sockets));
  }

  private async serve(bus: Bus): Promise<void> {
    const { history = 0, log, listening = [], access = [], socket, verbose } = this.options;
    if (history > 0) this.histories.set(bus, new History(bus, history, this));
    if (verbose) bus.verbose(1);
    bus.onLog = (text) => log.debug(`bus ${bus.number}: ${text}`, { bus: bus.number });
    const { number } = bus;
    await this.openDoor(bus, '', socket, listening[number]);
    for (const { name, socket, buses, listening = [] } of access) {
      const at = buses === undefined ? number : buses.indexOf(number);
      if (at >= 0) await this.openDoor(bus, name, socket, listening[at]);
    }
  }

  /** Listens at an access point of a bus: at a new socket, or at the one of a descriptor. */
  private async openDoor(
    bus: Bus,
    name: string,
    socket: Ownership,
    descriptor: number | undefined,
  ): Promise<void> {
    const { log } = this.options;
    const path = this.path(bus.number, name === '' ? undefined : name);
    const door = this.accessPoints.add(bus, name, path, () => this.fileOf(bus));
    const server = createServer({ allowHalfOpen: true }, (connection) =>
      this.accept(bus, door, connection),
    );
    if (descriptor !== undefined) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ fd: descriptor }, resolve);
      });
      this.closeServers.push(() => new Promise((resolve) => server.close(() => resolve())));
      const address = server.address();
      if (typeof address === 'string') door.path = address;
    } else {
      const file = await this.listen(server, path, socket);
      this.closeServers.push(() => file.close());
    }
    server.on('error', (error) => log.warn(`bus ${bus.number}: ${error.message}`));
  }

  private async listen(server: Server, path: string, socket: Ownership): Promise<SocketFile> {
    const { directory } = this.options;
    checkSocketPath(path);
    this.makeDirectory();
    try {
      return await listenAt(server, path, socket);
    } catch (error) {
      if (process.platform === 'win32' || existsSync(directory)) throw error;
      // Another daemon that stopped has just removed the folder.
      this.makeDirectory();
      return listenAt(server, path, socket);
    }
  }

  private get maxConnections(): number {
    return this.options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  }

  /** Connections and open device files, without those of the reserve. */
  private get connections(): number {
    return this.sessions.size - this.reserve.size + (this.deviceOrNull?.openFiles ?? 0);
  }

  private get isFull(): boolean {
    return this.connections >= connectionsFor(this.accessPoints.deviceAccess, this.maxConnections);
  }

  /** The device file of a bus. */
  private fileOf(bus: Bus): DeviceFile | null {
    const device = this.deviceOrNull;
    return device === null ? null : { path: device.path(bus.number), rights: device.rights };
  }

  private accept(bus: Bus, door: Door, connection: Socket): void {
    if (this.isStopping) {
      connection.destroy();
      return;
    }
    const channel = new AcceptedChannel(
      connection,
      this.receiveBuffers,
      this.leaving,
      this.departures,
    );
    this.admit(bus, door, connection, channel, (session) => channel.open(session));
  }

  /** Makes a session of a connection; if the daemon is full, one that ends, or for managing only. `open` gives it events. */
  private admit(
    bus: Bus,
    door: Door,
    connection: Socket,
    channel: Channel,
    open: (session: Session) => void,
  ): Session {
    const { access } = door;
    const limit = connectionsFor(access, this.maxConnections);
    const full = this.whyFull(limit, door.share);
    const isFull = full !== '';
    const session = new Session(this, bus, channel, isFull ? { ...door, full } : door);
    open(session);
    if (isFull) {
      const mayManage = access === null || access.has('manage');
      if (!mayManage || !this.reserve.admit(session, full)) {
        session.farewell(Errno.ENOMEM, full);
        return session;
      }
    }
    this.sessions.set(session, connection);
    this.newcomers.came(session);
    connection.once('close', () => {
      this.newcomers.left(session);
      this.reserve.end(session);
      this.sessions.delete(session);
    });
    return session;
  }

  /** Why no further connection may come in, of which an access point may use so many; '' if it may. */
  private whyFull(limit: number, share: Share): string {
    const { maxConnections } = this;
    if (!share.admits) return share.full;
    if (this.connections < limit) return '';
    if (limit === maxConnections) return `max-connections of the daemon is ${maxConnections}`;
    return `max-connections of the daemon is ${maxConnections}, of which this access point may use ${limit}`;
  }
}

function hasClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
