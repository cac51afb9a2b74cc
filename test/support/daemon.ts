import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import type { BusSettings } from '../../src/bus/settings.ts';
import { Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { TransportKsock, type WebKsockOptions } from '../../src/client/transport-ksock.ts';
import { Daemon, type DaemonOptions } from '../../src/daemon/daemon.ts';
import { Log } from '../../src/daemon/log.ts';
import { addressFile } from '../../src/system/web-address-file.ts';
import type { WebOptions } from '../../src/web/web-server.ts';
import { newFolder } from './folder.ts';

/** Where `npm run build` puts what a daemon serves to browsers. */
export const PAGE_FOLDER = fileURLToPath(new URL('../../dist/page/', import.meta.url));

/** The web at any free port. The page is that of the build, as `kbus serve` has it. */
export const LOCAL_WEB: WebOptions = { listen: '127.0.0.1:0', timeout: 30, folder: PAGE_FOLDER };

/** A daemon in this process, with a directory of its own, and the Ksocks opened on it. */
export class LocalDaemon {
  readonly directory: string;
  readonly daemon: Daemon;
  /** Its log. */
  readonly said: string[] = [];
  private readonly ksocks: Ksock[] = [];

  private constructor(directory: string, options: Partial<DaemonOptions>) {
    this.directory = directory;
    this.daemon = new Daemon({
      buses: 1,
      directory,
      socket: { mode: 0o600, group: undefined },
      bus: {},
      log: new Log('human', (line) => this.said.push(line)),
      ...options,
    });
  }

  static async start(
    settings: Partial<BusSettings> = {},
    options: Partial<DaemonOptions> = {},
  ): Promise<LocalDaemon> {
    const directory = options.directory ?? (await newFolder());
    const local = new LocalDaemon(directory, { bus: settings, ...options });
    await local.daemon.start();
    return local;
  }

  async open(options: KsockOptions = {}, bus = 0): Promise<Ksock> {
    const ksock = await Ksock.open(bus, { directory: this.directory, ...options });
    this.ksocks.push(ksock);
    return ksock;
  }

  /** The address of its page, with the token of an access point. */
  page(access = ''): URL {
    return new URL(readFileSync(addressFile(this.directory, access), 'utf8').trim());
  }

  token(access = ''): string {
    return this.page(access).hash.replace('#token=', '');
  }

  /** Opens a Ksock over WebSocket. */
  async openWeb(options: WebKsockOptions = {}, bus = 0): Promise<Ksock> {
    const { origin } = this.page();
    const ksock = await TransportKsock.open(bus, {
      url: origin,
      token: this.token(),
      WebSocket,
      ...options,
    });
    // Both have the same calls; for the compiler, each has private members of its own.
    const opened = ksock as unknown as Ksock;
    this.ksocks.push(opened);
    return opened;
  }

  async stop(why = 'the test is over'): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    await this.daemon.stop(why);
  }
}
