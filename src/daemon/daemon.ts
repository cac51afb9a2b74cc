import { Buffer } from 'node:buffer';
import { existsSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import process from 'node:process';
import { Deadlines } from '../base/deadlines.ts';
import { FlushScheduler } from '../base/flush-scheduler.ts';
import { Slab } from '../base/slab.ts';
import type { Bus } from '../bus/bus.ts';
import { Buses } from '../bus/buses.ts';
import type { BusSettings, Given } from '../bus/settings.ts';
import type { DeviceFolder } from '../device/folder.ts';
import { Errno } from '../message/errno.ts';
import { MadeFolders } from '../system/made-folders.ts';
import { checkSocketPath, socketPath } from '../system/socket-folder.ts';
import { AcceptedChannel } from './accepted-channel.ts';
import { BusyPoll } from './busy-poll.ts';
import type { Log } from './log.ts';
import { ReceiveBuffers } from './receive-buffers.ts';
import { Session } from './session.ts';
import { HELLO_TIMEOUT, MAX_CONNECTIONS } from './settings.ts';
import { listenAt, type Ownership, type SocketFile } from './socket-file.ts';

/** So much memory for small frames is taken at once. */
const SLAB = 64 * 1024;

/** How long a peer may take to read what it was sent before the end of its connection, in milliseconds. */
const FAREWELL_TIMEOUT = 5000;

export interface DaemonOptions {
  /** How many buses there are at the start. */
  buses: number;
  /** Folder of the sockets; made if it isn't there. */
  directory: string;
  /** Rights of each socket. The folder lets in whoever the sockets do. */
  socket: Ownership;
  bus: Given<BusSettings>;
  /** How many connections and open device files there may be at once. */
  maxConnections?: number | undefined;
  /** Within how many seconds a new connection must have said HELLO. */
  helloTimeout?: number | undefined;
  /** For how many microseconds to stay awake after something came. */
  spin?: number | undefined;
  /** Where the buses are files, too: the folder to mount, and one that gets a link to each. */
  device?: { directory: string; links?: string | undefined } | undefined;
  /** Whether the debug log of each bus is on at its start. */
  verbose?: boolean | undefined;
  log: Log;
  /** Descriptors of sockets that listen already, for the first buses (systemd's socket activation). */
  listening?: readonly number[] | undefined;
}

/** Many buses, each with its socket, and a session for each connection. */
export class Daemon {
  /** @internal */
  readonly flushes = new FlushScheduler();
  /** @internal */
  readonly slab = new Slab(SLAB, Buffer.alloc);
  /** @internal */
  readonly pid = process.pid;
  readonly buses: Buses;
  private readonly options: DaemonOptions;
  /** What ends each server. */
  private readonly servers: (() => Promise<void>)[] = [];
  private readonly sessions = new Map<Session, Socket>();
  /** Those who have not said HELLO. */
  private readonly silent: Deadlines<Session>;
  /** Those who have been told that it is over. */
  private readonly leaving = new Deadlines<Socket>(FAREWELL_TIMEOUT, (socket) => socket.destroy());
  private readonly intake: ReceiveBuffers;
  private readonly folders = new MadeFolders();
  private deviceOrNull: DeviceFolder | null = null;
  private isStopping = false;

  constructor(options: DaemonOptions) {
    this.options = options;
    this.buses = new Buses(options.buses, options.bus);
    this.intake = new ReceiveBuffers(new BusyPoll(options.spin ?? 0).came);
    const { helloTimeout = HELLO_TIMEOUT } = options;
    this.silent = new Deadlines(helloTimeout * 1000, (session) => {
      if (session.isSilent) {
        session.farewell(
          Errno.ETIMEDOUT,
          `no HELLO came within ${helloTimeout} s, which is hello-timeout of the daemon`,
        );
      }
    });
  }

  /** Serves all buses. A SocketInUseError when another daemon does, or any error of the file system. */
  async start(): Promise<void> {
    try {
      for (const bus of this.buses) await this.serve(bus);
    } catch (error) {
      await this.stop('the daemon could not start');
      throw error;
    }
    await this.openDevice();
  }

  /** Where the buses are files; null when they are not. */
  get device(): string | null {
    return this.deviceOrNull?.directory ?? null;
  }

  /** A machine that can have no device has sockets all the same. */
  private async openDevice(): Promise<void> {
    const { device, socket, log } = this.options;
    if (device === undefined) return;
    // Loaded now: most daemons have none.
    const { DeviceFolder } = await import('../device/folder.ts');
    const host = {
      flushes: this.flushes,
      buses: this.buses,
      isFull: () => this.isFull,
      newDevice: () => this.newDevice().catch((error) => this.noNewDevice(error)),
    };
    try {
      this.deviceOrNull = await DeviceFolder.open({ ...device, ...socket }, host, (error) => {
        this.deviceOrNull = null;
        if (this.isStopping) return;
        const why = error === undefined ? 'somebody unmounted it' : String(error);
        log.error(`${device.directory}: ${why}; from now on there are only sockets`);
      });
    } catch (error) {
      log.error(`${(error as Error).message}. There are only sockets.`);
      return;
    }
    for (const bus of this.buses) await this.link(bus.number);
  }

  private noNewDevice(error: unknown): number {
    this.warn(`no new bus could be made: ${String(error)}`);
    return -Errno.EACCES;
  }

  private async link(bus: number): Promise<void> {
    try {
      await this.deviceOrNull?.link(bus);
    } catch (error) {
      this.warn(`bus ${bus} has no link: ${(error as Error).message}`);
    }
  }

  /** Path of a bus's socket. */
  path(bus: number): string {
    return socketPath(this.options.directory, bus);
  }

  async newDevice(): Promise<number> {
    const number = this.buses.newDevice();
    const bus = this.buses.get(number);
    if (bus === undefined) return -Errno.EINVAL;
    await this.serve(bus);
    await this.link(number);
    this.options.log.info(`bus ${number} was made`, { bus: number });
    return number;
  }

  /** @internal */
  warn(text: string): void {
    this.options.log.warn(text);
  }

  /** Tells every client why, closes everything, and removes what it made. */
  async stop(why: string): Promise<void> {
    this.isStopping = true;
    for (const session of [...this.sessions.keys()]) session.farewell(Errno.ECONNRESET, why);
    this.flushes.flush();
    const closed = this.servers.map((close) => close());
    for (const socket of this.sessions.values()) closed.push(hasClosed(socket));
    await this.deviceOrNull?.close().catch((error: Error) => this.warn(error.message));
    // A client that doesn't read its farewell can't keep the daemon.
    const patience = setTimeout(() => {
      for (const socket of this.sessions.values()) socket.destroy();
    }, 500);
    await Promise.all(closed);
    clearTimeout(patience);
    this.silent.stop();
    this.leaving.stop();
    this.folders.remove();
  }

  private makeDirectory(): void {
    if (process.platform === 'win32') return;
    const { directory, socket } = this.options;
    const wide = (socket.mode & 0o007) !== 0;
    const group = (socket.mode & 0o070) !== 0;
    const mode = wide ? 0o755 : group ? 0o750 : 0o700;
    this.folders.make(directory, { mode, group: socket.group });
  }

  private async serve(bus: Bus): Promise<void> {
    const { log, listening = [], verbose } = this.options;
    if (verbose) bus.verbose(1);
    bus.onLog = (text) => log.debug(`bus ${bus.number}: ${text}`, { bus: bus.number });
    const server = createServer({ noDelay: false }, (connection) => this.accept(bus, connection));
    const descriptor = listening[bus.number];
    if (descriptor !== undefined) {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen({ fd: descriptor }, resolve);
      });
      this.servers.push(() => new Promise((resolve) => server.close(() => resolve())));
    } else {
      const file = await this.listen(server, this.path(bus.number));
      this.servers.push(() => file.close());
    }
    server.on('error', (error) => log.warn(`bus ${bus.number}: ${error.message}`));
  }

  private async listen(server: Server, path: string): Promise<SocketFile> {
    const { directory, socket } = this.options;
    checkSocketPath(path);
    this.makeDirectory();
    try {
      return await listenAt(server, path, socket);
    } catch (error) {
      if (process.platform === 'win32' || existsSync(directory)) throw error;
      // A daemon that ended has removed its folder meanwhile.
      this.makeDirectory();
      return listenAt(server, path, socket);
    }
  }

  private get maxConnections(): number {
    return this.options.maxConnections ?? MAX_CONNECTIONS;
  }

  /** Whether there are as many connections and open files as there may be. */
  private get isFull(): boolean {
    return this.sessions.size + (this.deviceOrNull?.openFiles ?? 0) >= this.maxConnections;
  }

  private accept(bus: Bus, connection: Socket): void {
    if (this.isStopping) {
      connection.destroy();
      return;
    }
    const channel = new AcceptedChannel(connection, this.intake, this.leaving);
    const session = new Session(this, bus, channel);
    channel.open(session);
    if (this.isFull) {
      session.farewell(
        Errno.ENOMEM,
        `there are ${this.maxConnections} connections, which is max-connections of the daemon`,
      );
      return;
    }
    this.sessions.set(session, connection);
    this.silent.begin(session);
    connection.once('close', () => {
      this.silent.end(session);
      this.sessions.delete(session);
    });
  }
}

function hasClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}
