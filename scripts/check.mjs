// Runs all checks and tests, the cheapest first, and lists the failed ones at the end.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { installPrograms } from './debian-programs.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const node = process.execPath;
/** @type {[name: string, command: string, ...args: string[]][]} */
const checks = [
  ['types', node, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'],
  ['types in a browser', node, 'node_modules/typescript/bin/tsc', '-p', 'tsconfig.browser.json'],
  [
    'lint and format',
    node,
    'node_modules/@biomejs/biome/bin/biome',
    'check',
    '--error-on-warnings',
    '.',
  ],
  ['pages made from the source', node, 'scripts/pages.mjs', '--check'],
  ['tests', node, 'node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)],
];

// A test whose program is missing is skipped, and says so.
installPrograms({
  'nats-server': 'nats-server',
  chromium: 'chromium',
  mandoc: 'mandoc',
  tmux: 'tmux',
  zsh: 'zsh',
  fish: 'fish',
  lintian: 'lintian',
});

const failed = [];
for (const [name, command, ...args] of checks) {
  console.log(`\nkbus: ${name}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) console.error(error.message);
  if (status !== 0) failed.push(name);
}
if (failed.length > 0) {
  console.error(`\nkbus: failed: ${failed.join(', ')}`);
  process.exit(1);
}
console.log('\nkbus: all checks and tests passed');
