import { appended } from './appended.ts';

/** A connection, or an open device file, that has something to send. */
export interface Flushable {
  /** Sends what there is to send. It may mark others dirty. */
  flush(): void;
}

/**
 * Collects what one event (bytes that came in, or the end of a connection) gives to send, so that everything for one
 * connection leaves in one write when the event has been handled.
 */
export class FlushScheduler {
  private dirty: Flushable[] = [];
  private isFlushing = false;

  /** Its `flush` is called once the event has been handled. */
  markDirty(one: Flushable): void {
    this.dirty = appended(this.dirty, one);
  }

  /** The event has been handled. */
  flush(): void {
    if (this.isFlushing) return;
    this.isFlushing = true;
    try {
      for (let at = 0; at < this.dirty.length; at++) (this.dirty[at] as Flushable).flush();
    } finally {
      this.dirty = [];
      this.isFlushing = false;
    }
  }
}
