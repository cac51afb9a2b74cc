import { checkMessageName, endOfWord, isWildcard, passOver } from '../message/name.ts';
import { NameReader } from '../message/name-reader.ts';
import { readName } from '../message/records.ts';
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
  /** Where it is in the index. */
  place: Place | null = null;
  // The listeners of one name are a list, so that one of many leaves without a search.
  newerHere: Binding | null = null;
  olderHere: Binding | null = null;
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

/** Who gets the messages of one name. */
export interface Route {
  readonly replier: Binding | null;
  /** Newest first: once only keeps the copy that comes first (spec 1 §5.3). Those of two names may be one list. */
  readonly listeners: readonly Binding[];
  /** It holds for as long as this is the epoch of the routes. */
  epoch: number;
}

/** Names that are sent are any a program likes, so the routes kept for them must have a bound. */
const MAX_KEPT = 65_536;

/** Longer lists of listeners are not shared by the names that have the same. */
const MAX_SHARED = 64;

/** So many lists may be kept beside twice as many as there are routes. */
const FEW_LISTS = 64;

const NOBODY: readonly Binding[] = [];

/** Where the first word of every name begins, behind its `$.`. */
const FIRST_WORD = 2;

/**
 * The bindings of one bus, indexed so that finding who gets a message costs the depth of its name and
 * the wildcards that match it so far, and not the number of bindings (spec 1 §2.2,
 * spec 1 §7.2). A route that was found is kept until a binding that could touch it changes.
 */
