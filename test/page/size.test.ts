import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { PAGE_FOLDER } from '../support/daemon.ts';

/** 150 KiB: what the daemon serves must be quick to load, and small to read. */
const MOST_BYTES = 150 * 1024;

it('All files of the page together have at most 150 KiB, compressed', () => {
  const names = readdirSync(PAGE_FOLDER);
  expect(names).toContain('index.html');
  const sizes = names.map((name) => gzipSync(readFileSync(join(PAGE_FOLDER, name))).length);
  expect(sizes.reduce((sum, one) => sum + one)).toBeLessThan(MOST_BYTES);
});
