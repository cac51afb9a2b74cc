// Makes the Debian package from the build: node scripts/debian.mjs [--output FOLDER] [--version VERSION]
// It contains what the npm package contains (its list of files is the only one), the packages that KBUS needs, and the
// scripts in scripts/debian/. Two runs on the same build give the same bytes.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { sourceDate } from './source-date.mjs';

const { values } = parseArgs({
  options: { output: { type: 'string', default: '.' }, version: { type: 'string' } },
});
const output = resolve(values.output);
process.chdir(fileURLToPath(new URL('..', import.meta.url)));

/** @type {{ version: string, dependencies: Record<string, string> }} */
const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const version = values.version ?? manifest.version;
const date = sourceDate();
const { DEBFULLNAME = 'The KBUS authors', DEBEMAIL = 'root@localhost' } = process.env;
const maintainer = `${DEBFULLNAME} <${DEBEMAIL}>`;

const MODULES = 'usr/share/nodejs/kbus';
const DOC = 'usr/share/doc/kbus';
/** What of a dependency programs do not need. */
const NOT_NEEDED = /(\.d\.[cm]?ts|\.md|\.min\.[cm]js|\/licen[cs]e(\.\w+)?|package-support\.json)$/i;

const tree = mkdtempSync(join(tmpdir(), 'kbus-debian-'));
process.on('exit', () => rmSync(tree, { recursive: true, force: true }));

/** @param {string} path @param {string | Uint8Array} content */
function add(path, content) {
  mkdirSync(join(tree, dirname(path)), { recursive: true });
  writeFileSync(join(tree, path), content);
}

/** @param {string} path */
function every(path) {
  /** @type {string[]} */
  const found = [];
  for (const name of readdirSync(path).sort()) {
    const at = join(path, name);
    found.push(at);
    if (lstatSync(at).isDirectory()) found.push(...every(at));
  }
  return found;
}

/** Where a file of the npm package goes. @param {string} path */
function placeOf(path) {
  const name = basename(path);
  if (path === 'LICENSE') return undefined;
  if (path === 'systemd/kbus.toml') return 'etc/kbus.toml';
  if (/^systemd\/(system|user)\//.test(path)) return `usr/lib/${path}`;
  if (path.startsWith('systemd/')) return `${DOC}/examples/${name}`;
  if (path.startsWith('dist/man/')) return `usr/share/man/man${name.at(-1)}/${name}.gz`;
  if (path.startsWith('examples/')) return `${DOC}/${path}`;
  if (/^docs\/|^[^/]+\.md$/.test(path)) return `${DOC}/${path}`;
  return `${MODULES}/${path}`;
}

const gzip = (/** @type {string | Uint8Array} */ content) => gzipSync(content, { level: 9 });

function copyFiles() {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const answer = JSON.parse(packed);
  const [pack] = Array.isArray(answer) ? answer : Object.values(answer);
  for (const { path } of pack.files) {
    const place = placeOf(path);
    if (place === undefined) continue;
    const content = readFileSync(path);
    add(place, place.endsWith('.gz') ? gzip(content) : content);
  }
  for (const name of Object.keys(manifest.dependencies)) {
    cpSync(`node_modules/${name}`, join(tree, MODULES, 'node_modules', name), {
      recursive: true,
      filter: (source) => !NOT_NEEDED.test(source),
    });
  }
  for (const path of every(tree).reverse())
    if (lstatSync(path).isDirectory() && readdirSync(path).length === 0) rmdirSync(path);
  mkdirSync(join(tree, 'usr/bin'), { recursive: true });
  symlinkSync('../share/nodejs/kbus/dist/cli/main.cjs', join(tree, 'usr/bin/kbus'));
}

function addCompletions() {
  const script = (/** @type {string} */ shell) =>
    execFileSync(process.execPath, ['dist/cli/main.cjs', 'completion', shell]);
  add('usr/share/bash-completion/completions/kbus', script('bash'));
  add('usr/share/zsh/vendor-completions/_kbus', script('zsh'));
  add('usr/share/fish/vendor_completions.d/kbus.fish', script('fish'));
}

/** A licence as a field of Debian's copyright file. @param {string} text */
const asField = (text) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => ` ${line.trim() === '' ? '.' : line.trimEnd()}`)
    .join('\n');

