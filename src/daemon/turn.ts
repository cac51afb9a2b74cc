import { appended } from '../message/append.ts';

/** What has something to do, or to send, before the turn ends. */
export interface Stirred {
  /** Does what is left to do, and sends it. It may stir others. */
  settle(): void;
}

/**
 * One turn of the daemon: from something coming in (bytes, or a connection's end) until all that
 * follows from it has been sent. Everything that one connection gets in a turn leaves in one write.
 */
export class Turn {
  private stirred: Stirred[] = [];
  private ending = false;

  stir(one: Stirred): void {
    this.stirred = appended(this.stirred, one);
  }

  end(): void {
    if (this.ending) return;
    this.ending = true;
    try {
      for (let at = 0; at < this.stirred.length; at++) (this.stirred[at] as Stirred).settle();
    } finally {
      this.stirred = [];
      this.ending = false;
    }
  }
}
