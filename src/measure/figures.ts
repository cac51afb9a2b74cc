const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** A measured number: more than three figures of it say nothing. */
export function inFigures(value: number): string {
  return three.format(value);
}
