import { readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, expect, it } from 'vitest';
import { makeFolders } from '../../src/daemon/folders.ts';
import { newFolder } from '../support/folder.ts';

let folder: string;
beforeEach(async () => {
  folder = await newFolder();
});

describe('makeFolders', () => {
  it('makes what is not there, and tells it, the innermost first.', () => {
    const inner = join(folder, 'a', 'b');
    expect(makeFolders(inner, 0o700)).toEqual([inner, join(folder, 'a')]);
    expect(statSync(inner).isDirectory()).toBe(true);
    expect(makeFolders(inner, 0o700)).toEqual([]);
  });

  it('is refused at once below /proc, where nothing can be made.', ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: there is no /proc');
    expect(() => makeFolders('/proc/kbus/a', 0o700)).toThrow('/proc/kbus');
  });

  it('is refused below a file, and below a link to nothing, and leaves nothing.', () => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    for (const name of ['file', 'link']) {
      expect(() => makeFolders(join(folder, name, 'a', 'b'), 0o700)).toThrow(name);
    }
    expect(readdirSync(folder).sort()).toEqual(['file', 'link']);
  });
});
