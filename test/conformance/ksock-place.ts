import type { Bus } from '../../src/bus/bus.ts';
import { printBindings, printStats } from '../../src/bus/report.ts';
import type { Ksock } from '../../src/client/ksock.ts';
import type { Mode } from '../../src/message/calls.ts';
import type { Place } from './transport.ts';

/** The Ksocks of a place, however they are opened. Nothing here needs Node: pages have places, too. */
export class KsockPlace implements Place<Ksock> {
  readonly bus: Bus | null;
  private readonly openOn: (mode: Mode, bus: number) => Promise<Ksock>;
  private readonly end: () => Promise<void>;
  private readonly ksocks: Ksock[] = [];

  constructor(
    bus: Bus | null,
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
