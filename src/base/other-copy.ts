/**
 * A program may have two copies of this package: two versions, or the same one twice. `instanceof` does not know the
 * objects of the other copy; these symbols, which all copies share, do.
 */
const KIND = Symbol.for('kbus.kind');
const COPY = Symbol.for('kbus.copy');

/** URL of this copy; a bundle that is not a module has none. */
const HERE = (import.meta.url ?? 'a bundle').replace(/base\/other-copy\.\w+$/, '');

interface Class {
  readonly prototype: object;
}

/** Lets all copies know the objects of this class by `kind`. */
export function brand({ prototype }: Class, kind: string): void {
  Object.defineProperty(prototype, KIND, { value: kind });
  Object.defineProperty(prototype, COPY, { value: HERE });
}

/** Whether the value is an object of the class that another copy has in place of this one. */
export function isOfOtherCopy({ prototype }: Class, value: unknown): boolean {
  const kind = Object.getOwnPropertyDescriptor(prototype, KIND)?.value;
  if (kind === undefined || typeof value !== 'object' || value === null) return false;
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    if (at === prototype) return false;
    if (Object.getOwnPropertyDescriptor(at, KIND)?.value === kind) return true;
  }
  return false;
}

/** Where both copies are, for the text of an error. */
export function copies(value: object): string {
  const there: unknown = (value as { [COPY]?: unknown })[COPY];
  return `one at ${there}, the other at ${HERE}`;
}
