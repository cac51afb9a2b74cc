import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readConfig } from '../../src/daemon/config.ts';
import { MAIN } from '../cli/kbus.ts';
import { newFolder } from '../support/folder.ts';

const root = new URL('../..', import.meta.url).pathname;
const SYSTEM = join(root, 'systemd/system');
const read = (path: string): string => readFileSync(join(root, 'systemd', path), 'utf8');
const SERVICES = ['kbus.service', 'kbus@.service'];

const HAS_ANALYZE = spawnSync('systemd-analyze', ['--version']).status === 0;
const skipped = HAS_ANALYZE ? '' : ' (skipped: systemd-analyze is not installed)';

/** The units, as they are when kbus and its man pages are installed in this folder. */
async function installed(from: string): Promise<{ folder: string; env: NodeJS.ProcessEnv }> {
  const folder = await newFolder();
  mkdirSync(join(folder, 'man'));
  for (const section of ['1', '5']) mkdirSync(join(folder, 'man', `man${section}`));
  for (const page of readdirSync(join(root, 'dist/man')))
    symlinkSync(join(root, 'dist/man', page), join(folder, 'man', `man${page.at(-1)}`, page));
  const kbus = join(folder, 'kbus');
  writeFileSync(kbus, `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`);
  chmodSync(kbus, 0o755);
  for (const name of readdirSync(from)) {
    const text = readFileSync(join(from, name), 'utf8').replace(
      'ExecStart=kbus ',
      `ExecStart=${kbus} `,
    );
    writeFileSync(join(folder, name), text);
  }
  const env = { ...process.env, MANPATH: join(folder, 'man'), XDG_RUNTIME_DIR: folder };
  return { folder, env };
}

describe(`the units of systemd${skipped}`, () => {
  test.skipIf(!HAS_ANALYZE).each([
    { kind: 'system', options: [] },
    { kind: 'user', options: ['--user'] },
  ])('have nothing that systemd-analyze verify objects to: $kind', async ({ kind, options }) => {
    const { folder, env } = await installed(join(root, 'systemd', kind));
    const units = readdirSync(join(root, 'systemd', kind)).map((name) => join(folder, name));
    const { status, stdout, stderr } = spawnSync(
      'systemd-analyze',
      ['verify', ...options, ...units],
      { env, encoding: 'utf8' },
    );
    // It also names units of the machine.
    const ours = (stdout + stderr).split('\n').filter((line) => /kbus/.test(line));
    expect({ status, ours }).toEqual({ status: 0, ours: [] });
  });

  test.skipIf(!HAS_ANALYZE).each(SERVICES)('%s is exposed to no more than 1.6 of 10', (name) => {
    const { stdout } = spawnSync(
      'systemd-analyze',
      ['security', '--offline=true', '--no-pager', join(SYSTEM, name)],
      { encoding: 'utf8' },
    );
    const [, level] = /Overall exposure level for \S+: ([\d.]+)/.exec(stdout) ?? [];
    expect(Number(level)).toBeLessThanOrEqual(1.6);
  });

  test('never forbid memory that is writable and executable: V8 needs it', () => {
    for (const name of SERVICES) {
      expect(read(`system/${name}`)).not.toMatch(/^MemoryDenyWriteExecute=/m);
    }
  });

  test('of a template differ from the others in names only', () => {
    for (const name of ['kbus.service', 'kbus.socket']) {
      const plain = read(`system/${name}`);
      const template = read(`system/${name.replace('.', '@.')}`)
        .replace(/^# One more daemon.*\n#.*\n/, '')
        .replaceAll('kbus@%i', 'kbus')
        .replaceAll('kbus-%i', 'kbus')
        .replace('/etc/kbus/%i.toml', '/etc/kbus.toml');
      const named = (text: string): string => text.replace(/^Description=.*$/m, 'Description=');
      expect(named(template)).toBe(named(plain));
    }
  });

  test('come with a configuration file that the daemon reads, also with what it shows as comments', async () => {
    expect(readConfig(join(root, 'systemd/kbus.toml'))).toEqual({ group: 'kbus' });
    const shown = join(await newFolder(), 'kbus.toml');
    writeFileSync(shown, read('kbus.toml').replace(/^# (?=\w+ = |\[\[)/gm, ''));
    expect(readConfig(shown)).toMatchObject({ buses: 3, log: 'json', access: [{ name: 'guest' }] });
  });
});
