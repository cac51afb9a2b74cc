import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { newFolder } from '../support/folder.ts';
import { installPackage } from '../support/install-package.ts';
import { blocksOf, root } from '../support/markdown.ts';

/** Why no systemd of its own can be booted here; '' if one can. */
function obstacle(): string {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const program of ['/usr/lib/systemd/systemd', 'dpkg-deb', 'adduser', 'dbus-daemon'])
    if (spawnSync(program, ['--version']).status !== 0) return `${program} is not installed`;
  if (spawnSync('dpkg-query', ['--show', 'nodejs']).status !== 0)
    return 'Node is not that of a package';
  const script = `set -e; d=$(mktemp -d); mount -t cgroup2 c $d; mkdir $d/kbus-$$; rmdir $d/kbus-$$; umount $d
    mount -t tmpfs t $d; mkdir $d/u $d/w $d/m; mount -t overlay o -o lowerdir=/,upperdir=$d/u,workdir=$d/w $d/m`;
  const { status, stderr } = spawnSync(
    'unshare',
    ['--mount', '--pid', '--fork', 'sh', '-c', script],
    {
      encoding: 'utf8',
    },
  );
  return status === 0 ? '' : `no control groups or overlay: ${stderr.trim()}`;
}

const why = obstacle();

describe('where systemd runs', () => {
  test.skipIf(why !== '')(
    `the package, its units and the services of README start, end, fail and come back${why && ` (SKIPPED: ${why})`}`,
    { timeout: 180_000 },
    async () => {
      const folder = await newFolder();
      const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
      const files = [version, `${version}+test`].map((number) => {
        const script = join(root, 'scripts/debian.mjs');
        const options = ['--output', folder, '--version', number];
        return execFileSync(process.execPath, [script, ...options], { encoding: 'utf8' }).trim();
      });
      const home = join(folder, 'home');
      mkdirSync(join(home, '.config/systemd/user'), { recursive: true });
      mkdirSync(join(home, 'house'));
      installPackage(folder, join(home, 'house'));
      for (const { language, file, text } of blocksOf('README.md'))
        if (file !== '')
          writeFileSync(
            join(home, language === 'ini' ? '.config/systemd/user' : 'house', file),
            text,
          );
      const house = join(folder, 'house.tar');
      execFileSync('tar', ['-cf', house, '-C', home, '.']);
      const blocks = blocksOf('docs/installing.md').map(({ text }) => text);
      files.push(house);
      for (const [name, begin] of Object.entries({ apt: 'apt install', 'by-hand': 'useradd' })) {
        const path = join(folder, `${name}.sh`);
        files.push(path);
        writeFileSync(path, blocks.find((text) => text.startsWith(begin)) ?? 'exit 1');
      }
      const boot = join(root, 'test/systemd/boot.sh');
      const { stdout, stderr } = spawnSync(boot, [folder, ...files], {
        encoding: 'utf8',
        timeout: 120_000,
      });
      expect(stdout.trim().split('\n')).toEqual([
        'installed: socket active, service inactive',
        'a client came: notify, running, serving bus 0, on sockets of systemd',
        'the daemon is kbus, CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2',
        'killed: a new daemon, kbus:kbus:660',
        'the heater is back: set to 19 °C',
        'restarted: set to 19 °C',
        'upgraded: a new daemon, running',
        'a wrong setting: 0 restarts, kbus.toml, line 16, busses: is not a setting',
        'stopped: success, 0 files',
        'kbus@video: bus 1: 0 Ksocks, running',
        'user unit: running, alice:600',
        'README: heard $.Heater.Target: 21',
        'README: reply: set to 21 °C',
        'README: killed, started again, and the heater is back',
        "purged: units '', files ''",
        'by hand: running',
      ]);
      expect(stderr).toBe('');
    },
  );
});
