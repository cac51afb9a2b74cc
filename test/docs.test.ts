import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import GithubSlugger from 'github-slugger';
import { describe, expect, test } from 'vitest';
import { blocksOf, outline, pages, readPage, root, typedIn } from './support/markdown.ts';
import { Reader } from './support/reader.ts';

/** README.md is a walk from its beginning to its end: test/readme.test.ts. */
const runPages = pages.filter((page) => page !== 'README.md');

/** Links to other files, and to headings; those that lead out of the repository are left alone. */
const links = pages.flatMap((page) => {
  const text = readPage(page).replace(/^```.*?^```$|`[^`\n]*`/gms, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => ({ page, target }))
    .filter(({ target }) => !/^[a-z]+:/.test(target));
});

/** Files and folders of the repository that pages name: `src/bus/ledger.ts`. */
const paths = pages.flatMap((page) => {
  const text = readPage(page);
  const named = text.matchAll(
    /`((?:src|test|bench|chaos|soak|examples|harness|scripts|systemd)\/[\w./-]*)`/g,
  );
  return [...named].map(([, path = '']) => ({ page, path }));
});

/** The names by which links reach the headings of a page, as GitHub makes them. */
function anchorsOf(path: string): string[] {
  const slugger = new GithubSlugger();
  const text = readFileSync(path, 'utf8').replace(/^```.*?^```$/gms, '');
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => slugger.slug(heading));
}

/** Programs (js), each with what it prints (the text block behind it). */
const programs = runPages.flatMap((page) =>
  blocksOf(page).flatMap(({ language, file, text }, at, all) => {
    const output = all[at + 1];
    return language === 'js' && output?.language === 'text'
      ? [{ page, file, text, output: output.text }]
      : [];
  }),
);

/** Programs of `examples` that a page shows. */
const shown = pages.flatMap((page) =>
  blocksOf(page)
    .filter(({ file }) => file.startsWith('examples/'))
    .map(({ file, text }) => ({ page, file, text })),
);

/** What is typed at a prompt, with what it prints. */
const consoles = runPages.flatMap((page) =>
  blocksOf(page)
    .filter(({ language }) => language === 'console')
    .map(({ text }) => ({ page, text })),
);

/** The same where names and words are what is promised, and numbers, times and the order of lines differ. */
const sessions = runPages.flatMap((page) =>
  blocksOf(page)
    .filter(({ language }) => language === 'session')
    .map(({ text }) => ({ page, text })),
);

describe('the links in the documentation', () => {
  test('are there', () => {
    expect(links.map(({ page }) => page)).toEqual(
      expect.arrayContaining(['README.md', 'docs/spec/README.md']),
    );
  });

  test.each(links)('$target of $page leads somewhere', ({ page, target }) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(root, page) : join(root, dirname(page), path);
    expect(existsSync(file)).toBe(true);
    if (anchor !== undefined) expect(anchorsOf(file)).toContain(anchor);
  });

  test.each(paths)('$path, which $page names, exists', ({ path }) => {
    expect(existsSync(join(root, path))).toBe(true);
  });
});

describe('the examples in the documentation', () => {
  test('are there', () => {
    for (const found of [programs, shown, consoles, sessions]) {
      expect(found.length).toBeGreaterThan(0);
    }
  });

  test.each(shown)('$file is as $page shows it', ({ file, text }) => {
    expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  });

  test.concurrent.each(programs)(
    'a program of $page prints what stands below it',
    async ({ file, text, output }) => {
      const reader = await Reader.inCheckout();
      try {
        if (file === '') writeFileSync(join(reader.folder, 'example.mjs'), text);
        const printed = await reader.type(`node ${file || 'example.mjs'}`);
        expect(printed).toBe(output);
      } finally {
        await reader.leave();
      }
    },
  );

  test.concurrent.each(sessions)(
    'what is typed in $page prints what is alike',
    // The programs of a walk are alive: in one moment in many, one of them is at something else.
    { retry: 2 },
    async ({ text }) => {
      const reader = await Reader.inCheckout();
      try {
        for (const { command, output } of typedIn(text)) {
          const printed = await reader.type(command, output);
          expect(outline(printed), printed).toEqual(outline(output));
        }
      } finally {
        await reader.leave();
      }
    },
  );

  test.concurrent.each(consoles)(
    'what is typed in $page prints what stands below it',
    async ({ text }) => {
      const reader = await Reader.inCheckout();
      try {
        for (const { command, output } of typedIn(text)) {
          // Data is printed as it came when nobody looks, and with an end of line when somebody does.
          expect((await reader.type(command, output)).trimEnd()).toBe(output.trimEnd());
        }
      } finally {
        await reader.leave();
      }
    },
  );
});
