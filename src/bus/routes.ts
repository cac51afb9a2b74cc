import { Chain } from '../base/chain.ts';
import { ByNumber } from '../message/codec/by-number.ts';
import { nameAt, numberAt } from '../message/codec/records.ts';
import { checkMessageName, isWildcard } from '../message/name.ts';
import {
  type Binding,
  FIRST_WORD,
  isThere,
  Place,
  Search,
  sharedWords,
  wordAt,
} from './binding-tree.ts';

/** Who gets the messages of one name. */
export interface Route<Ksock> {
  replier: Binding<Ksock> | null;
  /** Newest first: once only keeps the first copy (spec 1 §5.3). Names whose bindings are the same share one list. */
  listeners: readonly Binding<Ksock>[];
  /** The route holds while this is the epoch of the routes. */
  epoch: number;
}

/** Programs may send any names, so the number of routes kept has a bound. */
const MAX_KEPT_ROUTES = 65_536;

/** Bytes of memory that kept routes and lists may take, but for one list that takes more. */
const MAX_KEPT_BYTES = 32 * 1024 * 1024;
/** They may take this part of the room that there is. */
const ROOM_PART = 1 / 4;
/** Bytes that a kept route takes beside its name, and a list beside its key and 8 for each listener. */
const ROUTE_COST = 336;
const LIST_COST = 320;
/** How many lists may be kept beside two for each route. */
const SPARE_LISTS = 64;

/** Names for which so many places match share no list: a key for it would take longer than to find the listeners. */
const MAX_KEY_PLACES = 64;

/** A name that is not kept costs as much as so many deliveries. */
const NEW_ROUTE_STEPS = 16;

/** A change that concerns more bindings or names than this empties the cache: to look for each would take longer. */
const MAX_FORGOTTEN_SINGLY = 256;

const NOBODY: readonly never[] = [];

/** Counts the memory of kept routes, which are forgotten when it lacks. */
export interface RouteMemory {
  /** How many bytes there may be more. */
  readonly room: number;
  hold(bytes: number): void;
}

const PLENTY: RouteMemory = { room: Number.POSITIVE_INFINITY, hold: () => {} };

/** What routes must know of a Ksock. */
export interface Party {
  readonly isOpen: boolean;
}

function opened<Ksock extends Party>(binding: Binding<Ksock> | null): Binding<Ksock> | null {
  return binding?.ksock.isOpen ? binding : null;
}

/**
 * The bindings of one bus, indexed by name: to find who gets a message costs the depth of its name and the wildcards
 * that match, not the number of bindings (spec 1 §2.2, spec 1 §7.2). A route is kept until a binding that could change
 * it comes or goes.
 *
 * The bindings of a Ksock that has closed match nothing, though it may take a while to remove them (spec 1 §14.2).
 */
export class Routes<Ksock extends Party = Party> {
  private readonly root = new Place<Ksock>('', null);
  private readonly kept = new Map<string, Route<Ksock>>();
  /** The names of the kept routes, by their first word. */
  private readonly keptNames = new Map<string, Set<string>>();
  /** Lists of listeners, by the stamps of the places whose listeners they have. */
  private readonly lists = new Map<string, readonly Binding<Ksock>[]>();
  private readonly memory: RouteMemory;
  private readonly work: { done: number };
  /** What routes and lists take. */
  private keptBytes = 0;
  private stamps = 0;
  private newestReplier: Binding<Ksock> | null = null;
  /** How many bindings are Repliers'. */
  repliers = 0;
  /** All bindings; those of Ksocks that have closed are still to be removed. */
  readonly all = new Chain<Binding<Ksock>>();
  private lastName = '';
  private lastRoute: Route<Ksock> | undefined;
  /** Routes by the numbers of their names; those of an older epoch may not hold any more. */
  private numbered = new ByNumber<Route<Ksock>>();
  /** Rises with each change of a binding. */
  private epoch = 0;

