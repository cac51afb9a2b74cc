/** How many refusals of one event are explained: those of a flood are told by their numbers alone. */
const MAX_EXPLAINED = 32;

/** To explain a refusal takes time that belongs to others, so each connection has a budget for each event. */
export class Explanations {
  private readonly markDirty: () => void;
  private explained = 0;

  /** `markDirty` sees to it that `renew` is called once the event has been handled. */
  constructor(markDirty: () => void) {
    this.markDirty = markDirty;
  }

  /** What `says` gives, or '' when the budget is spent. */
  why(says: () => string): string {
    if (this.explained === MAX_EXPLAINED) return '';
    this.explained++;
    this.markDirty();
    return says();
  }

  renew(): void {
    this.explained = 0;
  }
}
