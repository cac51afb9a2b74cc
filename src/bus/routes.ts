import { NameReader } from '../message/codec/name-reader.ts';
import { readName } from '../message/codec/records.ts';
import { checkMessageName, isWildcard } from '../message/name.ts';
import { type Binding, FIRST_WORD, isThere, Place, sharedWords, wordAt } from './binding-tree.ts';

/** Who gets the messages of one name. */
export interface Route<Ksock> {
  readonly replier: Binding<Ksock> | null;
  /** Newest first: once only keeps the first copy (spec 1 §5.3). Two names may share one list. */
  readonly listeners: readonly Binding<Ksock>[];
  /** The route holds while this is the epoch of the routes. */
  epoch: number;
}

/** Programs may send any names, so the number of routes kept has a bound. */
const MAX_KEPT_ROUTES = 65_536;

/** Names share lists of up to this many listeners. */
const MAX_SHARED_LISTENERS = 64;

/** How many lists may be kept beside two for each route. */
const SPARE_LISTS = 64;

const NOBODY: readonly never[] = [];

/**
 * The bindings of one bus, indexed by name: to find who gets a message costs the depth of its name and the wildcards
 * that match, not the number of bindings (spec 1 §2.2, spec 1 §7.2). A route is kept until a binding that could change
 * it comes or goes.
 */
export class Routes<Ksock = unknown> {
  private readonly root = new Place<Ksock>('', null);
  private readonly kept = new Map<string, Route<Ksock>>();
  /** The names of the kept routes, by their first word. */
  private readonly keptNames = new Map<string, Set<string>>();
  /** Lists of listeners, by the `order` of their bindings. */
  private readonly lists = new Map<string, readonly Binding<Ksock>[]>();
  private newest: Binding<Ksock> | null = null;
  private lastName = '';
  private lastRoute: Route<Ksock> | undefined;
  /** Names as records have them, with their routes; those of an older epoch may not hold any more. */
  private readonly names = new NameReader<Route<Ksock>>();
  /** Rises with each change of a binding. */
  private epoch = 0;

  /** The route of this name, if it is kept. */
  known(name: string): Route<Ksock> | undefined {
    if (name === this.lastName) return this.lastRoute;
    const route = this.kept.get(name);
    if (route !== undefined) {
      this.lastName = name;
      this.lastRoute = route;
    }
    return route;
  }

  /** The route of this name, which must be well formed. */
  find(name: string): Route<Ksock> {
    const known = this.known(name);
    if (known !== undefined) return known;
    const route = this.resolve(name);
    if (this.kept.size >= MAX_KEPT_ROUTES) this.forgetAll();
    this.keep(name, route);
    this.lastName = name;
    this.lastRoute = route;
    return route;
  }

  /** The route of the name in the head of a record; null when that is no name of a message. */
  findIn(bytes: Uint8Array, headAt: number): Route<Ksock> | null {
    const { names } = this;
    const slot = readName(names, bytes, headAt);
    const known = names.note(slot);
    if (known !== null && known.epoch === this.epoch) return known;
    const name = names.name(slot);
    if (this.known(name) === undefined && checkMessageName(name) !== 0) return null;
    const route = this.find(name);
    // A kept route still holds: a binding that could change it would have removed it.
    if (route.epoch !== this.epoch) route.epoch = this.epoch;
    names.setNote(slot, route);
    return route;
  }

  /** The Replier bound to exactly this binding name. */
  replierOf(bindingName: string): Binding<Ksock> | null {
    if (!bindingName.startsWith('$.')) return null;
    let place: Place<Ksock> | undefined = this.root;
    for (let at = FIRST_WORD; at <= bindingName.length; at += place.words.length + 1) {
      place = place.children?.get(wordAt(bindingName, at));
      if (place === undefined || !isThere(place.words, bindingName, at)) return null;
    }
    return place.replier;
  }

  add(binding: Binding<Ksock>): void {
    const place = this.placeFor(binding.name);
    binding.place = place;
    if (binding.replier) {
      place.replier = binding;
    } else {
      binding.olderHere = place.newest;
      if (place.newest !== null) place.newest.newerHere = binding;
      place.newest = binding;
    }
    binding.olderOfAll = this.newest;
    if (this.newest !== null) this.newest.newerOfAll = binding;
    this.newest = binding;
    this.forget(binding.name);
  }

