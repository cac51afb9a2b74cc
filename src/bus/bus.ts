import { brand } from '../base/other-copy.ts';
import { NameNumbers } from '../message/codec/name-numbers.ts';
import { Engine } from './engine.ts';
import { UNKNOWN } from './identity.ts';
import { BusKsock } from './ksock.ts';
import type { KsockOwner, KsockTraits } from './ksock-state.ts';
import { Memory } from './memory.ts';
import type { BusObserver } from './observer.ts';
import { type BusSettings, COSTS, type Given, settingsOf } from './settings.ts';
import { Work } from './work.ts';

/** By default: to read and write, for an unknown program with all rights, and with the bus's own limit of messages. */
export type OpenOptions = Given<KsockTraits>;

/**
 * How a bus is made; what is not given, or undefined, is as in BUS_DEFAULTS.
 *
 * @see {@link Bus} for an example
 */
export interface BusOptions extends Given<BusSettings> {
  number?: number | undefined;
  /** @internal What the bus shares with others. */
  common?: Common | undefined;
}

/** @internal What buses of one daemon share: see {@link Memory}, {@link Work} and {@link NameNumbers}. */
export interface Common {
  readonly memory: Memory;
  readonly work: Work;
  readonly names: NameNumbers;
}

/** What makes the buses beside this one: see {@link Buses}. */
export interface BusMaker {
  /** Makes the next bus; its number, or -EINVAL when there are 256. */
  newDevice(): number;
}

/** @internal For buses that no others share it with, in a process that nobody else waits for. */
export function commonOf({ maxMemory }: BusSettings): Common {
  return { memory: new Memory(maxMemory), work: new Work(), names: new NameNumbers() };
}

/**
 * One bus: a state machine without I/O, clock or chance (spec 1). A program opens Ksocks on a bus in its own process
 * with `Ksock.open(bus)`; the daemon does so for the programs at its sockets and device files.
 *
 * @example
 * ```ts
 * import { Announcement, Bus, type BusOptions, Ksock } from 'kbus';
 *
 * const options: BusOptions = { number: 3, maxMessages: 100 };
 * const bus = new Bus(options);
 * const [sensor, logger] = [await Ksock.open(bus), await Ksock.open(bus)];
 * await logger.bind('$.Temp');
 * await sensor.sendMsg(new Announcement('$.Temp', '20'));
 * console.log(logger.number, await logger.numMessages(), await logger.maxMessages()); // → 3 1 100
 * await Promise.all([sensor.close(), logger.close()]);
 * ```
 */
export class Bus extends Engine {
  /** @internal The buses it belongs to, if any. */
  buses: BusMaker | null = null;
  /** @internal The numbers of the names of messages. */
  readonly names: NameNumbers;

  constructor(options: BusOptions = {}) {
    const { number = 0, common, ...given } = options;
    const settings = settingsOf(given);
    const { memory, names, work } = common ?? commonOf(settings);
    super(number, settings, memory, work);
    this.names = names;
  }

  /** @internal */
  open(owner: KsockOwner, options: OpenOptions = {}): BusKsock {
    const id = this.nextKsockId++;
    const ksock = new BusKsock(this, id, owner, {
      mode: options.mode ?? 'rw',
      who: options.who ?? UNKNOWN,
      access: options.access ?? null,
      readOnlyReplies: options.readOnlyReplies ?? true,
      maxMessages: options.maxMessages ?? this.settings.maxMessages,
      share: options.share ?? this.share,
    });
    ksock.hold(COSTS.ksock);
    this.memory.keepFor(1);
    this.ksocks.set(id, ksock);
    this.openKsocks.add(ksock);
    this.observer?.opened?.(ksock);
    return ksock;
  }

  /** @internal Tells an observer what happens from now on, until the program calls the function that it gives. */
  watch(observer: BusObserver): () => void {
    this.watchers.add(observer);
    return () => this.watchers.delete(observer);
  }

  /** Where the debug log goes while *verbose* is on. */
  get onLog(): ((text: string) => void) | null {
    return this.switches.onLog;
  }

  set onLog(log: ((text: string) => void) | null) {
    this.switches.onLog = log;
  }

  /** @internal Bind events in queues past their limits (spec 1 §9.2). */
  get heldEvents(): number {
    return this.bindReports.heldEvents;
  }

  /** @internal Sets (0, 1) or asks (0xFFFFFFFF) whether the debug log is on; returns what it was. EINVAL. */
  verbose(value: number): number {
    return this.switches.verbose(value);
  }

  /**
   * @internal Sets the size in bytes of the largest message that may be sent, counted as in spec 1 §4.4, and returns it; 0 asks,
   * and 1 asks for the largest value that may be set. EINVAL.
   */
  maxMessageSize(size: number): number {
    return this.switches.maxMessageSize(size);
  }
}

brand(Bus, 'Bus');
