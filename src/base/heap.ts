/** A priority queue: `pop` gives the least, as `compare` says. */
export class Heap<T> {
  private readonly compare: (one: T, other: T) => number;
  private readonly items: T[] = [];

  constructor(compare: (one: T, other: T) => number) {
    this.compare = compare;
  }

  push(item: T): void {
    const { items } = this;
    let at = items.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.compare(item, items[parent] as T) >= 0) break;
      items[at] = items[parent] as T;
      at = parent;
    }
    items[at] = item;
  }

  pop(): T | undefined {
    const { items } = this;
    const [least] = items;
    const last = items.pop() as T;
    const { length } = items;
    if (length === 0) return least;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      if (child + 1 < length && this.compare(items[child + 1] as T, items[child] as T) < 0) child++;
      if (this.compare(last, items[child] as T) <= 0) break;
      items[at] = items[child] as T;
      at = child;
    }
    items[at] = last;
    return least;
  }
}
