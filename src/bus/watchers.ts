import type { BusState } from './bus-state.ts';
import { type BusObserver, observers } from './observer.ts';

/** The observers of a bus. While there is none, the bus has no observer to call. */
export class Watchers {
  private readonly state: BusState;
  private readonly all = new Set<BusObserver>();

  constructor(state: BusState) {
    this.state = state;
  }

  has(observer: BusObserver): boolean {
    return this.all.has(observer);
  }

  add(observer: BusObserver): void {
    this.all.add(observer);
    this.state.observer = observers([...this.all]);
  }

  delete(observer: BusObserver): void {
    this.all.delete(observer);
    this.state.observer = observers([...this.all]);
  }
}
