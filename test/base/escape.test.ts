import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { escaped, escapedJson, escapedLines } from '../../src/base/escape.ts';

/** All escaped characters: control characters, changes of direction, ends of lines, lone surrogates. */
const UNSEEN = [
  [0x00, 0x1f],
  [0x7f, 0x9f],
  [0x061c, 0x061c],
  [0x200e, 0x200f],
  [0x2028, 0x202e],
  [0x2066, 0x2069],
  [0xd800, 0xdfff],
].flatMap(([from = 0, to = 0]) => Array.from({ length: to - from + 1 }, (_, at) => from + at));

const LANGUAGES =
  'a~ \u00a0 é ß Ω Ж ש ع ไทย हिन्दी 한국어 日本語 \u{20000} \u{1f468}\u200d\u{1f469}\u200d\u{1f467} \u{1f1f3}\u{1f1f1} ﷽ \u{feff}';

describe('text that is safe to print', () => {
  test('has every dangerous character escaped', () => {
    for (const code of UNSEEN) {
      const text = escaped(`<${String.fromCharCode(code)}>`);
      expect(text).toMatch(/^<\\(?:[nrt]|x[0-9a-f]{2}|u[0-9a-f]{4})>$/);
    }
  });

  test('keeps the letters of all languages', () => {
    expect(escaped(LANGUAGES)).toBe(LANGUAGES);
    expect(escapedLines(LANGUAGES)).toBe(LANGUAGES);
    expect(escapedJson([LANGUAGES])).toBe(`["${LANGUAGES}"]`);
  });

  test.each([
    ['\x1b[31m', '\\x1b[31m'],
    ['\x9b31m', '\\x9b31m'],
    ['a\u202eb', 'a\\u202eb'],
    ['\ud83d', '\\ud83d'],
    ['a\r\n\tb', 'a\\r\\n\\tb'],
  ])('%j is printed as %s', (text, printed) => {
    expect(escaped(text)).toBe(printed);
  });

  test('keeps newlines and tabs in text of several lines', () => {
    expect(escapedLines('a\n\tb\r\n\x1b')).toBe('a\n\tb\\r\n\\x1b');
  });
});

describe('JSON', () => {
  test('is one line with the same value, safe to print', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        const line = escapedJson(texts);
        expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(line)).toEqual(texts);
      }),
    );
    const all = UNSEEN.map((code) => String.fromCharCode(code));
    expect(escapedJson(all)).toMatch(/^[\x20-\x7e]*$/);
    expect(JSON.parse(escapedJson(all))).toEqual(all);
  });
});
