/**
 * What the time of a tap is between its events. It goes on from the last event that was handled: a model that is behind has
 * the time of what it knows. All times are microseconds.
 */
export class TapClock {
  private apart: number | null = null;
  private latest = 0;

  /** An event of this time is handled at this time of the own clock. */
  note(time: number, own: number): void {
    this.apart = own - time;
  }

  /** The time of the tap at this time of the own clock; it never goes back. */
  at(own: number): number {
    if (this.apart !== null) this.latest = Math.max(this.latest, own - this.apart);
    return this.latest;
  }
}
