import { describe, expect, it } from 'vitest';
import { table } from '../../src/cli/table.ts';
import { columnsOf, cut, filled } from '../../src/cli/text-width.ts';

describe('Text on a terminal', () => {
  it.each([
    ['plain', 5],
    ['画面', 4],
    ['e\u0301', 1],
    ['\u0301', 0],
    ['👩‍👩‍👧', 2],
    ['❤️', 2],
    ['Größe', 5],
  ])('%j takes %i columns', (text, columns) => expect(columnsOf(text)).toBe(columns));

  it.each([
    ['plain', 5, 'plain'],
    ['plainer', 5, 'plai…'],
    ['画面画面', 5, '画面…'],
    ['画面画面', 4, '画…'],
  ])('%j is cut to %i columns as %j', (text, max, kept) => expect(cut(text, max)).toBe(kept));

  it('is filled to its columns', () => {
    expect(filled('画面画面', 4)).toBe('画… ');
    expect(filled('a', 3)).toBe('a  ');
  });
});

describe('A table', () => {
  it('has columns as wide as their widest cells, numbers at the right', () => {
    const columns = [
      { heading: 'n', align: 'right' as const },
      { heading: 'name', max: 5 },
    ];
    const rows = [
      ['100', '画面'],
      ['7', 'thermostat'],
      ['8', '\x1b[2J'],
    ];
    expect(table(columns, rows)).toEqual(['  n  name', '100  画面', '  7  ther…', '  8  \\x1b…']);
  });
});
