import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeEach, describe, expect, it } from 'vitest';
import { FolderError, MadeFolders } from '../../src/system/made-folders.ts';
import { newFolder } from '../support/folder.ts';

const OURS = { mode: 0o700 };

let folder: string;
let folders: MadeFolders;
beforeEach(async () => {
  folder = await newFolder();
  folders = new MadeFolders();
});

describe('MadeFolders', () => {
  it('creates missing folders, and removes them again.', () => {
    mkdirSync(join(folder, 'there'));
    folders.make(join(folder, 'there', 'a', 'b'), OURS);
    folders.make(join(folder, 'there', 'a', 'b'), OURS);
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual([
      'there',
      'there/a',
      'there/a/b',
    ]);
    folders.remove();
    expect(readdirSync(folder, { recursive: true })).toEqual(['there']);
  });

  it('gives all folders their permissions, whatever the umask is.', () => {
    const before = process.umask(0o077);
    try {
      folders.make(join(folder, 'a', 'b'), { mode: 0o755, group: process.getgid?.() });
    } finally {
      process.umask(before);
    }
    for (const path of ['a', 'a/b']) expect(statSync(join(folder, path)).mode & 0o777).toBe(0o755);
  });

  it('leaves folders that are not empty, or were replaced.', () => {
    folders.make(join(folder, 'a', 'b'), OURS);
    folders.make(join(folder, 'c'), OURS);
    writeFileSync(join(folder, 'a', 'note'), '');
    rmdirSync(join(folder, 'c'));
    mkdirSync(join(folder, 'c'));
    folders.remove();
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['a', 'a/note', 'c']);
  });

  it('fails at once below /proc.', ({ skip }) => {
    if (process.platform !== 'linux') return skip('SKIPPED: there is no /proc');
    expect(() => folders.make('/proc/kbus/a', OURS)).toThrow(
      new FolderError('ENOENT', "can't create a folder in /proc"),
    );
  });

  it.for([
    ['a file', 'file', 'is not a folder', 'ENOTDIR'],
    ['a dangling link', 'link', 'which does not exist', 'ENOENT'],
  ])('fails at %s, and below it, and creates nothing.', ([, name = '', says = '', code]) => {
    writeFileSync(join(folder, 'file'), '');
    symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
    for (const path of [name, join(name, 'a'), join(name, 'a', 'b')]) {
      const make = (): void => folders.make(join(folder, path), OURS);
      expect(make).toThrow(FolderError);
      expect(make).toThrow(`${code}: ${join(folder, name)} is `);
      expect(make).toThrow(says);
    }
    expect(readdirSync(folder).sort()).toEqual(['file', 'link']);
  });

  it('follows a symbolic link to a folder.', () => {
    mkdirSync(join(folder, 'there'));
    symlinkSync('there', join(folder, 'link'));
    folders.make(join(folder, 'link', 'a'), OURS);
    expect(readdirSync(join(folder, 'there'))).toEqual(['a']);
  });

  it('removes the folders that it created before an error.', () => {
    const long = 'x'.repeat(300);
    expect(() => folders.make(join(folder, 'a', long), OURS)).toThrow('ENAMETOOLONG');
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fails without permission.', ({ skip }) => {
    if (process.getuid?.() === 0) return skip('SKIPPED: root may write anywhere');
    chmodSync(folder, 0o500);
    expect(() => folders.make(join(folder, 'a'), OURS)).toThrow('EACCES');
    chmodSync(folder, 0o700);
  });

  it('fails on a full or read-only file system.', ({ skip }) => {
    const mounts = ['size=4k,nr_inodes=1', 'ro'].map((options) => {
      const at = join(folder, options.slice(0, 2));
      mkdirSync(at);
      return { at, status: spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'none', at]).status };
    });
    try {
      if (mounts.some(({ status }) => status !== 0)) return skip('SKIPPED: it may not mount');
      expect(() => folders.make(join(mounts[0]?.at ?? '', 'a'), OURS)).toThrow('ENOSPC');
      expect(() => folders.make(join(mounts[1]?.at ?? '', 'a'), OURS)).toThrow('EROFS');
    } finally {
      for (const { at } of mounts) spawnSync('umount', [at]);
    }
  });
});
