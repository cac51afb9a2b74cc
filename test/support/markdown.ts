import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder of the repository, with a slash at its end. */
export const root = new URL('../..', import.meta.url).pathname;

/** All pages, relative to the repository. */
export const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .map((name) => `docs/${name}`)
    .filter((name) => name.endsWith('.md')),
];

export function readPage(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

/** A block of code: ` ```js heater.mjs ` is in the language `js`, and the file `heater.mjs` of the reader. */
export interface Block {
  language: string;
  file: string;
  text: string;
}

export function blocksOf(page: string): Block[] {
  const blocks = readPage(page).matchAll(/^```(\w*)(?: (\S+))?\n(.*?)^```$/gms);
  return [...blocks].map(([, language = '', file = '', text = '']) => ({ language, file, text }));
}

/** What is typed at the prompts of a block, each with what stands below it. */
export function typedIn(text: string): { command: string; output: string }[] {
  const typed = text.matchAll(/^\$ (.*)\n((?:(?!\$ ).*\n)*)/gm);
  return [...typed].map(([, command = '', output = '']) => ({ command, output }));
}

/** Lines without their numbers, times and widths of columns, in some order. */
export function outline(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) =>
      line
        .replace(/[<>]?\d[\d.,:]*/g, '#')
        .replace(/# (?:µs|ms|s|min|[KMG]i?B|B)\b/g, '# unit')
        .replace(/(?<= )-(?= |$)/g, '# unit')
        .replace(/ +/g, ' '),
    )
    .sort();
}