  /** Counts the steps that it takes to find a new route in `work`. */
  constructor(memory: RouteMemory = PLENTY, work = { done: 0 }) {
    this.memory = memory;
    this.work = work;
  }

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
    const { numbered } = this;
    const number = numberAt(bytes, headAt);
    const known = numbered.get(number);
    if (known?.epoch === this.epoch) return known;
    const name = nameAt(bytes, headAt);
    if (this.known(name) === undefined && checkMessageName(name) !== 0) return null;
    const route = this.find(name);
    // A kept route still holds: a binding that could change it would have removed it.
    if (route.epoch !== this.epoch) route.epoch = this.epoch;
    if (number !== 0) numbered.set(number, route);
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
    return opened(place.replier);
  }

  add(binding: Binding<Ksock>): void {
    const place = this.placeFor(binding.name);
    binding.place = place;
    if (binding.replier) {
      place.replier = binding;
      binding.olderHere = this.newestReplier;
      if (this.newestReplier !== null) this.newestReplier.newerHere = binding;
      this.newestReplier = binding;
      this.repliers++;
    } else {
      binding.olderHere = place.newest;
      if (place.newest !== null) place.newest.newerHere = binding;
      place.newest = binding;
      place.stamp = ++this.stamps;
    }
    this.all.add(binding);
    this.forget(binding.name);
  }

  remove(binding: Binding<Ksock>): void {
    const place = binding.place as Place<Ksock>;
    binding.place = null;
    const { newerHere, olderHere } = binding;
    if (newerHere !== null) newerHere.olderHere = olderHere;
    if (olderHere !== null) olderHere.newerHere = newerHere;
    binding.newerHere = null;
    if (binding.replier) {
      // A Replier that has closed may have a successor already.
      if (place.replier === binding) place.replier = null;
      if (newerHere === null) this.newestReplier = olderHere;
      this.repliers--;
    } else {
      if (newerHere === null) place.newest = olderHere;
      binding.olderHere = null;
      place.stamp = ++this.stamps;
    }
    place.tidy();
    this.all.remove(binding);
    binding.isBound = false;
    // When its Ksock closed, the routes were forgotten that it had to do with.
    if (binding.ksock.isOpen) this.forget(binding.name);
  }

  /**
   * The next older binding of a Replier; for null, the newest. The given binding may have been undone since: a walk from it
   * still comes to each older one that is there, once.
   */
  olderReplierThan(binding: Binding<Ksock> | null): Binding<Ksock> | null {
    let older = binding === null ? this.newestReplier : binding.olderHere;
    while (older !== null && !(older.isBound && older.ksock.isOpen)) older = older.olderHere;
    return older;
  }

  /** All bindings, newest first. */
  *[Symbol.iterator](): Generator<Binding<Ksock>> {
    for (const binding of this.all) if (binding.ksock.isOpen) yield binding;
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
    const { found, looked } = new Search(name, this.root);
    let replier: Binding<Ksock> | null = null;
    const heard: Place<Ksock>[] = [];
    for (const place of found) {
      // `found` has the most specific first.
      replier ??= opened(place.replier);
      if (place.newest !== null) heard.push(place);
    }
    const listeners = this.listenersAt(heard);
    // A place is far from the next one in memory. Many may match all but the last word of a name.
    this.work.done += NEW_ROUTE_STEPS + looked + found.length + listeners.length;
    return { replier, listeners, epoch: this.epoch };
  }

  /** The one list of the listeners at these places: names that share a list go the same way. */
  private listenersAt(places: readonly Place<Ksock>[]): readonly Binding<Ksock>[] {
    if (places.length === 0) return NOBODY;
    const isShared = places.length <= MAX_KEY_PLACES;
    const key = isShared ? places.map(({ stamp }) => stamp).join() : '';
    const known = isShared ? this.lists.get(key) : undefined;
    if (known !== undefined) return known;
    const listeners: Binding<Ksock>[] = [];
    for (const place of places) {
      for (let binding = place.newest; binding !== null; binding = binding.olderHere) {
        if (binding.ksock.isOpen) listeners.push(binding);
      }
    }
    if (places.length > 1) listeners.sort((a, b) => b.order - a.order);
    // Most lists are of bindings that have gone: begin anew.
    if (this.lists.size > 2 * this.kept.size + SPARE_LISTS) this.forgetAll();
    this.count(LIST_COST + key.length + 8 * listeners.length);
    if (isShared) this.lists.set(key, listeners);
    return listeners;
  }

  /** Makes room for something that takes so many bytes. */
  private count(bytes: number): void {
    const most = Math.min(MAX_KEPT_BYTES, this.memory.room * ROOM_PART);
    if (this.keptBytes + bytes > most) this.forgetAll();
    this.keptBytes += bytes;
    this.memory.hold(bytes);
  }

  private keep(name: string, route: Route<Ksock>): void {
    this.count(ROUTE_COST + name.length);
    this.kept.set(name, route);
    const word = wordAt(name, FIRST_WORD);
    const names = this.keptNames.get(word);
    if (names === undefined) this.keptNames.set(word, new Set([name]));
    else names.add(name);
  }

  /** This Ksock has closed: its bindings, up to this many of which are forgotten one by one, match nothing any more. */
  ignore(newest: Binding<Ksock> | null, count: number): void {
    if (count > MAX_FORGOTTEN_SINGLY) {
      this.forgetAll();
      return;
    }
    for (let binding = newest; binding !== null; binding = binding.olderOfKsock) {
      const { place } = binding;
      if (place !== null && !binding.replier) place.stamp = ++this.stamps;
      this.forget(binding.name);
    }
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
      if (names.size > MAX_FORGOTTEN_SINGLY) {
        this.forgetAll();
        return;
      }
      for (const name of names) this.drop(name);
      this.keptNames.delete(word);
    } else if (this.drop(bindingName)) {
      names.delete(bindingName);
      if (names.size === 0) this.keptNames.delete(word);
    }
  }

  /** Forgets the route of one name. It may still be noted beside the name in records: then it must keep no list alive. */
  private drop(name: string): boolean {
    const route = this.kept.get(name);
    if (route === undefined) return false;
    route.replier = null;
    route.listeners = NOBODY;
    this.keptBytes -= ROUTE_COST + name.length;
    this.memory.hold(-ROUTE_COST - name.length);
    return this.kept.delete(name);
  }

  private forgetAll(): void {
    this.epoch++;
    // A new table, so that no route keeps a list alive: to go through 65,536 of them would take as long as a turn.
    this.numbered = new ByNumber();
    this.kept.clear();
    this.keptNames.clear();
    this.lists.clear();
    this.memory.hold(-this.keptBytes);
    this.keptBytes = 0;
    this.lastName = '';
    this.lastRoute = undefined;
  }
}
