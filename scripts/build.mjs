// Builds dist/ from src/: one JavaScript file and one declaration file a source. It is built beside its
// place and then put there, so that what uses it never finds half of it.
import { spawnSync } from 'node:child_process';
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const beside = `dist.${process.pid}`;
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', beside],
  { stdio: 'inherit' },
);
if (status === 0) {
  chmodSync(`${beside}/cli/main.js`, 0o755);
  rmSync('dist', { recursive: true, force: true });
  renameSync(beside, 'dist');
  // Tells scripts/ready.mjs when this was.
  writeFileSync('node_modules/.kbus-built', '');
} else {
  rmSync(beside, { recursive: true, force: true });
}
process.exit(status ?? 1);
