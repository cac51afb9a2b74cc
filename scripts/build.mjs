// Builds dist/ from src/: one JavaScript file and one declaration file a source. It is built beside its
// place and then put there, so that what uses it never finds half of it.
import { spawnSync } from 'node:child_process';
import { chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const beside = `dist.${process.pid}`;
const { status } = spawnSync(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', '--outDir', beside],
  { stdio: 'inherit' },
);
if (status === 0) {
  await joinDaemon();
  chmodSync(`${beside}/cli/main.js`, 0o755);
  rmSync('dist', { recursive: true, force: true });
  renameSync(beside, 'dist');
  // Tells scripts/ready.mjs when this was.
  writeFileSync('node_modules/.kbus-built', '');
} else {
  rmSync(beside, { recursive: true, force: true });
}
process.exit(status ?? 1);

/**
 * Puts all that `kbus serve` needs into one file: to load forty takes it half as long again to start, and
 * 5 MiB of memory that it never gives back.
 */
async function joinDaemon() {
  const joined = await rolldown({
    input: `${beside}/cli/serve.js`,
    platform: 'node',
    // These it shares with the file that loads it.
    external: /\/(ending|failure)\.js$/,
  });
  await joined.write({
    dir: `${beside}/cli`,
    entryFileNames: 'serve.js',
    chunkFileNames: 'serve/[name].js',
  });
  await joined.close();
}
