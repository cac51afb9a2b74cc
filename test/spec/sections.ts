import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One of the documents in docs/spec: its sections by number, each with the text of its subsections. */
export interface SpecDocument {
  readonly text: string;
  /** The numbers of its headings, as they follow each other: 1, 2, 2.1, 2.2, 3 ... */
  readonly numbers: readonly string[];
  readonly sections: ReadonlyMap<string, string>;
}

const HEADING = /^(#{2,})[ ](?:(\d+(?:\.\d+)?)[ ])?.*$/gm;

function parse(text: string, path: string): SpecDocument {
  const headings = [...text.matchAll(HEADING)].map(
    ({ 0: line, 1: marks = '', 2: number, index }) => {
      const level = marks.length;
      if (number === undefined || number.split('.').length !== level - 1) {
        throw new Error(`${path}: the heading '${line}' has no number of its level`);
      }
      return { level, number, index };
    },
  );
  const sections = new Map<string, string>();
  for (const [at, { level, number, index }] of headings.entries()) {
    const next = headings.slice(at + 1).find((heading) => heading.level <= level);
    sections.set(number, text.slice(index, next?.index));
  }
  return { text, numbers: headings.map(({ number }) => number), sections };
}

const folder = new URL('../../docs/spec/', import.meta.url);

/** The documents of the specification by their numbers, which their files' names begin with. */
export const SPECIFICATION: ReadonlyMap<string, SpecDocument> = new Map(
  readdirSync(fileURLToPath(folder)).flatMap((file) => {
    const number = /^(\d+)-\w+\.md$/.exec(file)?.[1];
    if (number === undefined) return [];
    return [[number, parse(readFileSync(new URL(file, folder), 'utf8'), `docs/spec/${file}`)]];
  }),
);

/** The text of a section. */
export function section(document: number, number: string): string {
  const text = SPECIFICATION.get(String(document))?.sections.get(number);
  if (text === undefined) throw new Error(`document ${document} has no section ${number}`);
  return text;
}

/** The rows of the tables in a section, without their heads; each is a list of cells. */
export function tableRows(document: number, number: string): string[][] {
  const rows = section(document, number)
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.split('|').slice(1, -1));
  return rows
    .filter((_, at) => !isRule(rows[at]) && !isRule(rows[at + 1]))
    .map((cells) => cells.map((cell) => cell.trim()));
}

/** The line between the head of a table and its rows. */
function isRule(cells: readonly string[] | undefined): boolean {
  return cells?.every((cell) => cell.trim() === '---') ?? false;
}
