// Builds dist/ from src/: one JavaScript file for each source, the program `kbus` as a few files, what the daemon serves to
// browsers (page/), the declarations of the package (types/), and the man pages (man/). The declarations beside the JavaScript also have internal members, for the programs of this
// checkout. The script builds in another directory and then renames it, so that no program finds an incomplete dist/.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { rollup } from 'rollup';
import { dts } from 'rollup-plugin-dts';
import { writeManPages } from './man-pages.mjs';
import { bundlePageClient } from './page-client.mjs';
import { publicDeclarations } from './public-declarations.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));
const beside = `dist.${process.pid}`;
process.on('exit', () => rmSync(beside, { recursive: true, force: true }));
const whole = `${beside}/whole`;
if (
  compile('--outDir', beside) &&
  compile('--outDir', whole, '--emitDeclarationOnly', '--stripInternal')
) {
  await joinDeclarations();
  await writeManPages(beside, `${beside}/man`);
  await joinProgram();
  await joinPage();
  chmodSync(`${beside}/cli/main.cjs`, 0o755);
  rmSync('dist', { recursive: true, force: true });
  renameSync(beside, 'dist');
  // scripts/ready.mjs reads the time of this file.
  writeFileSync('node_modules/.kbus-built', '');
} else {
  process.exitCode = 1;
}

/** @param {string[]} options */
function compile(...options) {
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json', ...options],
    { stdio: 'inherit' },
  );
  return status === 0;
}

/** Joins the public declarations: a file for each entry, and a shared one. */
async function joinDeclarations() {
  const joined = await rollup({
    input: {
      index: `${whole}/index.d.ts`,
      daemon: `${whole}/daemon/index.d.ts`,
      limpet: `${whole}/limpet/index.d.ts`,
      'limpet-nats': `${whole}/limpet/nats.d.ts`,
      browser: `${whole}/client/browser.d.ts`,
      'browser-observe': `${whole}/client/browser-observe.d.ts`,
    },
    plugins: [dts(), { name: 'public', renderChunk: publicDeclarations }],
    external: /^node:/,
    onLog: (_level, { message }) => {
      throw new Error(message);
    },
  });
  await joined.write({
    dir: `${beside}/types`,
    entryFileNames: '[name].d.ts',
    chunkFileNames: '[name].d.ts',
    minifyInternalExports: false,
    // What several entries need, in one chunk; and what the two of Limpets need.
    manualChunks: (id) => {
      if (id.endsWith('/limpet/federation/engine.d.ts')) return 'limpet-engine';
      const isOfOne = /\/whole\/(?:index|daemon|limpet|client\/browser)\b/.test(id);
      return isOfOne ? undefined : 'shared';
    },
  });
  await joined.close();
  rmSync(whole, { recursive: true });
}

/**
 * Joins the program `kbus`, and the programs that it starts, into a few files that Node can `require`. Loading the forty
 * modules of `kbus serve` one by one takes 60 ms more, and memory that Node never frees.
 */
async function joinProgram() {
  /** @type {{ dependencies: object, peerDependencies: object }} */
  const { dependencies, peerDependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
  const joined = await rolldown({
    input: {
      main: `${beside}/cli/main.js`,
      'far-end': `${beside}/cli/far-end.js`,
      actor: `${beside}/playlet/actor.js`,
    },
    platform: 'node',
    external: Object.keys({ ...dependencies, ...peerDependencies }),
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

/** Joins what the daemon serves to browsers: the client as kbus.js, and the page with its files. */
async function joinPage() {
  const folder = `${beside}/page`;
  const joined = await rolldown({
    input: { observe: 'src/client/browser-observe.ts', page: 'src/page/page.tsx' },
    platform: 'browser',
    transform: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    // A page with a missing package must not be built.
    onLog: (_level, { message }) => {
      throw new Error(message);
    },
  });
  await joined.write({
    dir: folder,
    format: 'esm',
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
    minify: true,
    comments: false,
  });
  await joined.close();
  for (const [name, code] of Object.entries(await bundlePageClient(beside)))
    writeFileSync(`${folder}/${name}`, code);
  for (const name of ['index.html', 'page.css'])
    copyFileSync(`src/page/${name}`, `${folder}/${name}`);
}
