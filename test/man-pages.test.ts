import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../src/cli/commands.ts';
import { SETTING_NAMES } from '../src/daemon/settings.ts';

const root = new URL('..', import.meta.url).pathname;
const folder = join(root, 'dist/man');
const pages = readdirSync(folder).sort();

/** The text of a page as `man` shows it, without bold and underlined letters. */
function shown(page: string): string {
  const { stdout } = spawnSync('mandoc', ['-T', 'utf8', join(folder, page)], { encoding: 'utf8' });
  return stdout.replace(/.[\b]/g, '');
}

const HAS_MANDOC = spawnSync('mandoc', ['-T', 'lint', join(folder, 'kbus.1')]).error === undefined;
const HAS_MAN = spawnSync('man', ['--version']).status === 0;
const unless = (has: boolean, name: string): string =>
  has ? '' : ` (skipped: ${name} is not installed)`;

describe('the man pages', () => {
  test('are one for kbus, one for each command, and one for the configuration file', () => {
    const wanted = ['kbus.1', 'kbus.toml.5', ...COMMANDS.map(({ name }) => `kbus-${name}.1`)];
    expect(pages).toEqual(wanted.sort());
    const { man } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(man).toEqual(pages.map((page) => `./dist/man/${page}`));
  });

  test.skipIf(!HAS_MANDOC).each(pages)(
    `mandoc has no warning about %s${unless(HAS_MANDOC, 'mandoc')}`,
    (page) => {
      const { stdout, stderr } = spawnSync(
        'mandoc',
        ['-T', 'lint', '-W', 'warning', join(folder, page)],
        { encoding: 'utf8' },
      );
      expect(stdout + stderr).toBe('');
    },
  );

  test.skipIf(!HAS_MAN)(`man has no warning about any${unless(HAS_MAN, 'man')}`, () => {
    const args = ['--warnings', '-E', 'UTF-8', '-Tutf8', '-l'];
    const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' };
    const paths = pages.map((page) => join(folder, page));
    const { status, stderr } = spawnSync('man', [...args, ...paths], { env, encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  test.skipIf(!HAS_MANDOC)(
    `show what is typed as it is typed${unless(HAS_MANDOC, 'mandoc')}`,
    () => {
      expect(shown('kbus-send.1')).toContain("  kbus send '$.Lamp.Set' --hex 01ff --urgent\n");
      expect(shown('kbus-recording.1')).toMatch(
        /kbus recording merge -o file \[--force\] files \.\.\.\n/,
      );
      expect(shown('kbus-listen.1')).toMatch(/^ +-n, --count number\n/m);
      for (const name of SETTING_NAMES) {
        expect(shown('kbus.toml.5')).toMatch(new RegExp(`^ {5}${name}$|^ {5}${name} {2}`, 'm'));
      }
    },
  );
});
