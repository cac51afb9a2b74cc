import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SPECIFICATION } from '../spec/sections.ts';
import { SENTENCES } from './sentences.ts';

/** The sentences of spec 3, each with its section; layouts and commands in blocks are no sentences. */
function sentencesOf(text: string): string[] {
  const found: string[] = [];
  let section = '';
  for (const block of text.replace(/^ {4}.*$/gm, '').split(/\n(?=#|- |\d+\. |\n)/)) {
    const line = block.trim().replace(/\s+/g, ' ');
    const [, heading] = /^#+ (\d[\d.]*)/.exec(line) ?? [];
    if (heading !== undefined) section = heading;
    if (line === '' || line.startsWith('#') || section === '') continue;
    const words = line.replace(/^(- |\d+\. )/, '');
    for (const sentence of words.split(/(?<=[.:)])\s+(?=[A-Z`*])/))
      found.push(`${section} ${sentence}`);
  }
  return found;
}

const folder = new URL('.', import.meta.url).pathname;

describe('spec 3', () => {
  const sentences = sentencesOf(SPECIFICATION.get('3')?.text ?? '');

  it('has a test for each of its sentences, or the reason why it needs none', () => {
    expect(sentences.length).toBeGreaterThan(120);
    const listed = SENTENCES.map(([words]) => words);
    const without = sentences.filter((sentence, at) => !sentence.startsWith(listed[at] as string));
    expect(without.slice(0, 3)).toEqual([]);
    expect(listed.length).toBe(sentences.length);
  });

  it.each(SENTENCES.filter(([, by]) => Array.isArray(by)))('%s', (_, by) => {
    expect(by.length).toBeGreaterThan(0);
    for (const one of by as readonly string[]) {
      const [file = '', title = ''] = one.split(': ');
      expect(readFileSync(`${folder}${file}.test.ts`, 'utf8')).toContain(title);
    }
  });
});
