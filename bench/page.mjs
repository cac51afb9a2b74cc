// docs/performance.md, where every table has its place.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../docs/performance.md', import.meta.url);

/**
 * Puts a new report in place of the one between the marks of this name, and leaves the rest alone.
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
      `there is no place for the tables: put the lines "${mark}" and "${endMark}" where they shall go`,
    );
  }
  return `${page.slice(0, begin)}${mark}\n\n${text}\n\n${page.slice(end)}`;
}

/** The same, in the page itself. @param {string} name @param {string} text */
export function writeReport(name, text) {
  writeFileSync(path, replaceReport(readFileSync(path, 'utf8'), name, text));
}
