/** An empty table with room for more keys than this is given back. */
const IDLE_CAPACITY = 4096;

/** A table with more room is not doubled, but cut into parts: to copy a million entries takes 100 ms, in which nothing else is done. */
const MAX_CAPACITY = 8192;
/** So many parts, by the next bits of the multiplied key, as long as there are some. */
const PART_BITS = 6;
const MAX_PASSED_BITS = 18;

const NO_KEYS = new Uint32Array(0);

/**
 * A map with u32 keys, for entries that come and go in bursts. V8's Map makes a new table whenever it grows or shrinks by
 * half, and links the old one to it: an old table that survived a collection keeps all later ones alive. With 64 Requests
 * in flight that cost as much as everything else that a client does.
 */
export class NumberMap<V> {
  size = 0;
  // Open addressing: the highest bits of the multiplied key give its place; a key whose place is taken is in the next
  // free one behind. One place is always free.
  private keys = NO_KEYS;
  private items: (V | undefined)[] = [];
  private shift = 32;
  /** Where `any` found a value last. */
  private seen = 0;
  /** Of the multiplied keys, so many of the first bits are the same. */
  private readonly passed: number;
  /** So many keys in each eight places, and the table grows. */
  private readonly most: number;
  /** In place of the table, once that is large. */
  private parts: NumberMap<V>[] | null = null;

  constructor(passed = 0, most = 4) {
    this.passed = passed;
    this.most = most;
  }

  get(key: number): V | undefined {
    if (this.parts !== null) return this.part(key).get(key);
    return this.size === 0 ? undefined : this.items[this.place(key)];
  }

  set(key: number, value: V): void {
    if (this.parts === null && this.size * 8 >= this.keys.length * this.most) this.grow();
    if (this.parts !== null) {
      const part = this.part(key);
      const before = part.size;
      part.set(key, value);
      this.size += part.size - before;
      return;
    }
    const at = this.place(key);
    if (this.items[at] === undefined) this.size++;
    this.keys[at] = key;
    this.items[at] = value;
  }

  /** Removes a key, and gives its value, if there was one. */
  take(key: number): V | undefined {
    if (this.size === 0) return undefined;
    if (this.parts !== null) return this.takeOfPart(key);
    const { keys, items } = this;
    let free = this.place(key);
    const taken = items[free];
    if (taken === undefined) return undefined;
    this.size--;
    items[free] = undefined;
    // The keys behind it move up, but none before the place where it belongs.
    const mask = keys.length - 1;
    for (let at = (free + 1) & mask; items[at] !== undefined; at = (at + 1) & mask) {
      const mover = keys[at] as number;
      if (((at - this.home(mover)) & mask) < ((at - free) & mask)) continue;
      keys[free] = mover;
      items[free] = items[at];
      items[at] = undefined;
      free = at;
    }
    if (this.size === 0 && keys.length > IDLE_CAPACITY) this.clear();
    return taken;
  }

  private takeOfPart(key: number): V | undefined {
    const taken = this.part(key).take(key);
    if (taken !== undefined && --this.size === 0) this.clear();
    return taken;
  }

  clear(): void {
    this.size = 0;
    this.keys = NO_KEYS;
    this.items = [];
    this.shift = 32;
    this.parts = null;
  }

  /** One of the values, until there are none. To take all of them out one by one costs little more than to look at all. */
  any(): V | undefined {
    if (this.size === 0) return undefined;
    const { items, parts } = this;
    const mask = (parts ?? items).length - 1;
    this.seen &= mask;
    if (parts === null) {
      while (items[this.seen] === undefined) this.seen = (this.seen + 1) & mask;
      return items[this.seen];
    }
    while (parts[this.seen]?.size === 0) this.seen = (this.seen + 1) & mask;
    return parts[this.seen]?.any();
  }

  /** All values in the order of their keys, which were given out one after the other and wrap at 2^32; `next` is the next key. */
  oldestFirst(next: number): [key: number, value: V][] {
    const age = (key: number): number => (key - next) >>> 0;
    return this.entries().sort(([a], [b]) => age(a) - age(b));
  }

  /** In no order. */
  private entries(): [key: number, value: V][] {
    const { keys, items, parts } = this;
    if (parts !== null) return parts.flatMap((part) => part.entries());
    const all: [number, V][] = [];
    for (let at = 0; at < keys.length; at++) {
      const value = items[at];
      if (value !== undefined) all.push([keys[at] as number, value]);
    }
    return all;
  }

  /** The bits of the multiplied key that differ. */
  private hash(key: number): number {
    return Math.imul(key, 0x9e3779b1) << this.passed;
  }

  private home(key: number): number {
    return this.hash(key) >>> this.shift;
  }

  private part(key: number): NumberMap<V> {
    return (this.parts as NumberMap<V>[])[this.hash(key) >>> (32 - PART_BITS)] as NumberMap<V>;
  }

  /** The place of a key, or where it would go. */
  private place(key: number): number {
    const { keys, items } = this;
    const mask = keys.length - 1;
    let at = this.home(key);
    while (items[at] !== undefined && keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  /** Makes an empty table. */
  private make(capacity: number): void {
    this.keys = new Uint32Array(capacity);
    this.items = new Array(capacity).fill(undefined);
    this.shift = Math.clz32(capacity - 1);
  }

  private grow(): void {
    const { keys, items } = this;
    this.size = 0;
    if (keys.length < MAX_CAPACITY || this.passed > MAX_PASSED_BITS) {
      this.make(Math.max(8, keys.length * 2));
    } else {
      this.clear();
      const count = 1 << PART_BITS;
      const passed = this.passed + PART_BITS;
      // Keys that were given out one after the other fill all parts alike: those must not grow together.
      this.parts = Array.from(
        { length: count },
        (_, at) => new NumberMap<V>(passed, 4 + (2 * at) / count),
      );
      for (const part of this.parts) part.make((2 * keys.length) / count);
    }
    for (let at = 0; at < keys.length; at++) {
      const value = items[at];
      if (value !== undefined) this.set(keys[at] as number, value);
    }
  }
}
