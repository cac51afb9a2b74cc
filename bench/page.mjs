// Writes tables into docs/performance.md, each between its marks.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../docs/performance.md', import.meta.url);

/**
 * Replaces the report between the marks of this name; the rest of the page stays.
 *
 * @param {string} page
 * @param {string} name
 * @param {string} text
 */
export function replaceReport(page, name, text) {
  const [mark, endMark] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const begin = page.indexOf(mark);
  const end = page.indexOf(endMark);
  if (begin < 0 || end < begin) {
    throw new Error(
      `the page has no place for the tables: add the lines "${mark}" and "${endMark}"`,
    );
  }
  return `${page.slice(0, begin)}${mark}\n\n${text}\n\n${page.slice(end)}`;
}

/** The same, in the file. @param {string} name @param {string} text */
export function writeReport(name, text) {
  writeFileSync(path, replaceReport(readFileSync(path, 'utf8'), name, text));
}
