import { wildcardOf } from '../message/name.ts';
import type { BusKsock } from './ksock.ts';

/** A Ksock's wish to hear (or answer) messages of a name, or of the names that a wildcard matches. */
export class Binding {
  readonly ksock: BusKsock;
  readonly name: string;
  readonly replier: boolean;
  /** Rises with each binding of the bus: which of two is newer. */
  readonly order: number;
  /** How many unread messages of its Ksock came by this binding. */
  queued = 0;
  /** The next older binding of the same Ksock to the same name as listener. */
  older: Binding | null = null;
  // The listeners of one name are a list, so that one of many leaves without a search.
  previous: Binding | null = null;
  next: Binding | null = null;
  // So are all of a bus. One that was undone still tells which was the older: see `olderThan`.
  newerOfAll: Binding | null = null;
  olderOfAll: Binding | null = null;
  isBound = true;

  constructor(ksock: BusKsock, name: string, replier: boolean, order: number) {
    this.ksock = ksock;
    this.name = name;
    this.replier = replier;
    this.order = order;
  }
}

/** All that is bound to one binding name. */
class Place {
  replier: Binding | null = null;
  first: Binding | null = null;
  last: Binding | null = null;

  get isEmpty(): boolean {
    return this.replier === null && this.first === null;
  }
}

/** Who gets the messages of one name. */
export interface Route {
  readonly replier: Binding | null;
  readonly listeners: readonly Binding[];
}

/** Names that are sent are any a program likes, so the routes kept for them must have a bound. */
const MAX_KEPT = 65_536;

/**
 * The bindings of one bus, indexed so that finding who gets a message costs the depth of its name,
 * and not the number of bindings (the specification, sections 2 and 7). A route that was found is
 * kept until a binding that could touch it changes.
 */
export class Routes {
  /** Places by binding name; a wildcard's ends with its `*` or `%`. */
  private readonly places = new Map<string, Place>();
  private readonly kept = new Map<string, Route>();
  /** How many wildcards end with each: no wildcards, no look-ups for them. */
  private readonly wildcards = { '*': 0, '%': 0 };
  private newest: Binding | null = null;
  private lastName = '';
  private lastRoute: Route | undefined;

  /** Who gets messages of this name, if that was asked before and still holds. */
  known(name: string): Route | undefined {
    if (name === this.lastName) return this.lastRoute;
    const route = this.kept.get(name);
    if (route !== undefined) {
      this.lastName = name;
      this.lastRoute = route;
    }
    return route;
  }

  /** Who gets messages of this name, which must be well formed. */
  find(name: string): Route {
    const known = this.known(name);
    if (known !== undefined) return known;
    const route = this.resolve(name);
    if (this.kept.size >= MAX_KEPT) this.forgetAll();
    this.kept.set(name, route);
    this.lastName = name;
    this.lastRoute = route;
    return route;
  }

  /** The Replier bound to exactly this binding name. */
  replierOf(bindingName: string): Binding | null {
    return this.places.get(bindingName)?.replier ?? null;
  }

  add(binding: Binding): void {
    let place = this.places.get(binding.name);
    if (place === undefined) {
      place = new Place();
      this.places.set(binding.name, place);
      this.countWildcard(binding.name, 1);
    }
    if (binding.replier) {
      place.replier = binding;
    } else {
      binding.previous = place.last;
      if (place.last === null) place.first = binding;
      else place.last.next = binding;
      place.last = binding;
    }
    binding.olderOfAll = this.newest;
    if (this.newest !== null) this.newest.newerOfAll = binding;
    this.newest = binding;
    this.forget(binding.name);
  }

  remove(binding: Binding): void {
    const place = this.places.get(binding.name) as Place;
    if (binding.replier) {
      place.replier = null;
    } else {
      if (binding.previous === null) place.first = binding.next;
      else binding.previous.next = binding.next;
      if (binding.next === null) place.last = binding.previous;
      else binding.next.previous = binding.previous;
      binding.previous = null;
      binding.next = null;
    }
    if (place.isEmpty) {
      this.places.delete(binding.name);
      this.countWildcard(binding.name, -1);
    }
    const { newerOfAll, olderOfAll } = binding;
    if (newerOfAll === null) this.newest = olderOfAll;
    else newerOfAll.olderOfAll = olderOfAll;
    if (olderOfAll !== null) olderOfAll.newerOfAll = newerOfAll;
    binding.isBound = false;
    this.forget(binding.name);
  }

  /**
   * The binding that is the next older, or the newest of all. One that was told of may have been undone
   * since: all that are older and still there will be come to from it, each once.
   */
  olderThan(binding: Binding | null): Binding | null {
    let older = binding === null ? this.newest : binding.olderOfAll;
    while (older !== null && !older.isBound) older = older.olderOfAll;
    return older;
  }

  /** All bindings, newest first. */
  *[Symbol.iterator](): Generator<Binding> {
    for (let at = this.olderThan(null); at !== null; at = this.olderThan(at)) yield at;
  }

  private countWildcard(name: string, change: number): void {
    const wildcard = wildcardOf(name);
    if (wildcard !== '') this.wildcards[wildcard] += change;
  }

  // The Replier is that of the exact name, else of `%`, else of the longest `*`.
  private resolve(name: string): Route {
    let replier: Binding | null = null;
    const listeners: Binding[] = [];
    const visit = (bindingName: string): void => {
      const place = this.places.get(bindingName);
      if (place === undefined) return;
      replier ??= place.replier;
      for (let binding = place.first; binding !== null; binding = binding.next) {
        listeners.push(binding);
      }
    };
    visit(name);
    let dot = name.lastIndexOf('.');
    if (this.wildcards['%'] > 0) visit(`${name.slice(0, dot)}.%`);
    if (this.wildcards['*'] > 0) {
      for (; dot > 0; dot = name.lastIndexOf('.', dot - 1)) visit(`${name.slice(0, dot)}.*`);
    }
    return { replier, listeners };
  }

  // A binding to one name touches only the route of that name; a wildcard may touch any.
  private forget(bindingName: string): void {
    if (wildcardOf(bindingName) !== '') {
      this.forgetAll();
    } else {
      this.kept.delete(bindingName);
      if (bindingName === this.lastName) this.lastRoute = undefined;
    }
  }

  private forgetAll(): void {
    if (this.kept.size > 0) this.kept.clear();
    this.lastRoute = undefined;
  }
}