export class Routes {
  private readonly root = new Place('', null);
  private readonly kept = new Map<string, Route>();
  /** The names of the routes that are kept, by their first words. */
  private readonly keptNames = new Map<string, Set<string>>();
  /** The lists of listeners, by the orders of the bindings, which are never used again. */
  private readonly lists = new Map<string, readonly Binding[]>();
  private newest: Binding | null = null;
  private lastName = '';
  private lastRoute: Route | undefined;
  /** Names as records have them, with the routes that they had when so many bindings had come and gone. */
  private readonly names = new NameReader<Route>();
  private epoch = 0;

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
    this.keep(name, route);
    this.lastName = name;
    this.lastRoute = route;
    return route;
  }

  /** The same for the name in the head of a record; null when it can't be sent. */
  findIn(bytes: Uint8Array, headAt: number): Route | null {
    const { names } = this;
    const slot = readName(names, bytes, headAt);
    const known = names.note(slot);
    if (known !== null && known.epoch === this.epoch) return known;
    const name = names.name(slot);
    if (this.known(name) === undefined && checkMessageName(name) !== 0) return null;
    const route = this.find(name);
    // A route that was kept may be older than the last binding that came or went elsewhere.
    if (route.epoch !== this.epoch) route.epoch = this.epoch;
    names.setNote(slot, route);
    return route;
  }

  /** The Replier bound to exactly this binding name. */
  replierOf(bindingName: string): Binding | null {
    if (!bindingName.startsWith('$.')) return null;
    let place: Place | undefined = this.root;
    for (let at = FIRST_WORD; at <= bindingName.length; at += place.words.length + 1) {
      place = place.children?.get(wordAt(bindingName, at));
      if (place === undefined || !isThere(place.words, bindingName, at)) return null;
    }
    return place.replier;
  }

  add(binding: Binding): void {
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

  remove(binding: Binding): void {
    const place = binding.place as Place;
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

  /** The place of a binding name, which is made if need be. */
  private placeFor(bindingName: string): Place {
    let place = this.root;
    for (let at = FIRST_WORD; at <= bindingName.length; ) {
      const word = wordAt(bindingName, at);
      const child: Place | undefined = place.children?.get(word);
      if (child === undefined) return place.add(word, bindingName.slice(at));
      const shared = sharedWords(child.words, bindingName, at);
      place = shared === child.words.length ? child : child.split(shared);
      at += shared + 1;
    }
    return place;
  }

  private resolve(name: string): Route {
    const found: Place[] = [];
    this.root.collect(name, FIRST_WORD, found);
    let replier: Binding | null = null;
    let withListeners = 0;
    const listeners: Binding[] = [];
    for (const place of found) {
      // The most specific comes first.
      replier ??= place.replier;
      if (place.newest !== null) withListeners++;
      for (let binding = place.newest; binding !== null; binding = binding.olderHere) {
        listeners.push(binding);
      }
    }
    if (withListeners > 1) listeners.sort((a, b) => b.order - a.order);
    return { replier, listeners: this.shared(listeners), epoch: this.epoch };
  }

  /** The one list that has these bindings, so that names that go the same way are known by it. */
  private shared(listeners: readonly Binding[]): readonly Binding[] {
    if (listeners.length === 0) return NOBODY;
    if (listeners.length > MAX_SHARED) return listeners;
    const key = listeners.map(({ order }) => order).join();
    const known = this.lists.get(key);
    if (known !== undefined) return known;
    if (this.lists.size > 2 * this.kept.size + FEW_LISTS) {
      // Most are of bindings that have gone. All names get new ones, so that those that go the same way share theirs.
      this.epoch++;
      this.forgetAll();
    }
    this.lists.set(key, listeners);
    return listeners;
  }

  private keep(name: string, route: Route): void {
    this.kept.set(name, route);
    const word = wordAt(name, FIRST_WORD);
    const names = this.keptNames.get(word);
    if (names === undefined) this.keptNames.set(word, new Set([name]));
    else names.add(name);
  }

  /**
   * A binding to one name touches only the route of that name. A wildcard may touch all names that have its
   * first word, and any name if its first word is a wildcard.
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

/**
 * A tree of binding names: each place has the words of one, or those that several begin with, without the words
 * of the places above. Words with no choice between them share a place, so there are at most two for each
 * binding name, however many words that has.
 */
class Place {
  words: string;
  private parent: Place | null;
  /** By the first of their words. */
  children: Map<string, Place> | null = null;
  replier: Binding | null = null;
  /** The newest of the listeners. */
  newest: Binding | null = null;

  constructor(words: string, parent: Place | null) {
    this.words = words;
    this.parent = parent;
  }

  /** A new place below this one. `word` is the first of its words; when it is all of them, the string is shared. */
  add(word: string, words: string): Place {
    const child = new Place(words.length === word.length ? word : words, this);
    this.children ??= new Map();
    this.children.set(word, child);
    return child;
  }

  /** Makes the first words of this place, so many characters, a place above it. */
  split(length: number): Place {
    const parent = this.parent as Place;
    const above = parent.add(wordAt(this.words, 0), this.words.slice(0, length));
    this.words = this.words.slice(length + 1);
    this.parent = above;
    above.children = new Map([[wordAt(this.words, 0), this]]);
    return above;
  }

  /** Goes if nothing is bound here any more, and the place below it, if there is but one, has its words then. */
  tidy(): void {
    const { parent, children } = this;
    if (parent === null || this.replier !== null || this.newest !== null) return;
    const word = wordAt(this.words, 0);
    if (children === null) {
      parent.children?.delete(word);
      if (parent.children?.size === 0) parent.children = null;
      parent.tidy();
    } else if (children.size === 1) {
      const [child] = children.values() as unknown as [Place];
      child.words = `${this.words}.${child.words}`;
      child.parent = parent;
      parent.children?.set(word, child);
    }
  }

  /**
   * Adds the places of binding names that match: those below this one, whose own words match the name up to the
   * word at `at`. The more specific come first: a word, then `%`, then `*`.
   */
  collect(name: string, at: number, found: Place[]): void {
    const { children } = this;
    if (children === null) return;
    children.get(wordAt(name, at))?.collectFrom(name, at, found);
    children.get('%')?.collectFrom(name, at, found);
    children.get('*')?.collectFrom(name, at, found);
  }

  private collectFrom(name: string, at: number, found: Place[]): void {
    const end = passOver(this.words, name, at);
    if (end === name.length) found.push(this);
    else if (end > 0) this.collect(name, end + 1, found);
  }
}

function wordAt(name: string, at: number): string {
  return name.slice(at, endOfWord(name, at));
}

/** How many characters of whole words `words` has in common with `name` from `at` on. */
function sharedWords(words: string, name: string, at: number): number {
  let shared = 0;
  for (let index = 0; index <= words.length; index++) {
    const code = words.charCodeAt(index);
    const other = name.charCodeAt(at + index);
    if (isEndOfWord(code) && isEndOfWord(other)) shared = index;
    if (code !== other) break;
  }
  return shared;
}

/** At a dot, or behind the last character. */
function isEndOfWord(code: number): boolean {
  return code === 0x2e || Number.isNaN(code);
}

/** Whether `name` has these very words at `at`. */
function isThere(words: string, name: string, at: number): boolean {
  const end = at + words.length;
  return name.startsWith(words, at) && (end === name.length || name[end] === '.');
}
