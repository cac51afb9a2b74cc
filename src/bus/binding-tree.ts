import { endOfWord, passOver } from '../message/name.ts';

/** Where the first word of every name begins, behind its `$.`. */
export const FIRST_WORD = 2;

/** A Ksock's wish to hear (or answer) messages of a name, or of the names that a wildcard matches. */
export class Binding<Ksock = unknown> {
  readonly ksock: Ksock;
  readonly name: string;
  readonly replier: boolean;
  /** Rises with each binding of the bus: which of two is newer. */
  readonly order: number;
  /** How many unread messages of its Ksock came by this binding. */
  queued = 0;
  /** The next older binding of the same Ksock to the same name as listener. */
  older: Binding<Ksock> | null = null;
  /** Where it is in the index. */
  place: Place<Ksock> | null = null;
  // The listeners of one name are a list, so that one of many leaves without a search.
  newerHere: Binding<Ksock> | null = null;
  olderHere: Binding<Ksock> | null = null;
  // So are all of a bus. One that was undone still tells which was the older: see `olderThan`.
  newerOfAll: Binding<Ksock> | null = null;
  olderOfAll: Binding<Ksock> | null = null;
  isBound = true;

  constructor(ksock: Ksock, name: string, replier: boolean, order: number) {
    this.ksock = ksock;
    this.name = name;
    this.replier = replier;
    this.order = order;
  }
}

/**
 * A tree of binding names: each place has the words of one, or those that several begin with, without the words
 * of the places above. Words with no choice between them share a place, so there are at most two for each
 * binding name, however many words that has.
 */
export class Place<Ksock = unknown> {
  words: string;
  private parent: Place<Ksock> | null;
  /** By the first of their words. */
  children: Map<string, Place<Ksock>> | null = null;
  replier: Binding<Ksock> | null = null;
  /** The newest of the listeners. */
  newest: Binding<Ksock> | null = null;

  constructor(words: string, parent: Place<Ksock> | null) {
    this.words = words;
    this.parent = parent;
  }

  /** A new place below this one. `word` is the first of its words; when it is all of them, the string is shared. */
  add(word: string, words: string): Place<Ksock> {
    const child = new Place<Ksock>(words.length === word.length ? word : words, this);
    this.children ??= new Map();
    this.children.set(word, child);
    return child;
  }

  /** Makes the first words of this place, so many characters, a place above it. */
  split(length: number): Place<Ksock> {
    const parent = this.parent as Place<Ksock>;
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
      const [child] = children.values() as unknown as [Place<Ksock>];
      child.words = `${this.words}.${child.words}`;
      child.parent = parent;
      parent.children?.set(word, child);
    }
  }

  /**
   * Adds the places of binding names that match: those below this one, whose own words match the name up to the
   * word at `at`. The more specific come first: a word, then `%`, then `*`.
   */
  collect(name: string, at: number, found: Place<Ksock>[]): void {
    const { children } = this;
    if (children === null) return;
    children.get(wordAt(name, at))?.collectFrom(name, at, found);
    children.get('%')?.collectFrom(name, at, found);
    children.get('*')?.collectFrom(name, at, found);
  }

  private collectFrom(name: string, at: number, found: Place<Ksock>[]): void {
    const end = passOver(this.words, name, at);
    if (end === name.length) found.push(this);
    else if (end > 0) this.collect(name, end + 1, found);
  }
}

export function wordAt(name: string, at: number): string {
  return name.slice(at, endOfWord(name, at));
}

/** How many characters of whole words `words` has in common with `name` from `at` on. */
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

/** At a dot, or behind the last character. */
function isEndOfWord(code: number): boolean {
  return code === 0x2e || Number.isNaN(code);
}

/** Whether `name` has these very words at `at`. */
export function isThere(words: string, name: string, at: number): boolean {
  const end = at + words.length;
  return name.startsWith(words, at) && (end === name.length || name[end] === '.');
}
