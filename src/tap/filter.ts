import { checkBindingName, matches } from '../message/name.ts';

/**
 * The kinds of messages that a tap may show.
 *
 * @see {@link TapOptions} for an example
 */
export type SeenKind = 'announcement' | 'request' | 'reply' | 'status';
export const KINDS: readonly SeenKind[] = ['announcement', 'request', 'reply', 'status'];

/** What a tap shows of a bus. */
export interface TapFilter {
  /** Names, or wildcards, of the messages to show; null: all. */
  readonly names: readonly string[] | null;
  readonly kinds: readonly SeenKind[];
  /** How many bytes of each message's data to show at most. */
  readonly data: number;
}

/** Kinds as bits, for OBSERVE. */
export function bitsOf(kinds: readonly SeenKind[]): number {
  return kinds.reduce((bits, kind) => bits | (1 << KINDS.indexOf(kind)), 0);
}

export function kindsOf(bits: number): SeenKind[] {
  return KINDS.filter((_, at) => (bits & (1 << at)) !== 0);
}

/** The most names that a filter may have: each message is compared with all of them. */
export const MAX_FILTER_NAMES = 1000;

/** What is wrong with the names of a filter; '' if nothing is. */
export function faultOfNames(names: readonly string[]): string {
  if (names.length > MAX_FILTER_NAMES) {
    return `${names.length} names, where ${MAX_FILTER_NAMES} are the most`;
  }
  const wrong = names.find((name) => checkBindingName(name) !== 0);
  return wrong === undefined ? '' : `'${wrong}' is neither a name nor a wildcard`;
}

/** Names whose answer is kept; programs may send any names. */
const MAX_KEPT_NAMES = 4096;

/** So many comparisons are about as much work as one delivery. */
const COMPARISONS_PER_STEP = 8;

/**
 * Which names a filter shows. It remembers the answers: the same names come again and again. A new name is compared with all
 * names of the filter, which `work` counts: a program that sends ever new names pays for it with its turn.
 */
export class NameFilter {
  private readonly names: readonly string[];
  private readonly work: { done: number };
  private readonly kept = new Map<string, boolean>();

  constructor(names: readonly string[], work: { done: number } = { done: 0 }) {
    this.names = names;
    this.work = work;
  }

  shows(name: string): boolean {
    let isShown = this.kept.get(name);
    if (isShown === undefined) {
      if (this.kept.size >= MAX_KEPT_NAMES) this.kept.clear();
      this.work.done += Math.ceil(this.names.length / COMPARISONS_PER_STEP);
      isShown = this.names.some((one) => matches(one, name));
      this.kept.set(name, isShown);
    }
    return isShown;
  }
}
