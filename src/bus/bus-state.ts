import { Chain } from '../base/chain.ts';
import type { KsockState } from './ksock-state.ts';
import type { Memory, Share } from './memory.ts';
import type { BusObserver } from './observer.ts';
import { Routes } from './routes.ts';
import type { BusSettings } from './settings.ts';
import type { Work } from './work.ts';

const MAX_U32 = 0xffff_ffff;

/** What all parts of a bus share: its Ksocks, routes, numbers and settings. */
export class BusState {
  /** The number that the bus is known by, from 0. */
  readonly number: number;
  readonly settings: BusSettings;
  /** @internal What all programs hold, on this bus and on those that share its memory. */
  readonly memory: Memory;
  /** @internal What the Ksocks hold that are opened at no other access point. */
  readonly share: Share;
  /** @internal */
  readonly work: Work;
  /** @internal The open Ksocks by id, oldest first. */
  readonly ksocks = new Map<number, KsockState>();
  /** @internal The same Ksocks, for reports. */
  readonly openKsocks = new Chain<KsockState>();
  /** @internal */
  readonly routes: Routes<KsockState>;
  /** @internal */
  nextKsockId = 1;
  /** @internal */
  nextSerial = 1;
  /** @internal The size in bytes of the largest message that may be sent now. */
  largestMessage: number;
  /** @internal Everybody who watches; null while nobody does, so that watching costs nothing then. */
  observer: BusObserver | null = null;
  /** @internal How many they are. */
  observers = 0;
  private deliveries = 0;

  /** @internal */
  constructor(number: number, settings: BusSettings, memory: Memory, work: Work) {
    this.number = number;
    this.settings = settings;
    this.memory = memory;
    this.work = work;
    memory.buses.add(this.ksocks);
    this.share = memory.share('');
    this.routes = new Routes(this.share, work);
    this.largestMessage = settings.maxMessageSize;
  }

  /** @internal Takes `count` serial numbers that follow each other, and gives the first. */
  takeSerials(count: number): number {
    const serial = this.nextSerial;
    const next = serial + count;
    this.nextSerial = next > MAX_U32 ? 1 : next;
    return serial;
  }

  /** @internal Whether so many serial numbers are left before they start again from 1. */
  hasSerials(count: number): boolean {
    return this.nextSerial + count <= MAX_U32;
  }

  /** @internal A number that no delivery has marked a Ksock with yet. */
  newDelivery(): number {
    return ++this.deliveries;
  }
}
