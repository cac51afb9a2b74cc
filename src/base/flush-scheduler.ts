import { appended } from './appended.ts';

/** A connection, or an open device file, that has something to send. */
export interface Flushable {
  /** There is little to send: when not all can be flushed at once, it comes before the others. */
  readonly isSentLittle?: boolean;
  /** Sends what there is to send. It may mark others dirty. */
  flush(): void;
}

/**
 * Collects the connections that one event (bytes received, or the end of a connection) gives something to send, so that
 * everything for one connection leaves in one write after the event.
 */
export class FlushScheduler {
  private dirty: Flushable[] = [];
  private isFlushing = false;
  /** Those that were put off: those who are sent little, and the others. */
  private readonly little = new Line();
  private readonly others = new Line();
  /**
   * Whether the others must wait until `goOn`, when so many were flushed after this event: one message may give something
   * to thousands of connections.
   */
  mustStop: (flushed: number) => boolean = () => false;
  /** Called when an event and its flushes are over. */
  onFlushed: () => void = () => {};

  /** Calls its `flush` after the event; or soon, if a program in this process did something on its own. */
  markDirty(one: Flushable): void {
    if (this.dirty.length === 0) queueMicrotask(this.flushLater);
    this.dirty = appended(this.dirty, one);
  }

  private readonly flushLater = (): void => {
    if (this.dirty.length > 0) this.flush();
  };

  /** The event is over: flushes those that are dirty since the last flush. */
  flush(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    try {
      for (let at = 0; at < this.dirty.length; at++) {
        if (this.mustStop(at)) {
          for (const one of this.dirty.slice(at))
            (one.isSentLittle ? this.little : this.others).push(one);
          break;
        }
        (this.dirty[at] as Flushable).flush();
      }
    } finally {
      this.dirty = [];
      this.isFlushing = false;
    }
    this.onFlushed();
  }

  /** Whether some were put off. */
  get isPending(): boolean {
    return this.little.length + this.others.length > 0;
  }

  /** Flushes those that were put off, until `isEnough`: of each kind, at least one. */
  goOn(isEnough: () => boolean): void {
    for (const line of [this.little, this.others]) {
      while (line.length > 0) {
        line.shift().flush();
        if (isEnough()) break;
      }
    }
    this.flush();
  }
}

/** Who waits to be flushed, first come first. */
class Line {
  private all: Flushable[] = [];
  private next = 0;

  get length(): number {
    return this.all.length - this.next;
  }

  push(one: Flushable): void {
    this.all.push(one);
  }

  /** There must be one. */
  shift(): Flushable {
    const one = this.all[this.next++] as Flushable;
    if (this.next === this.all.length) {
      this.all = [];
      this.next = 0;
    }
    return one;
  }
}
