import { spawnSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { installPackage } from './support/install-package.ts';
import { blocksOf, outline, root, typedIn } from './support/markdown.ts';
import { Reader } from './support/reader.ts';

/** The reader has the packed package in their folder, and nothing of the checkout. */
describe('a reader who follows README.md from its beginning', () => {
  let reader: Reader;

  beforeAll(() => {
    reader = new Reader();
    const { home, folder } = reader;
    const modules = join(folder, 'node_modules');
    installPackage(home, folder);
    symlinkSync(join(root, 'node_modules/typescript/bin/tsc'), join(modules, '.bin', 'tsc'));
    for (const name of ['@types', 'undici-types'])
      symlinkSync(join(root, 'node_modules', name), join(modules, name));
    writeFileSync(join(folder, 'package.json'), '{ "name": "house", "version": "1.0.0" }\n');
  });

  afterAll(() => reader.leave());

  test('gets what stands there.', async () => {
    let count = 0;
    for (const { language, file, text } of blocksOf('README.md')) {
      if (file !== '') writeFileSync(join(reader.folder, file), text);
      if (language !== 'console' && language !== 'session') continue;
      for (const { command, output } of typedIn(text)) {
        count++;
        // README shows the folder of a user who is logged in.
        const printed = (await reader.type(command, output)).replaceAll(
          reader.env['KBUS_DIR'] as string,
          '/run/user/1000/kbus',
        );
        if (language === 'session') expect(outline(printed), printed).toEqual(outline(output));
        else expect(printed, command).toBe(output);
      }
    }
    expect(count).toBeGreaterThan(8);
  }, 60_000);

  const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
  const why = hasSystemd ? '' : ' (SKIPPED: there is no systemd-analyze here)';
  test.skipIf(!hasSystemd)(`has units that systemd accepts${why}.`, () => {
    const units = blocksOf('README.md').filter(({ language }) => language === 'ini');
    expect(units.map(({ file }) => file)).toEqual(['kbus.service', 'heater.service']);
    const paths = units.map(({ file, text }) => {
      const path = join(reader.home, file);
      writeFileSync(path, text);
      return path;
    });
    const { stdout, stderr, status } = spawnSync(
      'systemd-analyze',
      ['--user', 'verify', ...paths],
      { env: { ...reader.env, XDG_RUNTIME_DIR: reader.home }, encoding: 'utf8' },
    );
    expect([stdout, stderr, status]).toEqual(['', '', 0]);
  });
});
