/** A map with more entries is cut into parts. */
const MAX_NARROW = 4096;
const PART_BITS = 6;

/** What a Map and a {@link WideMap} have in common. */
export interface Table<K, V> {
  readonly size: number;
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
  delete(key: K): boolean;
  values(): IterableIterator<V>;
}

/**
 * A map of very many entries, in parts: V8's Map copies all of them when it doubles, or has lost most of them, which takes
 * 60 ms for a million, in which nothing else is done (spec 1 §14.2). Without order.
 */
export class WideMap<K, V> implements Table<K, V> {
  size = 0;
  private readonly hash: (key: K) => number;
  private readonly parts = new Array<Map<K, V> | undefined>(1 << PART_BITS).fill(undefined);

  /** `hash` gives any number for a key, always the same. */
  constructor(hash: (key: K) => number) {
    this.hash = hash;
  }

  get(key: K): V | undefined {
    return this.parts[this.partOf(key)]?.get(key);
  }

  set(key: K, value: V): void {
    const at = this.partOf(key);
    let part = this.parts[at];
    if (part === undefined) {
      part = new Map();
      this.parts[at] = part;
    }
    this.size -= part.size;
    part.set(key, value);
    this.size += part.size;
  }

  delete(key: K): boolean {
    const isThere = this.parts[this.partOf(key)]?.delete(key) ?? false;
    if (isThere) this.size--;
    return isThere;
  }

  *values(): IterableIterator<V> {
    for (const part of this.parts) if (part !== undefined) yield* part.values();
  }

  private partOf(key: K): number {
    return Math.imul(this.hash(key), 0x9e3779b1) >>> (32 - PART_BITS);
  }
}

/** Sets an entry of a table (null: one that is to be made), and gives the table to use from now on: a wide one once it is large. */
export function put<V>(table: Table<string, V> | null, key: string, value: V): Table<string, V> {
  if (table === null) return new Map([[key, value]]);
  table.set(key, value);
  if (table.size <= MAX_NARROW || !(table instanceof Map)) return table;
  const wide = new WideMap<string, V>(hashOfText);
  for (const [each, its] of table as Map<string, V>) wide.set(each, its);
  return wide;
}

function hashOfText(text: string): number {
  let hash = 0;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash, 31) + text.charCodeAt(at);
  return hash;
}