  remove(binding: Binding<Ksock>): void {
    const place = binding.place as Place<Ksock>;
    binding.place = null;
    if (binding.replier) {
      place.replier = null;
    } else {
      const { newerHere, olderHere } = binding;
      if (newerHere === null) place.newest = olderHere;
      else newerHere.olderHere = olderHere;
      if (olderHere !== null) olderHere.newerHere = newerHere;
      binding.newerHere = null;
      binding.olderHere = null;
    }
    place.tidy();
    const { newerOfAll, olderOfAll } = binding;
    if (newerOfAll === null) this.newest = olderOfAll;
    else newerOfAll.olderOfAll = olderOfAll;
    if (olderOfAll !== null) olderOfAll.newerOfAll = newerOfAll;
    binding.isBound = false;
    this.forget(binding.name);
  }

  /**
   * The next older binding; for null, the newest. The given binding may have been undone since: a walk from it still
   * comes to each older binding that is there, once.
   */
  olderThan(binding: Binding<Ksock> | null): Binding<Ksock> | null {
    let older = binding === null ? this.newest : binding.olderOfAll;
    while (older !== null && !older.isBound) older = older.olderOfAll;
    return older;
  }

  /** All bindings, newest first. */
  *[Symbol.iterator](): Generator<Binding<Ksock>> {
    for (let at = this.olderThan(null); at !== null; at = this.olderThan(at)) yield at;
  }

  /** The node of a binding name; adds it if there is none. */
  private placeFor(bindingName: string): Place<Ksock> {
    let place = this.root;
    for (let at = FIRST_WORD; at <= bindingName.length; ) {
      const word = wordAt(bindingName, at);
      const child: Place<Ksock> | undefined = place.children?.get(word);
      if (child === undefined) return place.add(word, bindingName.slice(at));
      const shared = sharedWords(child.words, bindingName, at);
      place = shared === child.words.length ? child : child.split(shared);
      at += shared + 1;
    }
    return place;
  }

  private resolve(name: string): Route<Ksock> {
    const found: Place<Ksock>[] = [];
    this.root.collect(name, FIRST_WORD, found);
    let replier: Binding<Ksock> | null = null;
    let withListeners = 0;
    const listeners: Binding<Ksock>[] = [];
    for (const place of found) {
      // `found` has the most specific first.
      replier ??= place.replier;
      if (place.newest !== null) withListeners++;
      for (let binding = place.newest; binding !== null; binding = binding.olderHere) {
        listeners.push(binding);
      }
    }
    if (withListeners > 1) listeners.sort((a, b) => b.order - a.order);
    return { replier, listeners: this.shared(listeners), epoch: this.epoch };
  }

  /** The one list of these bindings: names that share a list go the same way. */
  private shared(listeners: readonly Binding<Ksock>[]): readonly Binding<Ksock>[] {
    if (listeners.length === 0) return NOBODY;
    if (listeners.length > MAX_SHARED_LISTENERS) return listeners;
    const key = listeners.map(({ order }) => order).join();
    const known = this.lists.get(key);
    if (known !== undefined) return known;
    if (this.lists.size > 2 * this.kept.size + SPARE_LISTS) {
      // Most lists are of bindings that have gone. Begin anew, so that names that go the same way share a list again.
      this.epoch++;
      this.forgetAll();
    }
    this.lists.set(key, listeners);
    return listeners;
  }

  private keep(name: string, route: Route<Ksock>): void {
    this.kept.set(name, route);
    const word = wordAt(name, FIRST_WORD);
    const names = this.keptNames.get(word);
    if (names === undefined) this.keptNames.set(word, new Set([name]));
    else names.add(name);
  }

  /**
   * Forgets the routes that a change of this binding may touch: for a name, its own; for a wildcard, those of all names
   * with the same first word; for a wildcard whose first word is one, all.
   */
  private forget(bindingName: string): void {
    this.epoch++;
    this.lastName = '';
    this.lastRoute = undefined;
    if (this.kept.size === 0) return;
    const word = wordAt(bindingName, FIRST_WORD);
    if (word === '%' || word === '*') {
      this.forgetAll();
      return;
    }
    const names = this.keptNames.get(word);
    if (names === undefined) return;
    if (isWildcard(bindingName)) {
      for (const name of names) this.kept.delete(name);
      this.keptNames.delete(word);
    } else if (this.kept.delete(bindingName)) {
      names.delete(bindingName);
      if (names.size === 0) this.keptNames.delete(word);
    }
  }

  private forgetAll(): void {
    this.kept.clear();
    this.keptNames.clear();
    this.lists.clear();
    this.lastName = '';
    this.lastRoute = undefined;
  }
}
