/** A member of a {@link Chain}: the chain alone changes these fields. */
export interface Linked<T> {
  newerOfAll: T | null;
  olderOfAll: T | null;
  /** Where cursors stand that come to this member next; null if none does. */
  stop: Stop<T> | null;
}

/** A place in a chain that cursors share. When its member leaves, it moves to the next older one. */
interface Stop<T> {
  at: T | null;
  /** It has moved to a member that had a stop already: that one counts. */
  movedTo: Stop<T> | null;
}

/**
 * Members in the order in which they came. They come and leave in constant time, however many cursors there are, and a
 * cursor that nobody moves keeps no member in memory that has left.
 */
export class Chain<T extends Linked<T>> {
  newest: T | null = null;

  add(one: T): void {
    one.olderOfAll = this.newest;
    if (this.newest !== null) this.newest.newerOfAll = one;
    this.newest = one;
  }

  remove(one: T): void {
    const { newerOfAll, olderOfAll, stop } = one;
    if (newerOfAll === null) this.newest = olderOfAll;
    else newerOfAll.olderOfAll = olderOfAll;
    if (olderOfAll !== null) olderOfAll.newerOfAll = newerOfAll;
    // A chain of members that have left would keep all of them in memory for who still has one.
    one.newerOfAll = null;
    one.olderOfAll = null;
    if (stop === null) return;
    one.stop = null;
    stop.at = null;
    if (olderOfAll === null) return;
    if (olderOfAll.stop === null) {
      stop.at = olderOfAll;
      olderOfAll.stop = stop;
    } else {
      stop.movedTo = olderOfAll.stop;
    }
  }

  /** A cursor that comes to each member that is there now and stays, once, newest first; to no later one. */
  cursor(): Cursor<T> {
    return new Cursor(this.newest);
  }

  /** All members, newest first. */
  *[Symbol.iterator](): Generator<T> {
    const cursor = this.cursor();
    for (let one = cursor.next(); one !== null; one = cursor.next()) yield one;
  }
}

export class Cursor<T extends Linked<T>> {
  private stop: Stop<T>;

  constructor(first: T | null) {
    this.stop = stopAt(first);
  }

  /** The next member; null at the end. */
  next(): T | null {
    let { stop } = this;
    while (stop.movedTo !== null) stop = stop.movedTo;
    const { at } = stop;
    this.stop = stopAt(at === null ? null : at.olderOfAll);
    return at;
  }
}

function stopAt<T extends Linked<T>>(one: T | null): Stop<T> {
  if (one === null) return { at: null, movedTo: null };
  one.stop ??= { at: one, movedTo: null };
  return one.stop;
}
