import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Every file of code below a folder, but for what is installed, built or hidden. */
function code(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (/^(\.|node_modules$|dist\b)/.test(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return code(path);
    return /\.[cm]?[jt]s$/.test(entry.name) ? [path] : [];
  });
}

test('every file of code is type-checked', () => {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  const projects = ['tsconfig.json', 'tsconfig.browser.json'];
  const checked = new Set(
    projects.flatMap((project) =>
      execFileSync(process.execPath, [tsc, '-p', join(root, project), '--listFilesOnly'], {
        encoding: 'utf8',
      })
        .trim()
        .split('\n')
        .map((path) => resolve(path)),
    ),
  );
  expect(code(root).filter((path) => !checked.has(path))).toEqual([]);
});