function addCopyright() {
  const parts = ['Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'];
  /** @type {[files: string, folder: string][]} */
  const works = [['*', '.']];
  for (const name of Object.keys(manifest.dependencies))
    works.push([`${MODULES}/node_modules/${name}/*`, `node_modules/${name}`]);
  for (const [files, folder] of works) {
    const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name)) ?? 'LICENSE';
    const text = readFileSync(join(folder, file), 'utf8');
    const holder = /Copyright \(c\).*/i.exec(text)?.[0].replace(/^Copyright \(c\) /i, '') ?? '';
    const { license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    // Each has its own text, so each licence has its own name.
    const own = folder === '.' ? license : `${license}-${basename(folder)}`;
    parts.push(`Files: ${files}\nCopyright: ${holder}\nLicense: ${own}\n${asField(text)}`);
  }
  add(`${DOC}/copyright`, `${parts.join('\n\n')}\n`);
}

function addChangelog() {
  const when = new Date(date * 1000).toUTCString().replace('GMT', '+0000');
  const text = `kbus (${version}) unstable; urgency=medium\n\n  * Release ${version}: see the pages in /${DOC}.\n\n -- ${maintainer}  ${when}\n`;
  add(`${DOC}/changelog.gz`, gzip(text));
}

/** What lintian reports and why it is so: scripts/debian/lintian-overrides. */
function addOverrides() {
  add('usr/share/lintian/overrides/kbus', readFileSync('scripts/debian/lintian-overrides'));
}

function addControl() {
  const files = every(tree)
    .map((path) => path.slice(tree.length + 1))
    .filter((path) => lstatSync(join(tree, path)).isFile());
  const sizes = every(tree).map((path) => (lstatSync(path).isFile() ? lstatSync(path).size : 0));
  const kib = sizes.reduce((sum, size) => sum + Math.max(1, Math.ceil(size / 1024)), 0);
  const sums = files.map((path) => {
    const sum = createHash('md5')
      .update(readFileSync(join(tree, path)))
      .digest('hex');
    return `${sum}  ${path}\n`;
  });
  const control = readFileSync('scripts/debian/control', 'utf8')
    .replaceAll('@VERSION@', version)
    .replace('@MAINTAINER@', maintainer)
    .replace('@SIZE@', String(kib));
  add('DEBIAN/control', control);
  add('DEBIAN/md5sums', sums.filter((line) => !line.includes('  etc/')).join(''));
  add('DEBIAN/conffiles', '/etc/kbus.toml\n');
  for (const name of ['postinst', 'prerm', 'postrm'])
    add(`DEBIAN/${name}`, readFileSync(`scripts/debian/${name}`));
}

/** The same permissions and times whatever the umask and the clock are. */
function settle() {
  const scripts = /\/DEBIAN\/(postinst|prerm|postrm)$|\/dist\/cli\/main\.cjs$/;
  for (const path of [tree, ...every(tree)]) {
    const stats = lstatSync(path);
    if (!stats.isSymbolicLink())
      chmodSync(path, stats.isDirectory() || scripts.test(path) ? 0o755 : 0o644);
  }
  for (const path of [...every(tree).reverse(), tree]) lutimesSync(path, date, date);
}

copyFiles();
addCompletions();
addCopyright();
addChangelog();
addOverrides();
addControl();
settle();
mkdirSync(output, { recursive: true });
const file = join(output, `kbus_${version}_all.deb`);
execFileSync('dpkg-deb', ['--root-owner-group', '-Zxz', '--build', tree, file], {
  // More threads give other bytes.
  env: { ...process.env, SOURCE_DATE_EPOCH: String(date), DPKG_DEB_THREADS_MAX: '1' },
  stdio: ['ignore', 'ignore', 'inherit'],
});
console.log(file);
