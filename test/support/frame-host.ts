import { FlushScheduler } from '../../src/base/flush-scheduler.ts';
import { plainMemory } from '../../src/base/memory.ts';
import { Slab } from '../../src/base/slab.ts';
import type { Bus } from '../../src/bus/bus.ts';
import { Buses } from '../../src/bus/buses.ts';
import { Memory } from '../../src/bus/memory.ts';
import { BUS_DEFAULTS, type BusSettings } from '../../src/bus/settings.ts';
import { Work } from '../../src/bus/work.ts';
import { type Connect, Ksock, type KsockOptions } from '../../src/client/ksock.ts';
import { FramePort } from '../../src/client/ports/frame-port.ts';
import { PortError } from '../../src/client/ports/port.ts';
import { Chunks } from '../../src/daemon/chunks.ts';
import { Session, type SessionHost } from '../../src/daemon/session.ts';
import { Turns } from '../../src/daemon/turns.ts';
import { NameNumbers } from '../../src/message/codec/name-numbers.ts';
import { Errno } from '../../src/message/errno.ts';
import { ToldNames } from '../../src/wire/told-names.ts';
import { type Cut, PipeEnd, whole } from './pipe.ts';

/** A daemon without sockets: sessions on pipes. */
export class FrameHost implements SessionHost {
  readonly flushes = new FlushScheduler();
  readonly turns: Turns;
  readonly chunks: Chunks;
  readonly slab = new Slab(65_536, plainMemory);
  readonly pid = 4242;
  readonly buses: Buses;
  readonly warnings: string[] = [];
  /** The daemon's end of each connection, oldest first. */
  readonly ends: PipeEnd[] = [];
  private readonly cut: Cut;
  private readonly ksocks: Ksock[] = [];

  /** `turnSteps`: after how many steps a turn is over. */
  constructor(settings: Partial<BusSettings> = {}, cut: Cut = whole, turnSteps?: number) {
    const work = new Work(turnSteps);
    const memory = new Memory(settings.maxMemory ?? BUS_DEFAULTS.maxMemory);
    this.buses = new Buses(1, settings, { memory, names: new NameNumbers(), work });
    // Messages move as soon as they may.
    this.chunks = new Chunks(memory, work, 0);
    this.turns = new Turns(work, setImmediate, this.flushes);
    this.cut = cut;
  }

  get bus(): Bus {
    return this.buses.get(0) as Bus;
  }

  async newDevice(): Promise<number> {
    return this.buses.newDevice();
  }

  warn(text: string): void {
    this.warnings.push(text);
  }

  /** A transport to one of its buses. */
  connect(bus = 0): Connect {
    return async (mode, events, signal) => {
      const to = this.buses.get(bus);
      if (to === undefined) throw new PortError(Errno.ENOENT);
      return this.connectTo(to)(mode, events, signal);
    };
  }

  /** A transport to a bus, which may be another's. */
  connectTo(to: Bus): Connect {
    return (mode, events, signal) =>
      FramePort.open(
        (toldTo) => {
          const [client, daemon] = PipeEnd.pair(this.cut);
          daemon.open(new Session(this, to, daemon));
          this.ends.push(daemon);
          return client.open(toldTo);
        },
        {
          mode,
          pid: 1000 + this.ends.length,
          program: 'test',
          told: new ToldNames(),
          defer: process.nextTick,
          deferLonger: setImmediate,
        },
        events,
        signal,
      );
  }

  async open(options: KsockOptions = {}, bus = 0): Promise<Ksock> {
    const ksock = await Ksock.open(this.connect(bus), options);
    this.ksocks.push(ksock);
    return ksock;
  }

  async close(): Promise<void> {
    await Promise.all(this.ksocks.map((ksock) => ksock.close()));
  }
}
