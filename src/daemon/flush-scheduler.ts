import { appended } from '../base/appended.ts';

/** What has something to do, or to send, before the turn ends. */
export interface Flushable {
  /** Does what is left to do, and sends it. It may markDirty others. */
  settle(): void;
}

/**
 * One turn of the daemon: from something coming in (bytes, or a connection's end) until all that
 * follows from it has been sent. Everything that one connection gets in a turn leaves in one write.
 */
export class Turn {
  private dirty: Flushable[] = [];
  private ending = false;

  markDirty(one: Flushable): void {
    this.dirty = appended(this.dirty, one);
  }

  end(): void {
    if (this.ending) return;
    this.ending = true;
    try {
      for (let at = 0; at < this.dirty.length; at++) (this.dirty[at] as Flushable).settle();
    } finally {
      this.dirty = [];
      this.ending = false;
    }
  }
}
