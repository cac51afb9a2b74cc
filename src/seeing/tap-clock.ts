/**
 * What the time of a tap is between its events: the least time that an event took to come tells how far the two clocks
 * stand apart. All times are microseconds.
 */
export class TapClock {
  private apart = Number.POSITIVE_INFINITY;

  /** An event of this time has come at this time of the own clock. */
  note(time: number, own: number): void {
    this.apart = Math.min(this.apart, own - time);
  }

  /** The time of the tap at this time of the own clock. */
  at(own: number): number {
    return this.apart === Number.POSITIVE_INFINITY ? 0 : own - this.apart;
  }
}
