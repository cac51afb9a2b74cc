import type { ByNumber } from './by-number.ts';

const MAX_KEPT = 4096;

/** In the client for pages, in place of ByNumber: it takes a quarter of the code. */
class SmallByNumber<T> implements Pick<ByNumber<T>, 'get' | 'set'> {
  private readonly values = new Map<number, T>();

  get(number: number): T | null {
    return this.values.get(number) ?? null;
  }

  set(number: number, value: T): void {
    if (this.values.size === MAX_KEPT) this.values.clear();
    this.values.set(number, value);
  }
}

export { SmallByNumber as ByNumber };
