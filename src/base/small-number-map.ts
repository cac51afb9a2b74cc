import type { NumberMap } from './number-map.ts';

/** In the client for pages, in place of NumberMap: it takes less code, and more memory. */
class SmallNumberMap<V>
  extends Map<number, V>
  implements Pick<NumberMap<V>, 'take' | 'oldestFirst'>
{
  take(key: number): V | undefined {
    const value = this.get(key);
    this.delete(key);
    return value;
  }

  oldestFirst(next: number): [key: number, value: V][] {
    const age = ([key]: [number, V]): number => (key - next) >>> 0;
    return [...this].sort((a, b) => age(a) - age(b));
  }
}

export { SmallNumberMap as NumberMap };
