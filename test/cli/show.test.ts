import { describe, expect, test } from 'vitest';
import { forTerminal } from '../../src/cli/show.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe('data on a terminal', () => {
  test.each([
    ['', ''],
    ['hello', 'hello\n'],
    ['two\n\tlines\n', 'two\n\tlines\n'],
    ['caf\u00e9 \u{1f41f}', 'caf\u00e9 \u{1f41f}\n'],
  ])('%j is printed as the text it is, on a line of its own', (text, printed) => {
    expect(forTerminal(Buffer.from(text))).toBe(printed);
  });

  test.each([
    ['a colour sequence', Buffer.from('\x1b[31mred\n'), '\\x1b[31mred\n'],
    ['what would overwrite it', Buffer.from('good\rbad'), 'good\\rbad\n'],
    ['what is not UTF-8', bytes(0x41, 0xff), "'A\\xff'\n"],
    ['a zero', bytes(0), '\\x00\n'],
    ['a control character of Latin-1', Buffer.from('\u009b31m'), '\\x9b31m\n'],
  ])('%s is escaped', (_, data, printed) => {
    expect(forTerminal(data)).toBe(printed);
  });
});
