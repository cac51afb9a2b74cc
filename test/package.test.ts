import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const manifest = JSON.parse(read('package.json'));

describe('the package', () => {
  let folder: string;
  let files: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kbus-package-'));
    const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const answer = JSON.parse(packed);
    const [{ filename, files: listed }] = Array.isArray(answer) ? answer : Object.values(answer);
    files = listed.map(({ path }: { path: string }) => path);
    await mkdir(join(folder, 'node_modules'));
    execFileSync('tar', ['-xzf', join(folder, filename), '-C', folder]);
    symlinkSync(join(folder, 'package'), join(folder, 'node_modules', 'kbus'));
    for (const name of Object.keys(manifest.dependencies)) {
      symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name));
    }
  });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('holds the build, the unit files, README, LICENSE and package.json, and nothing else', () => {
    const wanted = /^(dist\/.+\.(c?js|d\.ts)|systemd\/[\w.-]+|README\.md|LICENSE|package\.json)$/;
    expect(files.filter((path) => !wanted.test(path))).toEqual([]);
    for (const path of ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts']) {
      expect(files).toContain(path);
    }
  });

  test('has nothing that publint objects to', async () => {
    const { messages, pkg } = await publint({ pkgDir: root, strict: true, pack: 'npm' });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  test('can be imported and run where it is installed', () => {
    const program = `
      import { Bus, Ksock } from 'kbus';
      import { Daemon } from 'kbus/daemon';
      const ksock = await Ksock.open(new Bus());
      console.log(String(ksock), typeof Daemon);
      await ksock.close();`;
    const run = (args: string[]): string =>
      execFileSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect(run(['--input-type=module', '--eval', program])).toBe(
      'Ksock device 0, id 1, mode read/write function\n',
    );
    expect(run(['node_modules/kbus/dist/cli/main.cjs', '--version'])).toBe(`${manifest.version}\n`);
  });

  test('has few dependencies, none of which runs a script when it is installed', () => {
    const lock = JSON.parse(read('package-lock.json'));
    // What is there for development is `dev`, or `devOptional` where a dependency could use it too.
    interface Locked {
      dev?: boolean;
      devOptional?: boolean;
      optional?: boolean;
      hasInstallScript?: boolean;
    }
    const needed = Object.entries<Locked>(lock.packages).filter(
      ([path, { dev, devOptional, optional }]) => path !== '' && !dev && !devOptional && !optional,
    );
    expect(needed.map(([path]) => path).sort()).toEqual(
      Object.keys(manifest.dependencies)
        .map((name) => `node_modules/${name}`)
        .sort(),
    );
    expect(needed.filter(([, { hasInstallScript }]) => hasInstallScript)).toEqual([]);
  });

  test('is locked without the addresses of registries', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved"/);
  });
});
