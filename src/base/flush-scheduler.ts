import { appended } from './appended.ts';

/** A connection, or an open device file, that has something to send. */
export interface Flushable {
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
  /** Those that were put off, from `next` on. */
  private putOff: Flushable[] = [];
  private next = 0;
  /** Whether the others must wait until `goOn`: one message may give something to thousands of connections. */
  mustStop: () => boolean = () => false;
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
        if (this.mustStop()) {
          this.putOff = [...this.putOff.slice(this.next), ...this.dirty.slice(at)];
          this.next = 0;
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
    return this.next < this.putOff.length;
  }

  /** Flushes those that were put off, until `isEnough`: at least one. */
  goOn(isEnough: () => boolean): void {
    while (this.isPending) {
      const one = this.putOff[this.next++] as Flushable;
      if (!this.isPending) {
        this.putOff = [];
        this.next = 0;
      }
      one.flush();
      if (isEnough()) break;
    }
    this.flush();
  }
}
