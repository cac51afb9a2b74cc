import { Bus } from '../../src/bus/bus.ts';
import type { BusSettings } from '../../src/bus/settings.ts';
import { BusTap } from '../../src/tap/bus-tap.ts';
import { EventReader } from '../../src/tap/event-reader.ts';
import type { TapEvent } from '../../src/tap/events.ts';
import { KINDS } from '../../src/tap/filter.ts';
import { Program } from '../bus/program.ts';

/** A bus with programs, and a model that gets the events of a tap on it. The test says what time it is, in microseconds. */
export class Watched {
  readonly bus: Bus;
  time = 0;
  private readonly tap: BusTap;
  private readonly reader = new EventReader();
  private readonly model: { apply(event: TapEvent): void };

  constructor(
    model: { apply(event: TapEvent): void },
    settings: Partial<BusSettings> = {},
    before: (bus: Bus) => void = () => {},
    size = 4 * 1024 * 1024,
  ) {
    this.model = model;
    this.bus = new Bus(settings);
    before(this.bus);
    this.tap = new BusTap(
      this.bus,
      { filter: { names: null, kinds: KINDS, data: 0 }, size, startedAt: 0 },
      { now: () => this.time, hasEvents: () => {}, hasBlock: () => {} },
    );
    this.settle();
  }

  program(name: string, options: { limit?: number } = {}): Program {
    const who = { program: name, pid: 0, uid: -1, isClaimed: true };
    return new Program(this.bus, { who, ...options });
  }

  /** Gives the model all events until now, and then lets time pass. */
  pass(us: number): void {
    this.settle();
    this.time += us;
  }

  settle(): void {
    for (;;) {
      const block = this.tap.take();
      if (block !== null) for (const event of this.reader.read(block)) this.model.apply(event);
      else if (this.tap.mustGoOn) this.tap.goOn();
      else return;
    }
  }
}
