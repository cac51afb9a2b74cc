import { availableParallelism } from 'node:os';

/** The number of polling periods after which the hit rate is checked. */
const TRIAL_PERIODS = 256;

/** The lowest hit rate that is worth a core. */
const MIN_HIT_RATE = 1 / 4;

/** How long polling stays off when the hit rate was too low. */
const COOL_DOWN_MS = 1000;

/**
 * Keeps the daemon's event loop polling for a moment after each read: to wake a sleeping process takes longer than
 * the daemon needs for a message. Polling occupies a core, so it is off on a machine with one, and stops for a
 * while when too few periods saw another read.
 */
export class BusyPoll {
  private readonly milliseconds: number;
  private readonly now: () => number;
  private pollUntil = 0;
  private offUntil = 0;
  private polling = false;
  private wasHit = false;
  private periods = 0;
  private hits = 0;

  /** Polls for `microseconds` after each read; 0: never. `now` is a clock in milliseconds. */
  constructor(microseconds: number, cores = availableParallelism(), now = () => performance.now()) {
    this.milliseconds = cores > 1 ? microseconds / 1000 : 0;
    this.now = now;
  }

  get isPolling(): boolean {
    return this.polling;
  }

  /** The daemon has handled received bytes. */
  readonly onHandled = (): void => {
    if (this.milliseconds === 0) return;
    const now = this.now();
    this.pollUntil = now + this.milliseconds;
    this.wasHit = true;
    if (this.polling || now < this.offUntil) return;
    this.polling = true;
    this.wasHit = false;
    setImmediate(this.poll);
  };

  private readonly poll = (): void => {
    const now = this.now();
    if (now < this.pollUntil) {
      setImmediate(this.poll);
      return;
    }
    this.polling = false;
    if (this.wasHit) this.hits++;
    if (++this.periods < TRIAL_PERIODS) return;
    if (this.hits < TRIAL_PERIODS * MIN_HIT_RATE) this.offUntil = now + COOL_DOWN_MS;
    this.periods = 0;
    this.hits = 0;
  };
}
