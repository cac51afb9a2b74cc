import { availableParallelism } from 'node:os';

/** How many times it looks before it asks itself whether that was worth anything. */
const TRIAL = 256;

/** How long it doesn't look after looking was in vain, in milliseconds. */
const REST = 1000;

/**
 * Keeps the daemon awake for a moment after something came, looking whether more does: to wake a process
 * that sleeps takes longer than all that the daemon does with a message. It costs a core while it looks.
 * So where there is only one, it doesn't; and it rests when too little came while it looked.
 */
export class BusyPoll {
  private readonly milliseconds: number;
  private readonly now: () => number;
  private until = 0;
  private restUntil = 0;
  private isLooking = false;
  private hasCome = false;
  private looks = 0;
  private gains = 0;

  /** `microseconds` is how long it looks after each time; 0: never. `now` is a clock, in milliseconds. */
  constructor(microseconds: number, cores = availableParallelism(), now = () => performance.now()) {
    this.milliseconds = cores > 1 ? microseconds / 1000 : 0;
    this.now = now;
  }

  /** Whether it looks now. */
  get isAwake(): boolean {
    return this.isLooking;
  }

  /** Something came, and has been seen to. */
  readonly came = (): void => {
    if (this.milliseconds === 0) return;
    const now = this.now();
    this.until = now + this.milliseconds;
    this.hasCome = true;
    if (this.isLooking || now < this.restUntil) return;
    this.isLooking = true;
    this.hasCome = false;
    setImmediate(this.look);
  };

  private readonly look = (): void => {
    const now = this.now();
    if (now < this.until) {
      setImmediate(this.look);
      return;
    }
    this.isLooking = false;
    if (this.hasCome) this.gains++;
    if (++this.looks < TRIAL) return;
    // Each time that nothing came cost more than it can bring.
    if (this.gains * 4 < TRIAL) this.restUntil = now + REST;
    this.looks = 0;
    this.gains = 0;
  };
}
