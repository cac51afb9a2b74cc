/** The most refusals that are explained per event; a flood of further ones gets error numbers alone. */
const MAX_EXPLAINED_REFUSALS = 32;

/** A connection's budget of explained refusals per event: to explain one takes time from other connections. */
export class ExplanationBudget {
  private readonly markDirty: () => void;
  private explained = 0;

  /** `markDirty` must make sure that `renew` is called after the event. */
  constructor(markDirty: () => void) {
    this.markDirty = markDirty;
  }

  /** The explanation, or '' if the budget is spent. */
  why(explain: () => string): string {
    if (this.explained === MAX_EXPLAINED_REFUSALS) return '';
    this.explained++;
    this.markDirty();
    return explain();
  }

  renew(): void {
    this.explained = 0;
  }
}
