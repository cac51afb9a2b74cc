// Makes a checkout ready to run: installs the packages of the lock file if they are not installed, and builds if a source
// is newer than the build. Plain JavaScript without dependencies, because it runs first.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `kbus needs Node 20.19 or newer; this is ${process.version}. Install a newer Node.`,
  );
  process.exit(1);
}

const changed = (/** @type {string} */ path) => (existsSync(path) ? statSync(path).mtimeMs : 0);

/** @param {string} command @param {string[]} args */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error) console.error(`could not run ${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

// npm writes node_modules/.package-lock.json last, so its time is that of the installation. A symbolic link leads to a
// shared directory, which npm would empty.
const installed = changed('node_modules/.package-lock.json');
const isLinked = lstatSync('node_modules', { throwIfNoEntry: false })?.isSymbolicLink() === true;
if (!isLinked && installed < changed('package-lock.json')) {
  console.error('kbus: installing dependencies (npm ci)');
  run('npm', ['ci', '--no-fund', '--no-audit', '--loglevel=error']);
}

const newest = (/** @type {string} */ directory) =>
  Math.max(
    ...readdirSync(directory, { recursive: true }).map((name) => changed(`${directory}/${name}`)),
  );
const built = existsSync('dist/index.js') ? changed('node_modules/.kbus-built') : 0;
const inputs = ['tsconfig.json', 'tsconfig.build.json', 'package.json'];
if (built < Math.max(newest('src'), newest('scripts'), ...inputs.map(changed))) {
  console.error('kbus: building');
  run(process.execPath, ['scripts/build.mjs']);
}
