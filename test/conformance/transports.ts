import type { Bus } from '../../src/bus/bus.ts';
import { Buses } from '../../src/bus/buses.ts';
import { printBindings, printStats } from '../../src/bus/report.ts';
import { Ksock } from '../../src/client/ksock.ts';
import type { Mode } from '../../src/message/calls.ts';
import { LOCAL_WEB, LocalDaemon } from '../support/daemon.ts';
import { FrameHost } from '../support/frame-host.ts';
import { byteByByte, type Cut, whole } from '../support/pipe.ts';
import type { Place, Transport } from './transport.ts';

class KsockPlace implements Place<Ksock> {
  readonly bus: Bus;
  private readonly openOn: (mode: Mode, bus: number) => Promise<Ksock>;
  private readonly end: () => Promise<void>;
  private readonly ksocks: Ksock[] = [];

  constructor(
    bus: Bus,
    open: (mode: Mode, bus: number) => Promise<Ksock>,
    end: () => Promise<void> = async () => {},
  ) {
    this.bus = bus;
    this.openOn = open;
    this.end = end;
  }

  async open(mode: Mode = 'rw', bus = 0): Promise<Ksock> {
    const ksock = await this.openOn(mode, bus);
    this.ksocks.push(ksock);
    return ksock;
  }

  /** An existing Ksock: a new one would appear in the report. */
  private get anyKsock(): Ksock {
    const found = this.ksocks.find((ksock) => ksock.number === 0 && ksock.isConnected);
    if (found === undefined) throw new Error('no Ksock of bus 0 is open');
    return found;
  }

  async bindings(): Promise<string> {
    return printBindings(0, await this.anyKsock.readBindings());
  }

  async stats(): Promise<string> {
    return printStats(await this.anyKsock.stats());
  }

  async close(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
    await this.end();
  }
}

export const inProcess: Transport<Ksock> = {
  name: 'in this process',
  hasNumbers: false,
  place: async (settings) => {
    const buses = new Buses(1, settings);
    const busOf = (number: number): Bus => buses.get(number) as Bus;
    return new KsockPlace(busOf(0), (mode, bus) => Ksock.open(busOf(bus), { mode }));
  },
};

/** Client and session, connected in memory. */
const frames = (name: string, cut: Cut, turnSteps?: number): Transport<Ksock> => ({
  name,
  place: async (settings) => {
    const host = new FrameHost(settings, cut, turnSteps);
    return new KsockPlace(host.bus, (mode, bus) => host.open({ mode }, bus));
  },
});

export const inFrames = frames('in frames', whole);
export const inFramesByteByByte = frames('in frames that come byte by byte', byteByByte);
/** Nearly everything is put off (spec 1 §14.2). */
export const inShortTurns = frames('in turns of two steps', whole, 2);

export const unixSocket: Transport<Ksock> = {
  name: 'over a Unix socket',
  place: async (settings) => {
    const local = await LocalDaemon.start(settings);
    return new KsockPlace(
      local.daemon.buses.get(0) as Bus,
      (mode, bus) => local.open({ mode }, bus),
      () => local.stop(),
    );
  },
};

export const webSocket: Transport<Ksock> = {
  name: 'over a WebSocket',
  hasPids: false,
  place: async (settings) => {
    const local = await LocalDaemon.start(settings, { web: LOCAL_WEB });
    return new KsockPlace(
      local.daemon.buses.get(0) as Bus,
      (mode, bus) => local.openWeb({ mode }, bus),
      () => local.stop(),
    );
  },
};
