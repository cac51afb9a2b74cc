// Builds dist/ from src/: one JavaScript file and one declaration file a source, and the program `kbus` as a few
// files. It is built beside its place and then put there, so that what uses it never finds half of it.
import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
  await joinProgram();
  chmodSync(`${beside}/cli/main.cjs`, 0o755);
  rmSync('dist', { recursive: true, force: true });
  renameSync(beside, 'dist');
  // Tells scripts/ready.mjs when this was.
  writeFileSync('node_modules/.kbus-built', '');
} else {
  rmSync(beside, { recursive: true, force: true });
}
process.exit(status ?? 1);

/**
 * Puts the program `kbus` and the programs that it starts into a few files that Node can `require`: to load
 * what `kbus serve` needs as forty modules takes 60 ms more, and memory that it never gives back.
 */
async function joinProgram() {
  const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const joined = await rolldown({
    input: {
      main: `${beside}/cli/main.js`,
      'far-end': `${beside}/cli/far-end.js`,
      actor: `${beside}/playlet/actor.js`,
    },
    platform: 'node',
    external: Object.keys(dependencies),
  });
  await joined.write({
    dir: `${beside}/joined`,
    format: 'cjs',
    entryFileNames: '[name].cjs',
    chunkFileNames: '[name].cjs',
    comments: false,
  });
  await joined.close();
  for (const folder of ['cli', 'playlet']) rmSync(`${beside}/${folder}`, { recursive: true });
  renameSync(`${beside}/joined`, `${beside}/cli`);
}
