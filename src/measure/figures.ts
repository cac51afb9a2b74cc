const three = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 });

/** A measured number, with three significant figures: further ones are noise. */
export function inFigures(value: number): string {
  return three.format(value);
}
