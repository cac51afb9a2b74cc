/**
 * A program may have two copies of this package: two versions installed, or the same one twice. A class of one is
 * not that of the other, so what they make is known by these symbols, which all copies share.
 */
const KIND = Symbol.for('kbus.kind');
const COPY = Symbol.for('kbus.copy');

/** Where this copy is; a bundle that is no module doesn't know. */
const HERE = (import.meta.url ?? 'a bundle').replace(/base\/other-copy\.\w+$/, '');

interface Class {
  readonly prototype: object;
}

/** From now on, what this class makes is known in all copies as of this kind. */
export function brand({ prototype }: Class, kind: string): void {
  Object.defineProperty(prototype, KIND, { value: kind });
  Object.defineProperty(prototype, COPY, { value: HERE });
}

/** Whether another copy of the package made this, as what this class is here. */
export function isOfOtherCopy({ prototype }: Class, value: unknown): boolean {
  const kind = Object.getOwnPropertyDescriptor(prototype, KIND)?.value;
  if (kind === undefined || typeof value !== 'object' || value === null) return false;
  for (let at = Object.getPrototypeOf(value); at !== null; at = Object.getPrototypeOf(at)) {
    if (at === prototype) return false;
    if (Object.getOwnPropertyDescriptor(at, KIND)?.value === kind) return true;
  }
  return false;
}

/** Both copies, for an error about what can't be shared between them. */
export function copies(value: object): string {
  const there: unknown = (value as { [COPY]?: unknown })[COPY];
  return `one at ${there}, the other at ${HERE}`;
}
