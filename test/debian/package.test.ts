import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeAll, describe, expect, test } from 'vitest';
import { newFolder } from '../support/folder.ts';

const root = new URL('../..', import.meta.url).pathname;
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const HAS_DPKG = has('dpkg-deb');
const HAS_LINTIAN = HAS_DPKG && has('lintian');

/** An overlay in which a package can be installed without a trace on this machine; the reason if there can't be one. */
function obstacle(): string {
  if (!HAS_DPKG) return 'dpkg-deb is not installed';
  if (process.getuid?.() !== 0) return 'it needs root';
  if (!has('adduser')) return 'adduser is not installed';
  const script =
    'd=$(mktemp -d) && mount -t tmpfs t $d && mkdir $d/u $d/w $d/m && mount -t overlay o -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/m';
  const { status } = spawnSync('unshare', ['--mount', 'sh', '-c', script]);
  return status === 0 ? '' : 'this machine mounts no overlay';
}

const why = obstacle();
const unless = (isHere: boolean, name: string): string =>
  isHere ? '' : ` (skipped: ${name} is not installed)`;

describe(`the Debian package${unless(HAS_DPKG, 'dpkg-deb')}`, () => {
  let file: string;
  const build = async (...args: string[]): Promise<string> => {
    const folder = await newFolder();
    const script = join(root, 'scripts/debian.mjs');
    const options = ['--output', folder, ...args];
    const env = { ...process.env, SOURCE_DATE_EPOCH: '1800000000' };
    return execFileSync(process.execPath, [script, ...options], { encoding: 'utf8', env }).trim();
  };
  const query = (...args: string[]): string =>
    execFileSync('dpkg-deb', [...args, file], { encoding: 'utf8' });

  beforeAll(async () => {
    if (HAS_DPKG) file = await build();
  });

  test.skipIf(!HAS_DPKG)('is the same, byte for byte, when it is built again', async () => {
    const umask = process.umask(0o077);
    const again = await build();
    process.umask(umask);
    expect(readFileSync(again).equals(readFileSync(file))).toBe(true);
  });

  test.skipIf(!HAS_DPKG)('says what it needs, and what to do where Node is too old', () => {
    const fields = query('--field');
    const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    expect(fields).toContain(`Version: ${version}\nArchitecture: all\n`);
    expect(fields).toContain(`Depends: nodejs (>= ${engines.node.replace('>=', '')}), adduser\n`);
    expect(fields).toMatch(
      /Debian 12 and older.*\n.*install a package named nodejs of a newer Node/,
    );
  });

  test.skipIf(!HAS_DPKG)('holds the command, its library, pages, units and completions', () => {
    const lines = query('--contents').trim().split('\n');
    expect(lines.filter((line) => !/^\S+ root\/root /.test(line))).toEqual([]);
    const paths = lines.map((line) => line.replace(/^.* \.\//, '/'));
    const outside = paths.filter(
      (path) =>
        !path.endsWith('/') &&
        !/^\/usr\/share\/(nodejs\/kbus|doc\/kbus\/(docs|examples)|man\/man1)\//.test(path),
    );
    expect(outside.sort()).toEqual(
      [
        '/etc/kbus.toml',
        '/usr/bin/kbus -> ../share/nodejs/kbus/dist/cli/main.cjs',
        '/usr/lib/systemd/system/kbus.service',
        '/usr/lib/systemd/system/kbus.socket',
        '/usr/lib/systemd/system/kbus@.service',
        '/usr/lib/systemd/system/kbus@.socket',
        '/usr/lib/systemd/user/kbus.service',
        '/usr/lib/systemd/user/kbus.socket',
        '/usr/share/bash-completion/completions/kbus',
        '/usr/share/doc/kbus/CHANGELOG.md',
        '/usr/share/doc/kbus/CONTRIBUTING.md',
        '/usr/share/doc/kbus/README.md',
        '/usr/share/doc/kbus/SECURITY.md',
        '/usr/share/doc/kbus/changelog.gz',
        '/usr/share/doc/kbus/copyright',
        '/usr/share/fish/vendor_completions.d/kbus.fish',
        '/usr/share/lintian/overrides/kbus',
        '/usr/share/man/man5/kbus.toml.5.gz',
        '/usr/share/zsh/vendor-completions/_kbus',
      ].sort(),
    );
    expect(paths).toContain('/usr/share/man/man1/kbus-serve.1.gz');
  });

  test.skipIf(!HAS_LINTIAN)(
    `has nothing that lintian reports, but for what is explained${unless(HAS_LINTIAN, 'lintian')}`,
    { timeout: 120_000 },
    () => {
      const options = ['--display-info', ...(process.getuid?.() === 0 ? ['--allow-root'] : [])];
      const { stdout } = spawnSync('lintian', [...options, file], { encoding: 'utf8' });
      expect(stdout).toBe('');
    },
  );

  test.skipIf(why !== '')(
    `is installed, started, used, upgraded and purged${why && ` (skipped: ${why})`}`,
    { timeout: 120_000 },
    async () => {
      const folder = await newFolder();
      const second = await build('--version', `${version}+test`);
      const script = join(root, 'test/debian/install.sh');
      const { status, stdout, stderr } = spawnSync(
        'unshare',
        ['--mount', '--pid', '--fork', '--kill-child', script, folder, file, second],
        { encoding: 'utf8', timeout: 60_000, killSignal: 'SIGKILL' },
      );
      expect(stderr).toBe('');
      expect(stdout.trim().split('\n')).toEqual([
        'mounted',
        `installed ${version}: ${version}`,
        'started as kbus:kbus:660',
        'first: a client finds the bus by itself',
        'this user may not use /run/kbus/kbus0.sock',
        `upgraded to ${version}+test`,
        'second: the settings are kept',
        'bus 1',
        'removed; /etc/kbus.toml is kept',
        'purged',
      ]);
      expect(status).toBe(0);
    },
  );
});
