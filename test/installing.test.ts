import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { beforeAll, describe, expect, test } from 'vitest';
import { newFolder } from './support/folder.ts';
import { blocksOf, root } from './support/markdown.ts';

const blocks = blocksOf('docs/installing.md').map(({ text }) => text);

/** npm did not reach its registry, from which the packages that KBUS depends on come. */
const OUT_OF_REACH = /ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|ENOTCACHED/;

describe('who installs as docs/installing.md says', () => {
  let home: string;
  let tarball: string;

  beforeAll(async () => {
    home = await newFolder();
    const args = ['pack', '--silent', '--ignore-scripts', '--pack-destination', home];
    execFileSync('npm', args, { cwd: root, stdio: 'ignore' });
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    tarball = join(home, `kbus-${version}.tgz`);
  });

  /** Types a block, with the packed package in place of that of the registry. */
  function typed(block: string, folder: string, env: NodeJS.ProcessEnv) {
    const text = block.replace(/(?<=^npm install .*)\bkbus$/m, tarball);
    expect(text).not.toBe(block);
    mkdirSync(folder);
    return spawnSync('bash', ['-ec', text], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, HOME: home, npm_config_prefer_offline: 'true', ...env },
    });
  }

  test('types what is tried here and, of a machine of its own, in test/systemd/trial.sh', () => {
    const begin = ['npm install kbus', 'npm install --global', 'apt install', 'useradd --system'];
    expect(blocks.map((text, at) => text.startsWith(begin[at] as string))).toEqual(
      begin.map(() => true),
    );
  });

  test('has it in a project, and sees the play', ({ skip }) => {
    const { status, stdout, stderr } = typed(blocks[0] as string, join(home, 'project'), {});
    if (OUT_OF_REACH.test(stderr)) skip('the registry of npm is out of reach');
    expect(stdout).toContain('$.Actor');
    expect(status).toBe(0);
  });

  test('has the command, its man pages and its completion', ({ skip }) => {
    const prefix = join(home, 'usr');
    const path = `${prefix}/bin:${process.env['PATH']}`;
    const env = { npm_config_prefix: prefix, PATH: path };
    const { status, stderr } = typed(blocks[1] as string, join(home, 'anywhere'), env);
    if (OUT_OF_REACH.test(stderr)) skip('the registry of npm is out of reach');
    expect([stderr, status]).toEqual(['', 0]);
    const pages = ['kbus.1', 'kbus-serve.1', 'kbus.toml.5'];
    for (const page of pages)
      expect(readFileSync(join(prefix, `share/man/man${page.at(-1)}`, page), 'utf8')).toMatch(
        /^\.Dt KBUS/m,
      );
    const completes = `source ${home}/.bashrc && complete -p kbus`;
    expect(
      execFileSync('bash', ['-c', completes], { env: { ...process.env, PATH: path } }).toString(),
    ).toContain('kbus');
  });

  test('is told which Node makes the single file, where this one does not', ({ skip }) => {
    const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
    if (major > 25 || (major === 25 && minor >= 5))
      skip('this Node makes one: npm run single-file');
    const { status, stderr } = spawnSync(
      process.execPath,
      [join(root, 'scripts/single-file.mjs')],
      { encoding: 'utf8' },
    );
    expect(stderr).toContain('25.5 is the first that makes one by itself');
    expect(status).toBe(1);
  });
});
