import { checkBindingName } from '../message/name.ts';

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

/** The most names that a filter may have. */
export const MAX_FILTER_NAMES = 1000;

/** What is wrong with the names of a filter; '' if nothing is. */
export function faultOfNames(names: readonly string[]): string {
  if (names.length > MAX_FILTER_NAMES) {
    return `${names.length} names, where ${MAX_FILTER_NAMES} are the most`;
  }
  const wrong = names.find((name) => checkBindingName(name) !== 0);
  return wrong === undefined ? '' : `'${wrong}' is neither a name nor a wildcard`;
}
