import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './markdown.ts';

/** Puts the packed package, and what it depends on, into the node_modules of a folder, as npm does; `rest` is for files. */
export function installPackage(rest: string, folder: string): void {
  const modules = join(folder, 'node_modules');
  const { dependencies, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', rest], {
    cwd: root,
    stdio: 'ignore',
  });
  execFileSync('tar', ['-xzf', join(rest, `kbus-${version}.tgz`), '-C', rest]);
  mkdirSync(join(modules, '.bin'), { recursive: true });
  renameSync(join(rest, 'package'), join(modules, 'kbus'));
  symlinkSync('../kbus/dist/cli/main.cjs', join(modules, '.bin', 'kbus'));
  for (const name of Object.keys(dependencies))
    cpSync(join(root, 'node_modules', name), join(modules, name), { recursive: true });
}
