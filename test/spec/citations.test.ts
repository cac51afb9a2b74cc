import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { countCitations, wrongCitations } from './citations.ts';
import { SPECIFICATION } from './sections.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const FOLDERS = ['src', 'test', 'docs', 'chaos', 'soak', 'bench', 'examples', 'scripts'];
const HAS_TEXT = /\.(?:[cm]?[jt]s|py|c|h|md|txt)$/;
/** Here stand wrong citations on purpose. */
const SAMPLES = new Set(['test/spec/citations.ts', 'test/spec/citations.test.ts']);

function filesOf(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .map((path) => `${folder}/${path}`)
    .filter((path) => HAS_TEXT.test(path) && !path.includes('/node_modules/'));
}

const FILES = ['README.md', ...FOLDERS.flatMap(filesOf)]
  .filter((path) => !SAMPLES.has(path))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') }));

describe('the specification', () => {
  it('has four documents, whose sections are numbered one after the other.', () => {
    expect([...SPECIFICATION.keys()]).toEqual(['1', '2', '3', '4']);
    for (const { numbers } of SPECIFICATION.values()) {
      let [major, minor] = [Number(numbers[0]) - 1, 0];
      expect(numbers).toEqual(
        numbers.map((number) => {
          if (number.includes('.')) return `${major}.${++minor}`;
          minor = 0;
          return String(++major);
        }),
      );
    }
  });

  it('is cited in one form, and every section and every word that is cited is there.', () => {
    expect(FILES.flatMap(({ path, text }) => wrongCitations(path, text))).toEqual([]);
  });

  it('is cited by the source and the tests, and quoted by the naive model.', () => {
    const cited = (folder: string): number =>
      FILES.filter(({ path }) => path.startsWith(folder))
        .map(({ text }) => countCitations(text).citations)
        .reduce((sum, count) => sum + count, 0);
    expect(cited('src/')).toBeGreaterThan(30);
    expect(cited('test/')).toBeGreaterThan(60);
    const model = FILES.find(({ path }) => path === 'test/model/naive-bus.ts');
    expect(countCitations(model?.text ?? '').quotes).toBeGreaterThan(30);
  });
});

describe('a citation', () => {
  it.for([
    'spec 1 §6',
    'As it is in spec 1 §6.10, and in spec 2.',
    'spec 1 §2, spec 1 §7.2',
    'The end of a sentence: spec 1 §6.',
    '[the first document](spec/1-model.md)',
    'RFC 6455, section 5.2, and RFC 6455 §5.2, and RFC 793, sections 3 and 4',
    'spec 1 §5.1: "A queue is full when occupied ≥ limit."',
    'spec 1 §5: "A queue is full when occupied ≥ limit"; nothing else',
    '// spec 1 §3: "Serials start at 1, rise\n  // by one [...] when they wrap."',
    ' * spec 1 §3: "Serials start at 1, rise\n * by one and skip 0 when they wrap."',
  ])('may be written so: %j.', (text) => {
    expect(wrongCitations('a.ts', text)).toEqual([]);
  });

  it.for([
    ['one\n// (section 6)', 2],
    ['// as sections 6 to 8 say', 1],
    ['// the specification, section\n// 6', 1],
    ['/** §4. */', 1],
    ['one\ntwo\n * spec 1 and §6', 3],
    ['// spec 1\n// §6', 2],
    ['// spec 1 § 6', 1],
    ['// spec §6', 1],
    ['// Spec 1 §6', 1],
    ['// spec. 1 §6', 1],
    ['// spec1', 1],
    ['// the specification, 2-bytes', 1],
    ['// 1-model', 1],
    ['// spec 1 §6.99', 1],
    ['// spec 1 §99', 1],
    ['// spec 1 §6.1.2', 1],
    ['// spec 5', 1],
    ['\n\n// spec 1 §5.1: "A queue is full when occupied > limit"', 3],
    ['// spec 1 §6: "A queue is full when occupied ≥ limit"', 1],
    ['// spec 1 §5.1: "the limit [...] A queue is full [...] A queue is full"', 1],
  ] as const)('%j is refused, and its line %i told.', ([text, line]) => {
    const wrong = wrongCitations('a.ts', text);
    expect(wrong).not.toEqual([]);
    for (const fault of wrong) expect(fault).toMatch(new RegExp(`^a\\.ts:${line}: `));
  });
});
