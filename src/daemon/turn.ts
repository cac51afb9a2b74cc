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
  // The array is kept from turn to turn: the first `count` of it are stirred.
  private readonly stirred: (Stirred | undefined)[] = [];
  private count = 0;
  private ending = false;

  stir(one: Stirred): void {
    this.stirred[this.count++] = one;
  }

  end(): void {
    if (this.ending) return;
    this.ending = true;
    try {
      for (let at = 0; at < this.count; at++) {
        const one = this.stirred[at] as Stirred;
        this.stirred[at] = undefined;
        one.settle();
      }
    } finally {
      this.count = 0;
      this.ending = false;
    }
  }
}
