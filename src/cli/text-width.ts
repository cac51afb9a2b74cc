import { eastAsianWidth } from 'get-east-asian-width';

// How much room text takes on a terminal.

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** How many columns of a terminal a text takes that has no control characters. */
export function columnsOf(text: string): number {
  if (isPlain(text)) return text.length;
  let columns = 0;
  for (const { segment } of segmenter.segment(text)) columns += columnsOfOne(segment);
  return columns;
}

/** The beginning of a text, with `…` where it goes on, in at most so many columns. */
export function cut(text: string, max = Number.POSITIVE_INFINITY): string {
  if ((text.length <= max && isPlain(text)) || columnsOf(text) <= max) return text;
  let kept = '';
  let columns = 1;
  for (const { segment } of segmenter.segment(text)) {
    columns += columnsOfOne(segment);
    if (columns > max) break;
    kept += segment;
  }
  return `${kept}…`;
}

/** The same, filled with spaces to exactly so many columns. */
export function filled(text: string, columns: number): string {
  const kept = cut(text, columns);
  return kept + ' '.repeat(Math.max(0, columns - columnsOf(kept)));
}

function isPlain(text: string): boolean {
  return /^[ -~]*$/.test(text);
}

/** An emoji of several characters takes two columns; a mark without a letter takes none. */
function columnsOfOne(grapheme: string): number {
  if (/^\p{Emoji_Presentation}|\ufe0f/u.test(grapheme)) return 2;
  if (/^[\p{M}\p{Cf}]+$/u.test(grapheme)) return 0;
  return eastAsianWidth(grapheme.codePointAt(0) as number);
}
