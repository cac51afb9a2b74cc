import type { BusSettings } from '../../src/bus/settings.ts';
import { Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { Daemon, type DaemonOptions } from '../../src/daemon/daemon.ts';
import { Log } from '../../src/daemon/log.ts';
import { newFolder } from './folder.ts';

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

  async stop(why = 'the test is over'): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    await this.daemon.stop(why);
  }
}
