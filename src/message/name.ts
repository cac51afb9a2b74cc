import { Errno } from './errno.ts';

/**
 * Longest name, in bytes (spec 1 §2.1).
 *
 * @see {@link checkMessageName} for an example
 */
export const MAX_NAME = 1000;

const SENDABLE = /^\$(?:\.[A-Za-z0-9_-]+)+$/;
const BINDABLE = /^\$(?=\.)(?:\.(?:[A-Za-z0-9_-]+|%))*(?:\.\*)?$/;

const DOT = 0x2e;
const STAR = 0x2a;
const PERCENT = 0x25;

/**
 * Whether a message may be sent with this name: 0, ENAMETOOLONG (over 1000 bytes), or EBADMSG
 * (malformed, or a wildcard). See spec 1 §2.3.
 *
 * @example
 * ```ts
 * import { checkMessageName, codeOf, Errno, MAX_NAME } from 'kbus';
 *
 * console.log(checkMessageName('$.Heater.Set')); // → 0
 * console.log(checkMessageName('$.Heater.*') === Errno.EBADMSG); // → true
 * console.log(codeOf(checkMessageName(`$.${'a'.repeat(MAX_NAME)}`))); // → ENAMETOOLONG
 * ```
 */
export function checkMessageName(name: string): number {
  if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
  return SENDABLE.test(name) ? 0 : Errno.EBADMSG;
}

/**
 * Whether this name may be bound: 0, or the errors of {@link checkMessageName}; wildcards are allowed.
 *
 * @example
 * ```ts
 * import { checkBindingName, codeOf } from 'kbus';
 *
 * console.log(checkBindingName('$.Room.%.Temp')); // → 0
 * console.log(codeOf(checkBindingName('$.*.Temp'))); // → EBADMSG
 * ```
 */
export function checkBindingName(name: string): number {
  if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
  return BINDABLE.test(name) ? 0 : Errno.EBADMSG;
}

/** Whether a well-formed binding name is a wildcard. */
export function isWildcard(bindingName: string): boolean {
  return bindingName.endsWith('*') || bindingName.includes('%');
}

/**
 * Whether a binding name matches the name of a message: `%` stands for exactly one word, and `*` for one or more at the
 * end. Both must be well formed.
 *
 * @example
 * ```ts
 * import { matches } from 'kbus';
 *
 * console.log(matches('$.Room.%', '$.Room.Hall'), matches('$.Room.%', '$.Room.Hall.Temp')); // → true false
 * console.log(matches('$.Room.*', '$.Room.Hall.Temp'), matches('$.Room.*', '$.Room')); // → true false
 * ```
 */
export function matches(bindingName: string, name: string): boolean {
  return passOver(bindingName, name, 0) === name.length;
}

/**
 * Whether every name that the binding name matches is matched by one of these. All must be well formed. A `%` stands for a
 * word that none of them names: what matches that matches every word in its place. A `*` stands for one such word or more.
 */
export function covers(bindingNames: readonly string[], name: string): boolean {
  const isCovered = (words: string): boolean => bindingNames.some((one) => matches(one, words));
  if (!name.endsWith('*')) return isCovered(name);
  // Of names with more words than any of these has, one is matched only if all are.
  const most = 1 + Math.max(0, ...bindingNames.map((one) => one.split('.').length));
  let words = name.slice(0, -1);
  for (let count = name.split('.').length; ; count++) {
    words += '%';
    if (!isCovered(words)) return false;
    if (count >= most) return true;
    words += '.';
  }
}

/**
 * Matches words of a binding name against `name`, from the word that begins at `at`. Gives where the match ends: at a dot
 * or at the end of the name. -1 when the words don't match.
 */
export function passOver(words: string, name: string, at: number): number {
  for (let index = 0; index < words.length; index++) {
    const code = words.charCodeAt(index);
    if (code === STAR) return at < name.length ? name.length : -1;
    if (code === PERCENT) {
      if (at >= name.length) return -1;
      at = endOfWord(name, at);
    } else if (name.charCodeAt(at++) !== code) {
      return -1;
    }
  }
  return at === name.length || name.charCodeAt(at) === DOT ? at : -1;
}

/** The end of the word that begins at `at`: the next dot, or the end of the name. */
export function endOfWord(name: string, at: number): number {
  const dot = name.indexOf('.', at);
  return dot < 0 ? name.length : dot;
}

/**
 * Whether the first of two different binding names that match the same name is the more specific: word by word from the
 * left, a word beats `%`, and `%` beats `*` (spec 1 §7.2).
 */
export function isMoreSpecific(bindingName: string, other: string): boolean {
  // Words that match the same name differ only where one of them is a wildcard.
  let at = 0;
  while (at < bindingName.length && bindingName[at] === other[at]) at++;
  return looseness(bindingName, at) < looseness(other, at);
}

function looseness(bindingName: string, at: number): number {
  const code = bindingName.charCodeAt(at);
  return code === STAR ? 2 : code === PERCENT ? 1 : 0;
}

/**
 * What is wrong with a name, for the text of an error: which character, and where. Undefined for a good name. `use` says
 * whether it is the name of a message, or of a binding, which may have wildcards.
 */
export function faultOfName(name: string, use: 'message' | 'binding'): string | undefined {
  if (name.length > MAX_NAME) return `it has ${name.length} characters, and may have ${MAX_NAME}`;
  if ((use === 'message' ? checkMessageName(name) : checkBindingName(name)) === 0) return undefined;
  if (name === '') return 'it is empty';
  if (!name.startsWith('$.')) return "it does not begin with '$.'";
  let start = 2;
  for (const word of name.slice(2).split('.')) {
    const fault = faultOfWord(word, start, start + word.length === name.length, use);
    if (fault !== undefined) return fault;
    start += word.length + 1;
  }
  return undefined;
}

function faultOfWord(
  word: string,
  start: number,
  isLast: boolean,
  use: 'message' | 'binding',
): string | undefined {
  if (word === '') {
    return isLast
      ? "it ends with '.', with no word behind it"
      : `character ${start + 1}, '.', follows a '.', with no word between them`;
  }
  const isWildcard = word === '%' || (word === '*' && isLast);
  if (isWildcard && use === 'binding') return undefined;
  const at = word.search(/[^A-Za-z0-9_-]/);
  if (at < 0) return undefined;
  const character = String.fromCodePoint(word.codePointAt(at) as number);
  const which = `character ${start + at + 1}, ${quoted(character)}`;
  if (character !== '*' && character !== '%') {
    return `${which}, is not an ASCII letter, a digit, '_' or '-'`;
  }
  if (use === 'message') return `${which}, is a wildcard, which can be bound but not sent`;
  if (word.length > 1) return `${which}, may only stand as a word of its own`;
  return `${which}, may only stand at the end`;
}

/** A character in quotes; an invisible one by its number. */
function quoted(character: string): string {
  if (/[\p{L}\p{N}\p{P}\p{S} ]/u.test(character)) return `'${character}'`;
  const number = (character.codePointAt(0) as number).toString(16).toUpperCase();
  return `U+${number.padStart(4, '0')}`;
}
