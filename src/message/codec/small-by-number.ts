import type { ByNumber } from './by-number.ts';

const MAX_KEPT = 4096;

/** In the client for pages, in place of ByNumber: it takes a quarter of the code. */
class SmallByNumber<T> extends Map<number, T> implements Pick<ByNumber<T>, 'get' | 'set'> {
  override set(number: number, value: T): this {
    if (this.size === MAX_KEPT) this.clear();
    return super.set(number, value);
  }
}

export { SmallByNumber as ByNumber };
