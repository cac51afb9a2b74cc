import { SPECIFICATION } from './sections.ts';

/** A place where a text cites the specification, and what is wrong with it. */
interface Fault {
  readonly index: number;
  readonly says: string;
}

const CITATION = /\bspec (\d+)(?: §(\d+(?:\.\d+)*))?/g;
const QUOTE = new RegExp(`${CITATION.source}: "([^"]+)"`, 'g');

/** What a citation in another form looks like. Sections of an RFC are another matter. */
const WRONG_FORMS = [
  /(?<!\bspec \d+ )(?<!\bRFC \d+,? )§|§(?!\d)/g,
  /(?<!\bRFC \d+,? )\bsections?\s+\d+/gi,
  /\b[1-4]-(?:model|bytes|limpets|api)\b(?!\.md)/g,
  /\bspec(?! \d)\.?\s*\d|\bS(?:pec|PEC)\s*\d/g,
];

/**
 * Cleans a text of what begins the lines of comments, so that sentences run on from line to line. It
 * keeps its length: what is found in the one has the same place in the other.
 */
function withoutLeaders(text: string): string {
  return text.replace(/^[ \t]*(?:\/\/+|\*(?!\/)|#+)(?=\s)/gm, (leader) =>
    ' '.repeat(leader.length),
  );
}

const oneLine = (text: string): string => text.replace(/\s+/g, ' ');

/** Whether the pieces of a quote, between `[...]`, stand in a text one after the other. */
function isQuoteOf(quote: string, text: string): boolean {
  let at = 0;
  for (const piece of quote.split('[...]')) {
    const words = piece.trim();
    const found = text.indexOf(words, at);
    if (found < 0) return false;
    at = found + words.length;
  }
  return true;
}

function faultsIn(text: string): Fault[] {
  const faults: Fault[] = [];
  for (const form of WRONG_FORMS) {
    for (const { 0: found, index } of text.matchAll(form)) {
      const what = JSON.stringify(oneLine(found));
      faults.push({ index, says: `${what} is not a citation: write 'spec 1 §6' or 'spec 1 §6.5'` });
    }
  }
  for (const { 0: cited, 1: document = '', 2: number, index } of text.matchAll(CITATION)) {
    const found = SPECIFICATION.get(document);
    if (found !== undefined && (number === undefined || found.sections.has(number))) continue;
    faults.push({ index, says: `docs/spec has no ${cited}` });
  }
  for (const { 1: document = '', 2: number, 3: quote = '', index } of text.matchAll(QUOTE)) {
    const found = SPECIFICATION.get(document);
    const source = number === undefined ? found?.text : found?.sections.get(number);
    if (source === undefined || isQuoteOf(oneLine(quote), oneLine(source))) continue;
    faults.push({ index, says: `these words are not in that section: "${oneLine(quote)}"` });
  }
  return faults;
}

/** What is wrong with the citations in a file: `src/bus/bus.ts:12: docs/spec has no spec 1 §99`. */
export function wrongCitations(path: string, text: string): string[] {
  const clean = withoutLeaders(text);
  return faultsIn(clean)
    .sort((a, b) => a.index - b.index)
    .map(({ index, says }) => `${path}:${clean.slice(0, index).split('\n').length}: ${says}`);
}

/** How many citations a text has, and how many of them with words of the section. */
export function countCitations(text: string): { citations: number; quotes: number } {
  const clean = withoutLeaders(text);
  return {
    citations: [...clean.matchAll(CITATION)].length,
    quotes: [...clean.matchAll(QUOTE)].length,
  };
}
