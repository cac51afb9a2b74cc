import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Bus } from '../../src/bus/bus.ts';
import type { BusSettings } from '../../src/bus/settings.ts';
import type { Mode } from '../../src/message/calls.ts';
import { Caller } from '../device/caller.ts';
import { FileKsock } from '../device/file-ksock.ts';
import { missing } from '../device/ground.ts';
import { LocalDaemon } from '../support/daemon.ts';
import { newFolder } from '../support/folder.ts';
import { original } from './original.ts';
import type { Place, Transport } from './transport.ts';

/** One device for all tests: it takes a while to start. */
let caller: Caller;

class DevicePlace implements Place<FileKsock> {
  readonly bus: Bus;
  private readonly local: LocalDaemon;
  private readonly directory: string;
  private readonly ksocks: FileKsock[] = [];

  constructor(local: LocalDaemon, directory: string) {
    this.local = local;
    this.directory = directory;
    this.bus = local.daemon.buses.get(0) as Bus;
  }

  async open(mode?: Mode, bus?: number): Promise<FileKsock> {
    const ksock = await FileKsock.open(caller, this.directory, mode, bus);
    this.ksocks.push(ksock);
    return ksock;
  }

  bindings(): Promise<string> {
    return caller.call('text', join(this.directory, 'bindings'));
  }

  stats(): Promise<string> {
    return caller.call('text', join(this.directory, 'stats'));
  }

  async close(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    await this.local.stop();
  }
}

const device: Transport<FileKsock> = {
  queueLimit: 100,
  readOnlyReplies: true,
  name: 'by a device file',
  hasNumbers: true,
  place: async (settings: Partial<BusSettings> = {}) => {
    const directory = join(await newFolder(), 'dev');
    const local = await LocalDaemon.start(settings, { device: { directory } });
    return new DevicePlace(local, directory);
  },
};

const title = missing === null ? 'a mounted device' : `a mounted device (SKIPPED: ${missing})`;
describe.skipIf(missing !== null)(title, () => {
  beforeAll(() => {
    caller = new Caller();
  });
  afterAll(() => caller.end());

  original(device);
});
