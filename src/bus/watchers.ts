import type { BusState } from './bus-state.ts';
import type { BusObserver } from './observer.ts';

type Events = Required<BusObserver>;

/** Tells several observers what one is told. */
class EachOf implements Events {
  private readonly all: readonly BusObserver[];

  constructor(all: readonly BusObserver[]) {
    this.all = all;
  }

  opened(...event: Parameters<Events['opened']>): void {
    for (const one of this.all) one.opened?.(...event);
  }

  closed(...event: Parameters<Events['closed']>): void {
    for (const one of this.all) one.closed?.(...event);
  }

  bound(...event: Parameters<Events['bound']>): void {
    for (const one of this.all) one.bound?.(...event);
  }

  unbound(...event: Parameters<Events['unbound']>): void {
    for (const one of this.all) one.unbound?.(...event);
  }

  bindRefused(...event: Parameters<Events['bindRefused']>): void {
    for (const one of this.all) one.bindRefused?.(...event);
  }

  sent(...event: Parameters<Events['sent']>): void {
    for (const one of this.all) one.sent?.(...event);
  }

  refused(...event: Parameters<Events['refused']>): void {
    for (const one of this.all) one.refused?.(...event);
  }

  waiting(...event: Parameters<Events['waiting']>): void {
    for (const one of this.all) one.waiting?.(...event);
  }

  discarded(...event: Parameters<Events['discarded']>): void {
    for (const one of this.all) one.discarded?.(...event);
  }

  queued(...event: Parameters<Events['queued']>): void {
    for (const one of this.all) one.queued?.(...event);
  }

  missed(...event: Parameters<Events['missed']>): void {
    for (const one of this.all) one.missed?.(...event);
  }

  answered(...event: Parameters<Events['answered']>): void {
    for (const one of this.all) one.answered?.(...event);
  }

  read(...event: Parameters<Events['read']>): void {
    for (const one of this.all) one.read?.(...event);
  }

  forgotten(...event: Parameters<Events['forgotten']>): void {
    for (const one of this.all) one.forgotten?.(...event);
  }

  abandoned(...event: Parameters<Events['abandoned']>): void {
    for (const one of this.all) one.abandoned?.(...event);
  }

  set(...event: Parameters<Events['set']>): void {
    for (const one of this.all) one.set?.(...event);
  }
}

/** The observers of a bus. The bus calls one; null while nobody watches, so that watching costs nothing then. */
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
    this.note();
  }

  delete(observer: BusObserver): void {
    this.all.delete(observer);
    this.note();
  }

  private note(): void {
    const [first = null, ...more] = this.all;
    this.state.observers = this.all.size;
    this.state.observer = more.length === 0 ? first : new EachOf([...this.all]);
  }
}
