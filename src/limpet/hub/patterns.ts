import { matches } from '../../message/name.ts';

/** The pattern that matches every name. */
export const EVERYTHING = '$.*';

/** A filter remembers what it decided for this many names. */
const MAX_REMEMBERED = 4096;

/**
 * The pattern that matches exactly the names that both patterns match (spec 1 §2.2), or null if there are none. Both must
 * be well formed.
 */
export function intersection(one: string, other: string): string | null {
  if (one === other) return one;
  const words: string[] = [];
  const [a, b] = [one.split('.'), other.split('.')];
  for (let at = 0; at < a.length || at < b.length; at++) {
    const [x, y] = [a[at], b[at]];
    if (x === undefined || y === undefined) return null;
    // A star stands for one word or more: what the other pattern has from here on.
    if (x === '*') return [...words, ...b.slice(at)].join('.');
    if (y === '*') return [...words, ...a.slice(at)].join('.');
    if (x !== y && x !== '%' && y !== '%') return null;
    words.push(x === '%' ? y : x);
  }
  return words.join('.');
}

/** The patterns that match what a pattern of each list matches. */
export function intersections(some: readonly string[], others: readonly string[]): string[] {
  if (isEverything(some)) return [...others];
  if (isEverything(others)) return [...some];
  const found = new Set<string>();
  for (const one of some) {
    for (const other of others) {
      const both = intersection(one, other);
      if (both !== null) found.add(both);
    }
  }
  return [...found].sort();
}

function isEverything(patterns: readonly string[]): boolean {
  return patterns.includes(EVERYTHING);
}

/** Decides which names pass one direction of a link (spec 3 §7.7). */
export class Filter {
  readonly patterns: readonly string[];
  readonly passesAll: boolean;
  private readonly decided = new Map<string, boolean>();

  constructor(patterns: readonly string[]) {
    this.patterns = patterns;
    this.passesAll = isEverything(patterns);
  }

  passes(name: string): boolean {
    if (this.passesAll) return true;
    const known = this.decided.get(name);
    if (known !== undefined) return known;
    if (this.decided.size >= MAX_REMEMBERED) this.decided.clear();
    const passes = this.patterns.some((pattern) => matches(pattern, name));
    this.decided.set(name, passes);
    return passes;
  }
}
