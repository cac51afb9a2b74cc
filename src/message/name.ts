import { Errno } from './errno.ts';

/** Longest name, in bytes (the specification, section 2). */
export const MAX_NAME = 1000;

const SENDABLE = /^\$(?:\.[A-Za-z0-9]+)+$/;
const BINDABLE = /^\$(?:\.[A-Za-z0-9]+)*\.(?:[A-Za-z0-9]+|\*|%)$/;

/**
 * Whether a message may be sent with this name: 0, ENAMETOOLONG (over 1000 bytes), or EBADMSG
 * (malformed, or a wildcard). The specification, section 2.
 */
export function checkMessageName(name: string): number {
  if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
  return SENDABLE.test(name) ? 0 : Errno.EBADMSG;
}

/** Whether this name may be bound: like a message's name, and wildcards too. */
export function checkBindingName(name: string): number {
  if (name.length > MAX_NAME) return Errno.ENAMETOOLONG;
  return BINDABLE.test(name) ? 0 : Errno.EBADMSG;
}

/** What ends a binding name: `*` (any depth below), `%` (one word below), or '' (this very name). */
export type Wildcard = '' | '*' | '%';

/** The wildcard that a well-formed binding name ends with. */
export function wildcardOf(name: string): Wildcard {
  const last = name.charCodeAt(name.length - 1);
  return last === 0x2a ? '*' : last === 0x25 ? '%' : '';
}

/** Whether a binding name (or wildcard) takes messages of this name. Both must be well formed. */
export function matches(bindingName: string, name: string): boolean {
  const wildcard = wildcardOf(bindingName);
  if (wildcard === '') return bindingName === name;
  const prefix = bindingName.slice(0, -1);
  return name.startsWith(prefix) && (wildcard === '*' || !name.includes('.', prefix.length));
}
