import { Errno } from '../message/errno.ts';
import { Bus, type Common, commonOf } from './bus.ts';
import { type BusSettings, type Given, MAX_BUSES, settingsOf } from './settings.ts';

/**
 * The buses of one machine (or daemon, or program): numbered from 0, isolated from each other.
 *
 * @example
 * ```ts
 * import { Buses, type BusSettings, type Given, Ksock } from 'kbus';
 *
 * const settings: Given<BusSettings> = { maxMemory: 64 * 1024 * 1024 };
 * const buses = new Buses(2, settings);
 * console.log(buses.newDevice(), buses.count); // → 2 3
 * const ksock = await Ksock.open(buses.get(1));
 * console.log(ksock.number, (await ksock.stats()).maxMemory); // → 1 67108864
 * await ksock.close();
 * ```
 */
export class Buses {
  private readonly buses: Bus[] = [];
  private readonly settings: BusSettings;
  private readonly common: Common;

  constructor(count?: number, settings?: Given<BusSettings>);
  /** @internal `common`: what they share; by default, memory as the settings say. */
  constructor(count: number, settings: Given<BusSettings>, common: Common);
  constructor(count = 1, settings: Given<BusSettings> = {}, common?: Common) {
    this.settings = settingsOf(settings);
    this.common = common ?? commonOf(this.settings);
    for (let number = 0; number < count; number++) this.newDevice();
  }

  get count(): number {
    return this.buses.length;
  }

  /** The bus with this number; undefined if there is none. */
  get(number: number): Bus | undefined {
    return this.buses[number];
  }

  /** Makes the next bus; its number, or -EINVAL when there are 256. */
  newDevice(): number {
    const bus = this.next();
    if (bus === null) return -Errno.EINVAL;
    this.add(bus);
    return bus.number;
  }

  /** @internal The next bus, which gets its number with {@link add}: until then that is free. Null when there are 256. */
  next(): Bus | null {
    if (this.buses.length >= MAX_BUSES) return null;
    const bus = new Bus({ number: this.buses.length, common: this.common, ...this.settings });
    bus.buses = this;
    return bus;
  }

  /** @internal Adds what {@link next} gave. */
  add(bus: Bus): void {
    if (bus.number !== this.buses.length) throw new Error(`bus ${bus.number} is not the next one`);
    this.buses.push(bus);
  }

  /** @internal Gives up what {@link next} gave. */
  drop(bus: Bus): void {
    this.common.memory.buses.delete(bus.ksocks);
  }

  [Symbol.iterator](): IterableIterator<Bus> {
    return this.buses.values();
  }

  /** @internal The buses that a bus belongs to; one that was made alone becomes the first of its own. */
  static of(bus: Bus): Buses {
    if (bus.buses instanceof Buses) return bus.buses;
    const { memory, names, work } = bus;
    const buses = new Buses(0, bus.settings, { memory, names, work });
    bus.buses = buses;
    buses.buses.push(bus);
    return buses;
  }
}
