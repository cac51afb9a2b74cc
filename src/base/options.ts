import { nearest } from './nearest.ts';

/**
 * Checks the options that a program gave to `call`; undefined is fine. Throws a TypeError when they are not an object, or
 * have an option that is not `known`: it names that option, and the one that was probably meant.
 */
export function checkOptions(call: string, options: unknown, known: ReadonlySet<string>): void {
  if (options === undefined) return;
  if (typeof options !== 'object' || options === null) {
    const what = options === null ? 'null' : typeof options;
    throw new TypeError(`the options of ${call} must be an object, not ${what}`);
  }
  // `Object.keys` would make an array for each send.
  for (const key in options) {
    if (!known.has(key) && Object.hasOwn(options, key)) throw unknownOption(call, key, known);
  }
}

function unknownOption(call: string, key: string, known: ReadonlySet<string>): TypeError {
  const meant = nearest(key, known);
  const advice =
    meant === undefined ? `it has ${[...known].join(', ')}` : `did you mean '${meant}'?`;
  return new TypeError(`${call} has no option '${key}'; ${advice}`);
}
