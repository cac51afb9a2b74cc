import { type Turns, Worker } from './turns.ts';

/** To close a connection takes Node and the system about as long as so many deliveries: 15 to 30 µs. */
const CLOSE_STEPS = 200;

/**
 * The connections whose clients have ended, and which are now closed: when a program ends that had thousands of them, some
 * in each turn.
 */
export class Departures extends Worker {
  private readonly turns: Turns;
  /** How to close each of those that wait, first come first. */
  private readonly waiting = new Set<() => void>();

  constructor(turns: Turns) {
    super();
    this.turns = turns;
  }

  /** A client has ended: `close` closes its connection, now or in a later turn. */
  add(close: () => void): void {
    this.waiting.add(close);
    if (this.waiting.size > 1 || !this.goOn()) this.turns.add(this);
    else this.turns.check();
  }

  /** Node has closed a connection by itself: its client has ended without having read everything. */
  closedAnother(): void {
    this.turns.work.done += CLOSE_STEPS;
  }

  goOn(): boolean {
    const { work } = this.turns;
    for (const close of this.waiting) {
      if (work.isTurnOver) return false;
      work.done += CLOSE_STEPS;
      this.waiting.delete(close);
      close();
    }
    return true;
  }
}
