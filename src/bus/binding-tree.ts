import type { Linked } from '../base/chain.ts';
import { put, type Table } from '../base/wide-map.ts';
import { endOfWord, passOver } from '../message/name.ts';

/** Where the first word of every name begins, behind its `$.`. */
export const FIRST_WORD = 2;

/** A Ksock's subscription, as Listener or Replier, to a name or to the names that a wildcard matches. */
export class Binding<Ksock = unknown> implements Linked<Binding<Ksock>> {
  readonly ksock: Ksock;
  readonly name: string;
  readonly replier: boolean;
  /** Rises with each binding of the bus, so it tells which of two is newer. */
  readonly order: number;
  /** How many unread messages came by this binding. */
  queued = 0;
  /** The next older binding of the same Ksock to the same name as listener. */
  older: Binding<Ksock> | null = null;
  /** Its place in the tree. */
  place: Place<Ksock> | null = null;
  // Neighbours in the list of the listeners of one name, or in that of all Repliers: one of many leaves without a search.
  newerHere: Binding<Ksock> | null = null;
  olderHere: Binding<Ksock> | null = null;
  // In the chain of all bindings of a bus.
  newerOfAll: Binding<Ksock> | null = null;
  olderOfAll: Binding<Ksock> | null = null;
  stop: Linked<Binding<Ksock>>['stop'] = null;
  // Neighbours in the list of the bindings of its Ksock.
  newerOfKsock: Binding<Ksock> | null = null;
  olderOfKsock: Binding<Ksock> | null = null;
  isBound = true;

  constructor(ksock: Ksock, name: string, replier: boolean, order: number) {
    this.ksock = ksock;
    this.name = name;
    this.replier = replier;
    this.order = order;
  }
}

/**
 * A node of the tree of binding names. It has the words of one name, or the words that several names begin with, without
 * those of the nodes above. Words without a branch between them share a node, so there are at most two nodes for each
 * binding name, however many words it has.
 */
export class Place<Ksock = unknown> {
  words: string;
  private parent: Place<Ksock> | null;
  /** By their first word. */
  children: Table<string, Place<Ksock>> | null = null;
  replier: Binding<Ksock> | null = null;
  /** The newest listener. */
  newest: Binding<Ksock> | null = null;
  /** Differs from every other stamp whenever the listeners are others: see `Routes`. */
  stamp = 0;

  constructor(words: string, parent: Place<Ksock> | null) {
    this.words = words;
    this.parent = parent;
  }

  /** Adds a node below this one. `word` is the first of its words; if it has no others, both share the string. */
  add(word: string, words: string): Place<Ksock> {
    const child = new Place<Ksock>(words.length === word.length ? word : words, this);
    this.children = put(this.children, word, child);
    return child;
  }

  /** Moves the first words, `length` characters, to a new node above this one. */
  split(length: number): Place<Ksock> {
    const parent = this.parent as Place<Ksock>;
    const above = parent.add(wordAt(this.words, 0), this.words.slice(0, length));
    this.words = this.words.slice(length + 1);
    this.parent = above;
    above.children = put<Place<Ksock>>(null, wordAt(this.words, 0), this);
    return above;
  }

  /** Removes the node if nothing is bound here any more. A single node below it takes over its words. */
  tidy(): void {
    const { parent, children } = this;
    if (parent === null || this.replier !== null || this.newest !== null) return;
    const word = wordAt(this.words, 0);
    if (children === null) {
      parent.children?.delete(word);
      if (parent.children?.size === 0) parent.children = null;
      parent.tidy();
    } else if (children.size === 1) {
      const [child] = children.values() as unknown as [Place<Ksock>];
      child.words = `${this.words}.${child.words}`;
      child.parent = parent;
      parent.children?.set(word, child);
    }
  }

  /** Continues a search below this node, whose words, and those above, match the name up to `at`. */
  search(search: Search<Ksock>, at: number): void {
    const { children } = this;
    if (children === null) return;
    children.get(search.wordAt(at))?.searchFrom(search, at);
    children.get('%')?.searchFrom(search, at);
    children.get('*')?.searchFrom(search, at);
  }

  private searchFrom(search: Search<Ksock>, at: number): void {
    search.looked++;
    const end = passOver(this.words, search.name, at);
    if (end === search.name.length) search.found.push(this);
    else if (end > 0) this.search(search, end + 1);
  }
}

/** Finds the nodes whose binding names match a name. */
export class Search<Ksock = unknown> {
  readonly name: string;
  /** The most specific come first: a word, then `%`, then `*`. */
  readonly found: Place<Ksock>[] = [];
  /** How many nodes were looked at. */
  looked = 0;
  /** The words of the name, by where they begin: many nodes may ask for the same. */
  private readonly words: string[] = [];

  constructor(name: string, root: Place<Ksock>) {
    this.name = name;
    root.search(this, FIRST_WORD);
  }

  wordAt(at: number): string {
    this.words[at] ??= wordAt(this.name, at);
    return this.words[at] as string;
  }
}

export function wordAt(name: string, at: number): string {
  return name.slice(at, endOfWord(name, at));
}

/** How many characters of whole words `words` shares with `name` from `at` on. */
export function sharedWords(words: string, name: string, at: number): number {
  let shared = 0;
  for (let index = 0; index <= words.length; index++) {
    const code = words.charCodeAt(index);
    const other = name.charCodeAt(at + index);
    if (isEndOfWord(code) && isEndOfWord(other)) shared = index;
    if (code !== other) break;
  }
  return shared;
}

/** True for a dot, and behind the last character. */
function isEndOfWord(code: number): boolean {
  return code === 0x2e || Number.isNaN(code);
}

/** Whether `name` has these very words at `at`. */
export function isThere(words: string, name: string, at: number): boolean {
  const end = at + words.length;
  return name.startsWith(words, at) && (end === name.length || name[end] === '.');
}
